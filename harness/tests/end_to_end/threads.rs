//! The count of threads against known numbers: very many at once, and many short-lived ones.

use std::time::Duration;

use quadrant_reports::record::{Metrics, Record};

use crate::skip::{Need, skip};
use crate::stage::Stage;

const SHORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/short-lived.yaml");
const MANY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/two-thousand.yaml");
const HOLDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/holding.yaml");
const LIMIT: Duration = Duration::from_secs(240);
/// The thread of the root, and the one that receives messages of the harness.
const BESIDE_TASKS: u64 = 2;

fn metrics(spec: &str) -> Vec<Metrics> {
    let stage = Stage::new();
    let (_, records) = stage.measure(&[spec, "-r", "threads", "--trials", "2"], &[], LIMIT);
    let mut found = Vec::new();
    for Record { status, reason, metrics, .. } in records {
        let reason = reason.unwrap_or_default();
        match metrics {
            Some(metrics) => found.push(metrics),
            // Not every machine allows that many threads.
            None => assert!(reason.contains("threads"), "{status:?}: {reason}"),
        }
    }
    if found.is_empty() {
        skip(Need::Other, "that many threads are not allowed here");
    }
    found
}

pub fn two_thousand_threads_are_counted_exactly() {
    for metrics in metrics(MANY) {
        let threads = &metrics.threads;
        // They live for the whole window, so every method counts them all.
        assert_eq!(threads.peak, 2_000 + BESIDE_TASKS, "{}", threads.method);
        assert_eq!(threads.loops, 2_000 + 1, "the root runs no task of the suite");
        assert_eq!(metrics.concurrency.peak, 2_000);
        assert!(threads.names.values().sum::<u64>() <= threads.peak, "{:?}", threads.names);
    }
}

pub fn as_many_workers_run_tasks_as_asked() {
    for workers in ["1", "3"] {
        let stage = Stage::new();
        let what =
            [HOLDING, "-r", "smol/multi-thread/**", "-r", "async-std/**", "--workers", workers];
        let (_, records) = stage.measure(&[&what[..], &["--trials", "1"]].concat(), &[], LIMIT);
        assert!(records.len() >= 4, "usual builds and variants: {records:?}");
        for Record { subject, metrics, reason, .. } in records {
            let Some(metrics) = metrics else { panic!("{}: {reason:?}", subject.id) };
            assert_eq!(metrics.threads.loops.to_string(), workers, "{}", subject.id);
            assert_eq!(metrics.concurrency.peak.to_string(), workers, "{}", subject.id);
        }
    }
}

pub fn short_lived_threads_are_counted_or_sampled() {
    for metrics in metrics(SHORT) {
        assert_eq!(metrics.ops, 300);
        let threads = &metrics.threads;
        // Three tasks and a thread for each of their operations. The thread that receives messages
        // of the harness may start before the window or in it.
        match threads.created {
            Some(created) => assert!((303..=304).contains(&created), "{created}"),
            None => skip(Need::Bpf, "created threads cannot be counted here"),
        }
        // The tasks with some of these threads, including those that are just ending.
        if threads.method == "pids cgroup" {
            assert!((3 + BESIDE_TASKS + 1..300).contains(&threads.peak), "{}", threads.peak);
        } else {
            assert_eq!(threads.method, "sampled every 10 ms");
            skip(Need::Cgroups, "a pids cgroup cannot be made here");
        }
    }
}
