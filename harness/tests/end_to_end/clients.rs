//! Clients of all kinds in one load, served by subjects of several kinds.

use std::time::Duration;

use quadrant_reports::record::Status;

use crate::stage::Stage;

const LIMIT: Duration = Duration::from_secs(60);

const ALL_KINDS: &str = "\
name: clients
question: Is every kind of client served?
server: { steps: [echo] }
load:
  - { name: mixed, connections: 5, send: [{ size: 64B, weight: 9 }, { size: 16KiB }] }
  - { name: pipelined, connections: 2, send: 64B, pipeline: 4 }
  - { name: in-parts, connections: 2, send: 64B, fragments: { of: 30B, pause: 1ms } }
  - { name: slow-readers, connections: 2, send: 16KiB, read: { of: 4KiB, pause: 1ms } }
  - { name: users, connections: 20, send: 64B, think: 10ms }
  - { name: new-each-time, connections: 2, send: 64B, requests: 1 }
time: { warmup: 50ms, measure: 500ms }
";
const CONNECTIONS: [(&str, u64); 6] = [
    ("mixed", 5),
    ("pipelined", 2),
    ("in-parts", 2),
    ("slow-readers", 2),
    ("users", 20),
    ("new-each-time", 2),
];

pub fn each_group_of_clients_has_its_own_figures() {
    let stage = Stage::new();
    let spec = stage.write("clients.yaml", ALL_KINDS);
    let what = [&*spec, "--trials", "1", "-r", "tokio/current-thread/epoll", "-r", "threads"];
    let (_, records) = stage.measure(&what, &[], LIMIT);
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!((record.status, &record.reason), (Status::Ok, &None));
        let metrics = record.metrics.unwrap();
        let groups = &metrics.groups;
        let load = |index: usize| groups[index].load.as_ref().unwrap();
        let seen: Vec<_> =
            (0..groups.len()).map(|it| (&*groups[it].name, load(it).connections)).collect();
        assert_eq!(seen, CONNECTIONS);
        assert_eq!(groups.iter().map(|group| group.ops).sum::<u64>(), metrics.ops);
        for (index, group) in groups.iter().enumerate() {
            assert!(group.ops > 0, "{}: {}", record.subject.id, group.name);
            assert_eq!(load(index).connect_ns.is_some(), group.name == "new-each-time");
        }
    }
}
