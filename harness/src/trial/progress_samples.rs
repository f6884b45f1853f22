//! Samples of a subject's progress during its window, by which an unsteady trial is recognised.
//!
//! Reads the counters on the board from outside, a few dozen times at the most, and never judges them.

use std::time::{Duration, Instant};

use quadrant_suite::board::Board;
use quadrant_suite::plan::{Group, Plan};

/// Enough for two halves of ten readings each. With thousands of loops a reading costs a
/// microsecond for every ten of them, so not every look takes one.
const READINGS: u32 = 20;

/// Taken while the window is open; none of work that cannot be steady.
pub struct ProgressSamples {
    began: Instant,
    every: Duration,
    /// Operations done before the window.
    before: u64,
    /// Nanoseconds since the window opened, and operations done until then.
    points: Vec<(u64, u64)>,
    is_sampled: bool,
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
            is_sampled: !plan.groups.iter().any(Group::is_of_fixed_work),
            has_load,
        }
    }

    /// Reads the counters if it is time.
    pub fn look(&mut self, board: &Board) {
        let last = self.points.last().map_or(0, |point| point.0);
        let due = Duration::from_nanos(last) + self.every;
        if self.is_sampled && self.began.elapsed() >= due {
            self.read(board);
        }
    }

    /// The window was closed.
    pub fn end(mut self, board: &Board) -> Vec<(u64, u64)> {
        if self.is_sampled {
            self.read(board);
        }
        self.points
    }

    fn read(&mut self, board: &Board) {
        let elapsed_ns = self.began.elapsed().as_nanos() as u64;
        self.points.push((elapsed_ns, board.done(self.has_load).saturating_sub(self.before)));
    }
}
