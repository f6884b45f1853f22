//! The C boundary between the harness and an adapter library.
//!
//! One exported symbol: a table that begins with magic, version and its own size. Texts are passed
//! as pointer and length, results through a callback of the host. Neither side ever frees memory of
//! the other, and no panic crosses.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::board::Board;
use crate::checks;
use crate::description::Described;
use crate::outcome::{Outcome, Refusal};
use crate::panics::{keep_places, panic_text};
use crate::plan::Plan;
use crate::runtime::Adapter;
use crate::scene::Scene;

/// "QUADRANT", to recognise a library that is something else.
pub const MAGIC: u64 = u64::from_be_bytes(*b"QUADRANT");
/// Increased whenever the table, the board or a text that crosses changes its meaning.
pub const ABI_VERSION: u32 = 9;
/// The name of the exported symbol.
pub const SYMBOL: &str = "QUADRANT_ADAPTER";

/// What a library exports. Only the first three fields may be read before they are checked.
#[repr(C)]
pub struct Table {
    pub magic: u64,
    pub abi_version: u32,
    pub size: u32,
    /// Passes the description to the sink.
    pub describe: extern "C" fn(sink: Sink),
    /// Runs the plan (`plan_length` bytes of JSON) and passes the outcome to the sink. It may return
    /// much later.
    pub run: extern "C" fn(plan: *const u8, plan_length: usize, board: *const Board, sink: Sink),
}

/// The host's callback for a text, which it copies before it returns. Callable on any thread.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sink {
    pub context: *const c_void,
    pub take: extern "C" fn(context: *const c_void, text: *const u8, length: usize),
}

// SAFETY: the host promises that `take` may be called from any thread with its context, which
// it keeps until the process ends.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

impl Sink {
    fn send(&self, text: &str) {
        (self.take)(self.context, text.as_ptr(), text.len());
    }

    fn hand_in(&self, outcome: &Outcome) {
        // A trial has one outcome; a second one would corrupt the first.
        static HANDED_IN: AtomicBool = AtomicBool::new(false);
        if HANDED_IN.swap(true, Ordering::AcqRel) {
            return;
        }
        match serde_json::to_string(outcome) {
            Ok(text) => self.send(&text),
            Err(error) => complain(&format!("the outcome could not be written: {error}")),
        }
    }
}

impl Table {
    pub const fn new<A: Adapter>() -> Self {
        Self {
            magic: MAGIC,
            abi_version: ABI_VERSION,
            size: size_of::<Table>() as u32,
            describe: describe::<A>,
            run: run::<A>,
        }
    }
}

extern "C" fn describe<A: Adapter>(sink: Sink) {
    keep_places();
    let described =
        catch_unwind(|| serde_json::to_string(&Described::new(A::describe(), A::options())));
    match described {
        Ok(Ok(text)) => sink.send(&text),
        Ok(Err(error)) => complain(&format!("the description could not be written: {error}")),
        Err(panic) => complain(&format!("describing itself panicked: {}", panic_text(&*panic))),
    }
}

/// Prints to standard error. Unlike `eprintln!` it does not panic where that is closed.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

extern "C" fn run<A: Adapter>(
    plan: *const u8,
    plan_length: usize,
    board: *const Board,
    sink: Sink,
) {
    // SAFETY: the host passes a text that does not change during this call, and a board that stays
    // mapped, whole and aligned, until the process ends.
    let (plan, board) = unsafe { (std::slice::from_raw_parts(plan, plan_length), &*board) };
    let plan: Plan = match serde_json::from_slice(plan) {
        Ok(plan) => plan,
        Err(error) => {
            let reason = format!("the adapter does not understand the plan: {error}");
            return sink.hand_in(&Outcome::Failed { reason });
        }
    };
    keep_places();
    let scene: &'static Scene =
        Box::leak(Box::new(Scene::new(plan, board, move |outcome| sink.hand_in(outcome))));
    if let Some(check) = &scene.plan().check
        && let Some(verdict) = checks::outside(scene, &check.id, &|| A::run(scene))
    {
        return scene.answer(verdict);
    }
    match catch_unwind(AssertUnwindSafe(|| A::run(scene))) {
        // No effect if the outcome was passed on before, as it should have been.
        Ok(Ok(())) => scene
            .refuse(Refusal::Failed("the runtime came back before the trial was over".to_owned())),
        Ok(Err(refusal @ Refusal::Unsupported(_))) => scene.refuse(refusal),
        Ok(Err(Refusal::Failed(reason))) => fail(scene, reason),
        Err(panic) => fail(scene, format!("the run panicked: {}", panic_text(&*panic))),
    }
}

/// To fail may be what a check asks about.
fn fail(scene: &Scene, reason: String) {
    match &scene.plan().check {
        Some(_) => scene.answer(checks::ended(scene, reason)),
        None => scene.refuse(Refusal::Failed(reason)),
    }
}

/// The version of `package` in the text of a `Cargo.lock`. If there are several, the one that
/// `adapter` depends on.
pub fn locked_version(lock: &str, adapter: &str, package: &str) -> String {
    let entry = |name: &str| {
        let name = format!("name = \"{name}\"");
        lock.split("[[package]]").find(|entry| entry.lines().any(|line| line == name))
    };
    let named = |entry: &'_ str| {
        let before = format!("\"{package} ");
        let dependency = entry.lines().find_map(|line| line.trim().strip_prefix(&before))?;
        Some(dependency.trim_end_matches("\",").to_owned())
    };
    let only = |entry: &'_ str| {
        let version = entry.lines().find_map(|line| line.strip_prefix("version = \""))?;
        Some(version.trim_end_matches('"').to_owned())
    };
    let version = entry(adapter).and_then(named).or_else(|| entry(package).and_then(only));
    version.unwrap_or_else(|| "unknown".to_owned())
}

/// The version of a package in the lock file of this workspace, or in the one at a path relative
/// to the adapter's manifest.
#[macro_export]
macro_rules! locked_version {
    ($package:literal) => {
        $crate::locked_version!($package, "../../Cargo.lock")
    };
    ($package:literal, $lock:literal) => {
        $crate::boundary::locked_version(
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $lock)),
            env!("CARGO_PKG_NAME"),
            $package,
        )
    };
}

/// Publishes an adapter: the whole C boundary of its library.
#[macro_export]
macro_rules! export {
    ($adapter:ty) => {
        #[allow(unsafe_code)]
        // SAFETY: the symbol's name is used by this project only, and a library exports one adapter.
        #[unsafe(no_mangle)]
        pub static QUADRANT_ADAPTER: $crate::boundary::Table =
            $crate::boundary::Table::new::<$adapter>();
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_version_in_a_lock_file() {
        let lock = "[[package]]\nname = \"mio-old\"\nversion = \"9.9.9\"\n\n\
                    [[package]]\nname = \"mio\"\nversion = \"1.2.3\"\n\n\
                    [[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n\
                    dependencies = [\n \"mio\",\n]\n";
        assert_eq!(locked_version(lock, "ours", "mio"), "1.2.3");
        assert_eq!(locked_version(lock, "ours", "none"), "unknown");
    }

    #[test]
    fn of_several_versions_it_is_the_one_depended_on() {
        let lock = "[[package]]\nname = \"mio\"\nversion = \"0.8.11\"\n\n\
                    [[package]]\nname = \"mio\"\nversion = \"1.2.3\"\n\n\
                    [[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n\
                    dependencies = [\n \"libc\",\n \"mio 1.2.3\",\n]\n";
        assert_eq!(locked_version(lock, "ours", "mio"), "1.2.3");
    }
}
