//! Steps by which tasks wait for each other or drop work: on a runtime with its own types and on one
//! without, on several threads.

use std::time::Duration;

use quadrant_reports::record::{Metrics, Status};

use crate::stage::Stage;

const LIMIT: Duration = Duration::from_secs(60);

const ALL: &str = "\
name: sharing
question: Do tasks wait for each other, and is cancelled work gone?
workers: 2
tasks:
  - name: consumer
    count: 3
    steps:
      - receive_from: jobs
      - lock: { name: table, steps: [{ hash: 10 }, yield] }
  - name: producer
    count: 5
    steps: [{ send_to: { channel: jobs, capacity: 4 } }]
  - name: sleeper
    count: 50
    steps: [{ sleep: 1ms }, barrier]
time: { warmup: 50ms, measure: 300ms }
";

const CANCELLING: &str = "\
name: cancelling
question: Is cancelled work gone?
workers: 2
tasks:
  - name: caller
    count: 10
    steps:
      - timeout: { for: 2ms, as: slow, steps: [{ sleep: 10s }, { hash: 1 }] }
      - timeout: { for: 10s, as: quick, steps: [yield] }
      - race: [{ sleep: 1ms }, { sleep: 10s }, { sleep: 10s }]
time: { warmup: 50ms, measure: 300ms }
expect:
  - steps.slow.cancelled: \"> 0\"
    steps.quick.cancelled: 0
";

fn measure(text: &str, subject: &str) -> Result<Metrics, (Status, String)> {
    let stage = Stage::new();
    let spec = stage.write("spec.yaml", text);
    let (_, records) = stage.measure(&[&spec, "--trials", "1", "-r", subject], &[], LIMIT);
    assert_eq!(records.len(), 1);
    let record = records.into_iter().next().unwrap();
    let reason = record.reason.unwrap_or_default();
    record.metrics.ok_or((record.status, reason))
}

pub fn tasks_wait_for_each_other_in_the_runtimes_own_way() {
    for (subject, lock) in [
        ("tokio/multi-thread/epoll", "tokio::sync::Mutex"),
        ("smol/multi-thread/epoll", "async_lock::Mutex"),
        ("threads", "std::sync::Mutex"),
    ] {
        let metrics = measure(ALL, subject).unwrap();
        for row in ["receive_from", "lock", "send_to", "barrier"] {
            assert!(!metrics.steps[row].histogram.is_empty(), "{subject}: {row}");
        }
        assert_eq!(metrics.shared_types["lock"], lock);
    }
}

pub fn cancelled_work_is_counted_and_gone() {
    for subject in ["tokio/multi-thread/epoll", "smol/multi-thread/epoll"] {
        let metrics = measure(CANCELLING, subject).unwrap();
        let cancelled = |step: &str| metrics.cancelled[step];
        let done = |step: &str| metrics.steps[step].histogram.count();
        assert!(cancelled("slow") > 0, "{subject}");
        assert_eq!(cancelled("quick"), 0, "{subject}");
        // A race that ends at the edge of the window may be counted on one side of it only.
        assert!(cancelled("race").abs_diff(2 * done("race")) <= 2 * 10, "{subject}");
    }
    let (status, reason) = measure(CANCELLING, "threads").unwrap_err();
    assert_eq!(status, Status::Unsupported);
    assert!(reason.contains("its calls block"), "{reason}");
}

const FORCED: &str = "\
name: forced
question: Who completes an operation for which the thread waits on the spot?
tasks:
  - { name: waiter, count: 3, steps: [{ sleep: { for: 1ms, how: forced } }] }
time: { warmup: 50ms, measure: 200ms }
";

pub fn forced_waits_end_only_where_something_completes_them() {
    // smol's own `block_on` runs its timers; tokio's would be run by the thread that is parked.
    for subject in ["smol/single-thread/epoll", "smol/multi-thread/epoll", "async-std/**/epoll"] {
        let metrics = measure(FORCED, subject).unwrap();
        assert!(metrics.ops > 0, "{subject}: {metrics:?}");
    }
    let (status, reason) = measure(FORCED, "tokio/current-thread/epoll").unwrap_err();
    assert_eq!(status, Status::TimedOut, "{reason}");
}
