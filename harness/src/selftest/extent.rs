//! How much is measured: everything the demands ask for, or a short look.
//!
//! Numbers alone; what they are for stands where they are used.

use std::time::Duration;

/// Samples and times.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// For each threshold in ms: stalls long enough to have to be found.
    pub long_stalls: [(u64, u32); 3],
    /// In a busy server, at two thresholds.
    pub loaded_stalls: [u32; 2],
    /// The same beside hogs.
    pub crowded_stalls: u32,
    pub quiet: Duration,
    pub frozen_window: Duration,
    pub timer_window: Duration,
    pub watched_window: Duration,
    /// Out of which comparisons are drawn.
    pub starts: u32,
    pub start: Duration,
    /// For each subject, with instruments and without.
    pub cost_bouts: u32,
    pub cost_bout: Duration,
}

impl Extent {
    /// The demands speak of at least 190 injections; a few more allow for one that is cut off.
    pub const FULL: Extent = Extent {
        long_stalls: [(1, 200), (5, 200), (10, 200)],
        loaded_stalls: [200, 60],
        crowded_stalls: 96,
        quiet: Duration::from_millis(3_000),
        frozen_window: Duration::from_millis(1_400),
        timer_window: Duration::from_millis(500),
        watched_window: Duration::from_millis(800),
        starts: 40,
        // As in a duel by default.
        start: Duration::from_millis(1_000),
        cost_bouts: 6,
        cost_bout: Duration::from_millis(800),
    };

    pub const QUICK: Extent = Extent {
        long_stalls: [(1, 100), (5, 30), (10, 20)],
        loaded_stalls: [60, 12],
        crowded_stalls: 18,
        quiet: Duration::from_millis(700),
        frozen_window: Duration::from_millis(1_000),
        timer_window: Duration::from_millis(200),
        watched_window: Duration::from_millis(300),
        starts: 8,
        start: Duration::from_millis(200),
        cost_bouts: 2,
        cost_bout: Duration::from_millis(300),
    };
}
