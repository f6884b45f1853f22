//! The moments at which single connections go on: after thinking, or after a pause between parts.
//!
//! A moment is never taken back: what it was for may be over, which the caller sees.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use quadrant_suite::clock::Stamp;

/// What a connection goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    /// The next request.
    Begin,
    Write,
    Read,
}

#[derive(Default)]
pub(super) struct Wakes(BinaryHeap<Reverse<(Stamp, usize, Wake)>>);

impl Wakes {
    pub(super) fn add(&mut self, at: Stamp, connection: usize, wake: Wake) {
        self.0.push(Reverse((at, connection, wake)));
    }

    pub(super) fn next(&self) -> Option<Stamp> {
        self.0.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next one that is due.
    pub(super) fn take(&mut self, now: Stamp) -> Option<(usize, Wake)> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse((_, connection, wake))| (connection, wake))
    }
}
