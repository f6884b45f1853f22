//! Polls whose end, and mostly whose beginning, need no reading of the clock.
//!
//! Under a load the driver leaves a stamp on the board several times a millisecond, its *beat*: a
//! load from memory tells how much time has gone by at the least. A poll during which it has hardly
//! moved was short, and short polls that follow each other closely share the beginning of the
//! first. What is not certain is read: where nobody beats, where the beat is old, where it has
//! moved on, every reading is made.

use std::cell::Cell;

use crate::board::BEAT_AGE_MAX_NS;
use crate::clock::{ClockScale, Stamp};

const US: u64 = 1_000;
/// A poll with a beat so long after its beginning may be a long one. Together with the time between
/// two beats this is less than the shortest poll that is to be found.
const MAYBE_LONG_NS: u64 = 250 * US;
/// Where shorter stalls than these are looked for, no poll is known to be short by a beat.
const LONG_NS: u64 = 1_000 * US;
/// Polls that share a beginning have followed each other in this time, as far as those before them
/// tell. What else lies between two polls is less than the time between two beats: by so much one of
/// them may be taken for longer than it was …
const SHARED_NS: u64 = 25 * US;
/// … and where shorter stalls than these are looked for, each beginning is read.
const SHARED_FROM_NS: u64 = 10_000 * US;
const SHARERS_MAX: u32 = 16;

/// What the beat has to say, in ticks.
#[derive(Clone, Copy)]
pub(super) struct Unread {
    beat_age_max: u64,
    /// From the oldest beat to the latest one that show a poll to be short; zero where none does.
    span: u64,
    /// Zero where nothing is to be shared.
    shared: u64,
}

impl Unread {
    pub(super) fn new(scale: ClockScale, threshold_ns: u64) -> Self {
        let span_ns = if threshold_ns >= LONG_NS { BEAT_AGE_MAX_NS + MAYBE_LONG_NS } else { 0 };
        let shared_ns = if threshold_ns >= SHARED_FROM_NS { SHARED_NS } else { 0 };
        Self {
            beat_age_max: scale.ticks(BEAT_AGE_MAX_NS),
            span: scale.ticks(span_ns),
            shared: scale.ticks(shared_ns),
        }
    }

    /// Whether a poll that began at `started` was short, by a beat that is read at its end.
    #[inline(always)]
    pub(super) fn is_short(self, started: Stamp, beat: Stamp) -> bool {
        // An older beat than is allowed wraps around.
        beat.wrapping_sub(started).wrapping_add(self.beat_age_max) < self.span
    }
}

/// The polls of one thread that share a beginning.
pub(super) struct Sharers {
    /// Whether this loop is one that may share, and may leave ends unread.
    allowed: Cell<bool>,
    started: Cell<Stamp>,
    beat: Cell<Stamp>,
    size: Cell<u32>,
    left: Cell<u32>,
}

impl Sharers {
    pub(super) const fn none() -> Self {
        Self {
            allowed: Cell::new(false),
            started: Cell::new(0),
            beat: Cell::new(0),
            size: Cell::new(1),
            left: Cell::new(0),
        }
    }

    #[inline(always)]
    pub(super) fn are_allowed(&self) -> bool {
        self.allowed.get()
    }

    pub(super) fn allow(&self, allowed: bool) {
        self.allowed.set(allowed);
        self.end();
    }

    /// The beginning of a poll that shares one: nothing tells that time has gone by since.
    #[inline(always)]
    pub(super) fn started(&self, beat: Stamp) -> Option<Stamp> {
        let left = self.left.get();
        if left == 0 || beat != self.beat.get() {
            return None;
        }
        self.left.set(left - 1);
        Some(self.started.get())
    }

    /// `now` was read: polls to come may share it, as many as are likely to begin in the time
    /// allowed.
    #[inline]
    pub(super) fn begin(&self, now: Stamp, beat: Stamp, unread: Unread) {
        let ticks = now.saturating_sub(self.started.replace(now));
        let size = match self.size.get() {
            size if ticks < unread.shared / 2 => (2 * size).min(SHARERS_MAX),
            size if ticks < unread.shared => size,
            _ => 1,
        };
        self.size.set(size);
        self.beat.set(beat);
        self.left.set(if unread.is_short(now, beat) { size - 1 } else { 0 });
    }

    /// The next beginning is read.
    #[inline]
    pub(super) fn end(&self) {
        self.size.set(1);
        self.left.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000 * US;

    #[test]
    fn a_poll_is_short_by_a_beat_that_is_neither_old_nor_far_on() {
        let unread = Unread::new(ClockScale::MONOTONIC, 10 * MS);
        let start = 500 * MS;
        assert!(unread.is_short(start, start));
        assert!(unread.is_short(start, start - MS / 2));
        assert!(unread.is_short(start, start + MS / 5));
        assert!(!unread.is_short(start, start - MS));
        assert!(!unread.is_short(start, start + MS / 2));
        assert!(!unread.is_short(start, 0), "nobody beats");
        // However far on, and however young the clock.
        assert!(!unread.is_short(start, u64::MAX));
    }

    /// How many beginnings are read of polls that come every `spacing`, with a beat every 200 µs.
    fn readings(sharers: &Sharers, from: Stamp, polls: u64, spacing: u64) -> u64 {
        let unread = Unread::new(ClockScale::MONOTONIC, 10 * MS);
        (0..polls)
            .map(|poll| from + poll * spacing)
            .filter(|&now| {
                let beat = now / (200 * US) * (200 * US);
                let shared = sharers.started(beat);
                match shared {
                    Some(started) => {
                        assert!(now - started <= 2 * SHARED_NS, "{now} {started}");
                    }
                    None => sharers.begin(now, beat, unread),
                }
                shared.is_none()
            })
            .count() as u64
    }

    #[test]
    fn the_closer_polls_follow_the_more_of_them_share_a_beginning() {
        let sharers = Sharers::none();
        let (second, polls) = (1_000 * MS, 16_000);
        assert!(readings(&sharers, second, polls, US) < polls / 12);
        let four = readings(&sharers, 2 * second, polls, 4 * US);
        assert!((polls / 5..polls / 2).contains(&four), "{four}");
        // From 25 µs on each is read.
        assert!(readings(&sharers, 3 * second, polls, 30 * US) >= polls - 16);
    }

    #[test]
    fn where_short_stalls_are_looked_for_nobody_shares() {
        let unread = Unread::new(ClockScale::MONOTONIC, MS);
        let (sharers, start) = (Sharers::none(), 1_000 * MS);
        for now in start..start + 100 {
            sharers.begin(now, start, unread);
            assert_eq!(sharers.started(start), None);
        }
    }

    #[test]
    fn nobody_shares_over_a_beat_or_with_one_that_is_old() {
        let unread = Unread::new(ClockScale::MONOTONIC, 10 * MS);
        let (sharers, start) = (Sharers::none(), 1_000 * MS);
        sharers.begin(start, start, unread);
        sharers.begin(start + US, start, unread);
        assert_eq!(sharers.started(start), Some(start + US));
        sharers.begin(start + 2 * US, start, unread);
        assert_eq!(sharers.started(start + 3 * US), None, "it has moved on");
        sharers.begin(start + 3 * US, start - MS, unread);
        assert_eq!(sharers.started(start - MS), None, "it is old");
        sharers.begin(start + 4 * US, 0, unread);
        assert_eq!(sharers.started(0), None, "there is none");
    }
}
