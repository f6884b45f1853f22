//! Slow backends: queries take as long as their backend, and pools hold.

use std::time::Duration;

use quadrant_reports::record::Status;

use crate::stage::Stage;

const LIMIT: Duration = Duration::from_secs(120);
const ANSWER_AFTER_NS: u64 = 20_000_000;

/// 12 tasks and 4 connections: a query waits for two others.
const POOLED: &str = "\
name: pooled
question: Does a pool hold?
axes:
  how: [await, offload]
backends:
  db: { latency: 20ms, answer: 100KiB, pool: 4 }
tasks:
  - name: asking
    count: 12
    steps:
      - query: { how: $how }
      - yield
time: { warmup: 50ms, measure: 600ms }
";

pub fn a_pool_limits_the_queries_at_once() {
    let stage = Stage::new();
    let spec = stage.write("pooled.yaml", POOLED);
    let words = [&*spec, "--trials", "1", "-r", "threads", "-r", "mio/futures"];
    let (_, records) = stage.measure(&words, &[], LIMIT);
    stage.assert_empty();
    assert_eq!(records.len(), 4);
    for record in records {
        let subject = &record.subject.id;
        assert_eq!(record.status, Status::Ok, "{subject}: {:?}", record.reason);
        let metrics = record.metrics.unwrap();
        let responder = metrics.responder.unwrap();
        let [db] = responder.backends.as_slice() else { panic!("{subject}: one backend") };
        assert_eq!((&*db.name, db.in_flight_peak), ("db", 4), "{subject}");
        assert_eq!((db.delay_ns.min, db.delay_ns.max), (ANSWER_AFTER_NS, ANSWER_AFTER_NS));
        assert!(db.answers > 0 && responder.busy_ns > 0, "{subject}");
        // An operation has waited for its connection, and then for its answer.
        assert!(metrics.ops > 0 && metrics.latency_ns.min >= ANSWER_AFTER_NS, "{subject}");
        assert!(metrics.steps["db-wait"].max >= ANSWER_AFTER_NS, "{subject}");
    }
}
