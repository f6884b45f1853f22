//! Each step in each of its ways gives right answers, on a runtime whose calls block and on one whose
//! calls do not.

use std::time::Duration;

use quadrant_reports::record::Status;

use crate::stage::Stage;

const SCENARIOS: [(&str, &str); 3] = [
    (
        "sockets",
        "\
name: sockets
question: Does each way give right answers?
axes:
  how: [await, blocking, polling, offload]
  new: [false, true]
server: { steps: [recv: $how, query: { how: $how, new: $new }, connect: { how: $how }, send: $how] }
load: { connections: 3, send: 64B }
backends: { latency: 1ms }
time: { warmup: 20ms, measure: 100ms }
",
    ),
    (
        "files",
        "\
name: files
question: Does each way give right answers?
axes:
  how: [await, blocking, polling, offload]
files: { count: 20, size: 20KiB }
tasks:
  - { name: reader, count: 3, steps: [read_file: { how: $how }, yield] }
time: { warmup: 20ms, measure: 100ms }
",
    ),
    (
        "meeting",
        "\
name: meeting
question: Does each way give right answers?
axes:
  how: [await, polling]
tasks:
  - name: parent
    count: 3
    steps:
      - spawn: { count: 3, steps: [{ lock: { name: table, how: $how, steps: [yield] } }] }
      - join: $how
time: { warmup: 20ms, measure: 100ms }
",
    ),
];

pub fn each_way_of_each_step_is_right() {
    let stage = Stage::new();
    for (name, text) in SCENARIOS {
        let file = stage.write(&format!("{name}.yaml"), text);
        let subjects = ["-r", "threads", "-r", "tokio/current-thread/epoll"];
        let words = [&[file.as_str()][..], &subjects].concat();
        let (ended, records) = stage.measure(&words, &["--trials", "1"], Duration::from_secs(90));
        assert!(records.len() >= 4, "{}", ended.stderr);
        for record in records {
            let case = format!("{name} {:?} on {}", record.case, record.subject.id);
            assert_eq!(record.status, Status::Ok, "{case}: {:?}", record.reason);
            assert!(record.metrics.is_some_and(|metrics| metrics.ops > 0), "{case}");
        }
    }
}
