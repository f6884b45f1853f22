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
    /// The same beside processes that want the same CPUs.
    pub crowded_stalls: u32,
    pub quiet: Duration,
    pub frozen_window: Duration,
    pub timer_window: Duration,
    pub watched_window: Duration,
    pub nested_window: Duration,
    pub big_reads_window: Duration,
    /// Of one subject beside itself with more to do; comparisons are drawn out of them.
    pub starts: u32,
    pub start: Duration,
    /// Of every subject beside a copy.
    pub copies_starts: u32,
    pub copies_start: Duration,
    /// Of four copies of one subject.
    pub position_starts: u32,
    pub position_start: Duration,
    /// Of every subject with instruments and without, at two numbers of connections.
    pub cost_starts: u32,
    pub cost_start: Duration,
}

impl Extent {
    /// The demands speak of at least 190 injections; a few more allow for one that is cut off.
    pub const FULL: Extent = Extent {
        long_stalls: [(1, 200), (5, 200), (10, 200)],
        loaded_stalls: [120, 60],
        crowded_stalls: 60,
        quiet: Duration::from_millis(1_500),
        frozen_window: Duration::from_millis(1_400),
        timer_window: Duration::from_millis(500),
        watched_window: Duration::from_millis(800),
        nested_window: Duration::from_millis(700),
        big_reads_window: Duration::from_millis(1_000),
        starts: 30,
        start: Duration::from_millis(500),
        copies_starts: 10,
        copies_start: Duration::from_millis(250),
        position_starts: 44,
        position_start: Duration::from_millis(530),
        cost_starts: 6,
        cost_start: Duration::from_millis(300),
    };

    pub const QUICK: Extent = Extent {
        long_stalls: [(1, 100), (5, 30), (10, 20)],
        loaded_stalls: [60, 12],
        crowded_stalls: 18,
        quiet: Duration::from_millis(500),
        frozen_window: Duration::from_millis(1_000),
        timer_window: Duration::from_millis(200),
        watched_window: Duration::from_millis(300),
        nested_window: Duration::from_millis(300),
        big_reads_window: Duration::from_millis(300),
        starts: 8,
        start: Duration::from_millis(200),
        copies_starts: 3,
        copies_start: Duration::from_millis(100),
        position_starts: 8,
        position_start: Duration::from_millis(200),
        cost_starts: 2,
        cost_start: Duration::from_millis(120),
    };
}
