//! Which part of a thread's CPU and run-queue time belongs to a stall, if the last reading was
//! taken some time before it.
//!
//! Never reads a clock.

use crate::thread_times::ThreadTimes;

/// The time from the last reading to the end of a stall.
pub(super) struct Interval {
    pub(super) wall_ns: u64,
    pub(super) spent: ThreadTimes,
    /// In polls before the stall.
    pub(super) polled_ns: u64,
    /// The share of the time between polls in which the thread ran before this interval, in 1,024ths.
    /// It is assumed to have stayed the same.
    pub(super) running_between: u64,
}

impl Interval {
    /// The part that belongs to the stall, which is the last `ns` of the interval.
    pub(super) fn share_of_last(&self, ns: u64) -> ThreadTimes {
        let ThreadTimes { cpu_ns: cpu_all_ns, run_queue_ns: queue_all_ns } = self.spent;
        let between_ns = self.wall_ns.saturating_sub(self.polled_ns).saturating_sub(ns);
        // Earlier polls are assumed to have computed all the time.
        let before_ns = self.polled_ns + between_ns * self.running_between / 1_024;
        let cpu_ns = cpu_all_ns.saturating_sub(before_ns).min(ns);
        let run_queue_ns = queue_all_ns.min(ns - cpu_ns);
        // The stall cannot have been blocked for longer than the thread was blocked in the whole
        // interval. The excess was CPU time of the stall, and the earlier polls waited for a CPU.
        let blocked_max_ns = self.wall_ns.saturating_sub(cpu_all_ns).saturating_sub(queue_all_ns);
        let excess_ns = (ns - cpu_ns - run_queue_ns).saturating_sub(blocked_max_ns);
        ThreadTimes { cpu_ns: (cpu_ns + excess_ns).min(cpu_all_ns).max(cpu_ns), run_queue_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_a_stall_is_not_laid_at_its_door() {
        let share = |wall, cpu, queue, polled, ns| {
            let spent = ThreadTimes { cpu_ns: cpu, run_queue_ns: queue };
            let interval = Interval { wall_ns: wall, spent, polled_ns: polled, running_between: 0 };
            let share = interval.share_of_last(ns);
            (share.cpu_ns, share.run_queue_ns, ns - share.cpu_ns - share.run_queue_ns)
        };
        // Busy polls before it, then computing all along.
        assert_eq!(share(11, 11, 0, 1, 10), (10, 0, 0));
        // Idle before it, then asleep.
        assert_eq!(share(11, 0, 0, 0, 10), (0, 0, 10));
        // Idle before it, then half computing and half waiting for a CPU.
        assert_eq!(share(11, 5, 5, 0, 10), (5, 5, 0));
        // The polls before it were held up, so they ran for less than they lasted.
        assert_eq!(share(20, 12, 8, 10, 10), (2, 8, 0));
        assert_eq!(share(20, 16, 4, 10, 10), (6, 4, 0));
        assert_eq!(share(20, 20, 0, 12, 8), (8, 0, 0));
    }

    #[test]
    fn a_busy_loop_ran_between_its_polls_as_well() {
        let share = |running_between| {
            let spent = ThreadTimes { cpu_ns: 1_000, run_queue_ns: 0 };
            let interval = Interval { wall_ns: 6_000, spent, polled_ns: 800, running_between };
            interval.share_of_last(5_000).cpu_ns
        };
        // 200 between polls: the stall's, or the runtime's.
        assert_eq!(share(0), 200);
        assert_eq!(share(1_024), 0);
    }
}
