//! What each column means, in plain words, for those who ask.
//!
//! Never explains a column that no table of the run had.

use std::collections::BTreeSet;

use crate::table::{Heading, Item, Part, Tint};

/// Stands among the names of columns if there is a summary.
pub(crate) const SUMMARY: &str = "summary";

/// A sentence for each name that appeared.
pub(crate) fn legend(names: &BTreeSet<&str>) -> Vec<Part> {
    let shown = MEANINGS.iter().filter(|(name, _)| names.contains(name));
    let items = shown.map(|(name, meaning)| Item::new(Tint::Bold, *name, *meaning));
    vec![Part::Heading(Heading::new("what the columns mean")), Part::List(items.collect())]
}

/// With the words of the summary.
const MEANINGS: [(&str, &str); 18] = [
    (
        "rate",
        "operations completed per second. in turns: over all turns of all starts, while the other subjects were frozen; else the median of the trials. ±: half of the range over starts or trials",
    ),
    (
        "best",
        "against the best. best: ahead of all others. joint best: the highest of a leading group. same (< 4 %): in that group, and less than 4 % from the best. may be best: in that group, because the range includes the best. 0.79× (0.61…0.85): this share of the best, and the range that holds the true one in 99 of 100 cases. reference: there for others to be compared with, not ranked. against the best row, where rows are the values of an axis: by trials alone, case after case; cannot tell: the range includes the best row. ~: too few trials for a range. served 2 of 9: the other connections got no answer, so it is not compared",
    ),
    (
        "besides",
        "more, less CPU: where throughput does not differ from the best, and CPU time per operation does. two speeds: from start to start it has one or the other, as shares of the best",
    ),
    ("p50", "half of all operations took at most this long; all trials together"),
    ("p99", "99 of 100 operations took at most this long; all trials together"),
    (
        "in-flight",
        "operations begun and not yet ended: the most at one time, and (the mean) where it is lower",
    ),
    (
        "workers",
        "threads that the subject was given to run tasks on, and (how many were asked for) if that differs. per task: one thread for each task",
    ),
    (
        "threads",
        "the most threads of the subject at one time, and (how many of them ran tasks); kernel: io_uring's own workers",
    ),
    (
        "stalls",
        "how often a task held its thread for this long or longer, the longest time, and where most of the time went: computing (cpu), waiting for a CPU (queue), waiting in the middle of a poll (blocked), or still going on at the end (unended); – is never",
    ),
    ("ping", "how late the loop answered 99 of 100 pings from outside"),
    ("others", "what the other tasks of the scenario completed per second"),
    (
        "cpu",
        "CPU time of all threads of the subject per operation, with the kernel's work for them",
    ),
    (
        "page-faults",
        "per operation: memory that is given back and taken again, or touched for the first time",
    ),
    ("memory", "the most resident memory of the subject's process"),
    (
        "syscalls",
        "system calls of the subject per operation, counted in a pass of its own that is not timed",
    ),
    (
        "backend",
        "what operations were seen to wait by. unknown: the calls do not decide. !: not what the subject claims. files: read by io_uring's ring, by a pool of threads, or inline on the threads that run tasks",
    ),
    (
        "steps",
        "latency of that named step alone: for a lock the time to get it, for a barrier how late a task went on after all had arrived; cancelled: programs dropped before their end, in all trials",
    ),
    (
        SUMMARY,
        "counts cases. best: ahead of all others. among the best: in the leading group, which holds every subject not shown to be behind. a = b: both lead in as many cases. Choose by the scenario that resembles your program",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case_table::CaseTable;
    use crate::tests::sample;
    use crate::view::{BY_IMPORTANCE, View};

    #[test]
    fn every_column_has_a_meaning() {
        let cases = [
            sample::everything(),
            sample::open_loop(),
            sample::with_workers(),
            sample::with_evidence(),
            sample::both_passes(),
        ];
        let mut names: BTreeSet<&str> = cases
            .iter()
            .flat_map(|case| CaseTable::new(case, &View::default(), usize::MAX).unwrap().columns)
            .collect();
        let known: BTreeSet<&str> = MEANINGS.iter().map(|(name, _)| *name).collect();
        names.insert(SUMMARY);
        assert_eq!(names, known);
        names.remove(SUMMARY);
        assert_eq!(names, BTreeSet::from(BY_IMPORTANCE));
    }
}
