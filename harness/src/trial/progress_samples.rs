//! How far a subject had come at moments of its window, so that a trial that was not steady can
//! be told from one that was.
//!
//! Reads the counters on the board from outside, a few dozen times at the most, and never
//! judges them.

use std::time::{Duration, Instant};

use quadrant_suite::board::Board;
use quadrant_suite::plan::{Group, Plan};

/// Enough for two halves of ten readings each. With thousands of loops a reading costs a
/// microsecond for every ten of them, so it is not made at every look.
const READINGS: u32 = 20;

/// What is read while the window is open; nothing where that would say nothing.
pub struct ProgressSamples {
    began: Instant,
    every: Duration,
    /// What was done before the window.
    before: u64,
    /// Nanoseconds since the window opened, and what was done until then.
    points: Vec<(u64, u64)>,
    watches: bool,
    has_load: bool,
}

impl ProgressSamples {
    /// The window has just been opened, for `measure`.
    ///
    /// Work of a fixed amount runs out at its end, and is unsteady by its nature.
    pub fn begin(board: &Board, plan: &Plan, measure: Duration) -> Self {
        let has_load = plan.server.is_some();
        Self {
            began: Instant::now(),
            every: measure / READINGS,
            before: board.done(has_load),
            points: Vec::new(),
            watches: !plan.groups.iter().any(Group::is_of_fixed_work),
            has_load,
        }
    }

    /// Reads the counters if it is time.
    pub fn look(&mut self, board: &Board) {
        let last = self.points.last().map_or(0, |point| point.0);
        let due = Duration::from_nanos(last) + self.every;
        if self.watches && self.began.elapsed() >= due {
            self.read(board);
        }
    }

    /// The window was closed.
    pub fn end(mut self, board: &Board) -> Vec<(u64, u64)> {
        if self.watches {
            self.read(board);
        }
        self.points
    }

    fn read(&mut self, board: &Board) {
        let elapsed_ns = self.began.elapsed().as_nanos() as u64;
        self.points.push((elapsed_ns, board.done(self.has_load).saturating_sub(self.before)));
    }
}
