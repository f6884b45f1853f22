//! Injected stalls and pings recorded individually, for trials that inject stalls.
//!
//! The lists never grow during a trial: their memory is reserved at the beginning, and entries
//! beyond it are dropped.

use std::sync::{Mutex, PoisonError};

use crate::outcome::{Injected, Ping};

/// Injections recorded per trial.
const INJECTIONS_MAX: usize = 4_096;
/// A minute of pings to one root.
const PINGS_MAX: usize = 16_384;

pub(crate) struct InjectionLog {
    injected: Bounded<Injected>,
    pings: Bounded<Ping>,
}

impl Default for InjectionLog {
    fn default() -> Self {
        Self { injected: Bounded::new(INJECTIONS_MAX), pings: Bounded::new(PINGS_MAX) }
    }
}

impl InjectionLog {
    pub(crate) fn keep_injected(&self, injected: Injected) {
        self.injected.keep(injected);
    }

    pub(crate) fn keep_ping(&self, ping: Ping) {
        self.pings.keep(ping);
    }

    pub(crate) fn taken(&self) -> (Vec<Injected>, Vec<Ping>) {
        (self.injected.take(), self.pings.take())
    }
}

/// A list with a fixed capacity.
struct Bounded<T>(Mutex<Vec<T>>);

impl<T> Bounded<T> {
    fn new(room: usize) -> Self {
        Self(Mutex::new(Vec::with_capacity(room)))
    }

    fn keep(&self, item: T) {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if items.len() < items.capacity() {
            items.push(item);
        }
    }

    fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_not_kept() {
        let bounded = Bounded::new(10);
        (0..1_000).for_each(|number| bounded.keep(number));
        let kept = bounded.take();
        assert!((10..1_000).contains(&kept.len()));
        assert!(kept.iter().enumerate().all(|(index, number)| index == *number));
    }
}
