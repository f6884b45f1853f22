//! Files: a big one does not stall a runtime that reads on a pool, cold ones are not in the page
//! cache, and written ones are compared.

use std::collections::BTreeSet;
use std::time::Duration;

use quadrant_reports::record::{Metrics, Record, Status};

use crate::skip::{Need, skip};
use crate::stage::{Stage, Subject, ordinary_subjects};

const LIMIT: Duration = Duration::from_secs(120);

/// 64 MiB per read, and a ticker every 5 ms on the same loop.
const BIG: &str = "\
name: big-file
question: Does reading a big file hold up the loop?
files: { count: 2, size: 64MiB }
tasks:
  - name: reader
    steps: [read_file]
  - name: ticker
    every: 5ms
    steps: [yield]
time: { warmup: 200ms, measure: 2s }
";

fn cold(files: u32) -> String {
    format!(
        "name: cold-{files}\nquestion: Is what is read cold?\n\
         files: {{ count: {files}, size: 4KiB, cache: cold }}\n\
         tasks:\n  - name: reader\n    steps: [read_file]\n\
         time: {{ warmup: 50ms, measure: 2s }}\n"
    )
}

fn figures(record: &Record) -> &Metrics {
    assert_eq!(record.status, Status::Ok, "{:?}", record.reason);
    record.metrics.as_ref().unwrap()
}

/// Whether the loop stalled in at most one read of ten. Time in the run queue does not count: other
/// processes cause it, not the runtime.
fn seldom_stalls(record: &Record) -> bool {
    let (reads, stalls) = (figures(record).ops, &figures(record).stalls);
    let own_ns = stalls.cpu_ns + stalls.blocked_ns;
    assert!(reads > 0, "{}", record.subject.id);
    stalls.count * 10 <= reads || own_ns < stalls.count * stalls.threshold_ns
}

pub fn pool_reads_of_a_big_file_seldom_stall() {
    let stage = Stage::new();
    let spec = stage.write("big.yaml", BIG);
    for subject in ["tokio/current-thread/epoll", "smol/single-thread/epoll"] {
        let seldom = |_| {
            let (_, records) = stage.measure(&[&spec, "--trials", "3", "-r", subject], &[], LIMIT);
            assert_eq!(records.len(), 3);
            records.iter().any(seldom_stalls)
        };
        // Noise may affect some of the trials; a stall of the suite would show in all.
        assert!((0..4).any(seldom), "{subject} stalls in more than one read of ten");
    }
}

pub fn cold_reads_are_cold_or_warned_of() {
    let stage = Stage::new();
    if quadrant::fixtures::is_memory_backed(&stage.temporary()) {
        return skip(Need::Other, "the files would live in memory, where nothing is cold");
    }
    let [many, one] = [4_096, 1].map(|files| stage.write(&format!("{files}.yaml"), &cold(files)));
    let subjects = ["tokio/current-thread/epoll", "threads/thread-per-task/blocking"];
    let what = [&*many, &one, "--trials", "3", "-r", subjects[0], "-r", subjects[1]];
    let (_, records) = stage.measure(&what, &[], LIMIT);
    assert_eq!(records.len(), 12);
    for subject in subjects {
        let is_warned = |scenario| {
            let of = move |record: &&Record| record.scenario == scenario;
            let warned = |record: &Record| {
                assert!(figures(record).ops > 0);
                record.warnings.iter().any(|text| text.contains("came from the device"))
            };
            let own = records.iter().filter(|record| record.subject.id == subject);
            own.filter(of).map(warned).collect::<Vec<_>>()
        };
        // On a busy machine some files may be dropped from the cache too late.
        assert!(is_warned("cold-4096").contains(&false), "{subject}");
        // A single file cannot be dropped from the cache between two reads.
        assert_eq!(is_warned("cold-1"), [true; 3], "{subject}");
    }
}

const WRITING: &str = "\
name: writing
question: Does every file hold what was written?
tasks:
  - { name: durable, count: 2, steps: [{ write_file: { size: 4KiB, sync: true } }] }
  - { name: quick, count: 3, steps: [{ write_file: 20KiB }] }
  - { name: waiting, count: 1, steps: [{ write_file: { size: 4KiB, how: blocking } }] }
time: { warmup: 50ms, measure: 200ms }
";

pub fn written_files_hold_what_was_written() {
    let stage = Stage::new();
    let spec = stage.write("writing.yaml", WRITING);
    let claims = |subject: &&Subject| subject.capabilities.contains("write-files");
    let mut runtimes = BTreeSet::new();
    for subject in ordinary_subjects().iter().filter(claims).filter(|it| it.available) {
        if !runtimes.insert((&subject.runtime, &subject.backend)) {
            continue;
        }
        let what = [&spec, "--trials", "1", "-r", &subject.id];
        let (_, records) = stage.measure(&what, &[], Duration::from_secs(60));
        let metrics = records[0].metrics.as_ref();
        let metrics = metrics.unwrap_or_else(|| panic!("{}: {:?}", subject.id, records[0].reason));
        assert!(metrics.groups.iter().all(|group| group.ops > 0), "{}", subject.id);
        stage.assert_soon_no_process();
    }
    assert!(runtimes.len() >= 6, "{runtimes:?}");
}
