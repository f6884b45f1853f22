//! What each column means, in plain words, once at the end of a run.
//!
//! Never explains a column that no table of the run had.

use std::collections::BTreeSet;

use crate::columns::Kind;

/// A name and a sentence for each kind of column that appeared.
pub(crate) fn legend(kinds: &BTreeSet<Kind>) -> Vec<(&'static str, &'static str)> {
    kinds.iter().map(|kind| line(*kind)).collect()
}

fn line(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Throughput => (
            "…/s",
            "operations completed per second: the median of the trials, ± half of their range",
        ),
        Kind::Standing => (
            "against",
            "best: highest median, and nobody who came near may be faster. same: no difference worth choosing by. 0.66×: this share of the highest one's throughput, beyond noise. unclear: the trials vary too much to say; more of them would tell (--trials). ~: one trial only, so nothing is sure. served 2 of 9: the other connections got no answer, so it is not compared",
        ),
        Kind::Latency => (
            "latency",
            "half of all operations (p50), and 99 of 100 (p99), took at most this long; all trials taken together",
        ),
        Kind::InFlight => (
            "in flight",
            "operations begun and not yet ended at one time: the most, and (the mean) where it differs",
        ),
        Kind::Workers => (
            "workers",
            "threads that the subject was told to run tasks on, and (how many were asked for) where its executor has a number of its own. per task: a thread for each task",
        ),
        Kind::Threads => (
            "threads",
            "the most operating system threads of the subject at one time, and (how many of them ran tasks); kernel: io_uring's own workers",
        ),
        Kind::Stalls => (
            "stalls",
            "how often a task kept its thread this long without giving it back, in all trials, the longest time, and where most of all that time went: computing (cpu), waiting while others had the CPU (queue), waiting for something in mid-poll (blocked), or not over when the measuring was (unended); – is never",
        ),
        Kind::Impact => (
            "ping",
            "how late the loop answered 99 of 100 pings from outside: what its stalls mean to others",
        ),
        Kind::Group => {
            ("other …/s", "what the other tasks of the scenario completed per second, meanwhile")
        }
        Kind::Cpu => (
            "CPU per …",
            "CPU time of all the subject's threads, the kernel's work for them included, per operation",
        ),
        Kind::Memory => ("memory", "the most resident memory of the subject's process"),
        Kind::Syscalls => (
            "syscalls",
            "system calls of the subject per operation, counted in a pass of its own that nobody timed, without those of the poll wrapper",
        ),
        Kind::Backend => (
            "backend",
            "what the operations of that pass were seen to wait by. unknown: the calls do not decide. !: not what the subject says. files: read by io_uring's ring, by a pool of threads, or inline on the threads that run tasks",
        ),
        Kind::Step => ("step …", "latency of that named step alone"),
        Kind::Change => (
            "NEW/BASE",
            "the ratio of the means over the trials, and where it lies in 95 of 100 such comparisons. better, worse: all of that lies beyond the threshold. ?: the trials vary too much to say",
        ),
    }
}
