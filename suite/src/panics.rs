//! Panics as texts, with the place in the code where each began.
//!
//! Never stops a panic; that is for those who catch it.

use std::any::Any;
use std::cell::RefCell;
use std::panic;

thread_local! {
    /// Where the last panic of this thread began: `src/lib.rs:12`.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the places of panics from now on. A panic prints what it printed before.
pub(crate) fn keep_places() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
        // A thread that is ending keeps nothing.
        let _ = PLACE.try_with(|kept| kept.replace(place));
        before(panic);
    }));
}

/// The message of a panic that this thread has caught, and its place if it began on this thread.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message");
    match PLACE.take() {
        Some(place) => format!("{message} (at {place})"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caught_panic_names_its_line() {
        keep_places();
        let line = line!() + 1;
        let caught = panic::catch_unwind(|| panic!("no {}", "good")).unwrap_err();
        assert_eq!(panic_text(&*caught), format!("no good (at {}:{line})", file!()));
        let other = panic::catch_unwind(|| panic::resume_unwind(Box::new("elsewhere")));
        assert_eq!(panic_text(&*other.unwrap_err()), "elsewhere");
    }
}
