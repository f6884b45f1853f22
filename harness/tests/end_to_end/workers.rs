//! Numbers of workers: those a scenario asks for, and those each subject has.

use std::time::Duration;

use quadrant_reports::record::Record;

use crate::stage::Stage;

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/workers.yaml");
const LIMIT: Duration = Duration::from_secs(240);
/// One subject of each kind: as many workers as asked, one worker, one thread per task.
const SUBJECTS: [&str; 3] = ["tokio/multi-thread/epoll", "tokio/current-thread/epoll", "threads"];

fn run(stage: &Stage, options: &[&str]) -> (String, Vec<Record>) {
    let mut what = vec![SPEC, "--quick"];
    what.extend(SUBJECTS.iter().flat_map(|subject| ["-r", *subject]));
    what.extend(options);
    let (ended, records) = stage.measure(&what, &[], LIMIT);
    (ended.stderr, records)
}

/// For each kind of subject in one case: the workers asked for and the workers it had.
fn workers(records: &[Record], loops: &str) -> Vec<(Option<u32>, u32)> {
    let of_case = records.iter().filter(|record| record.case[0].value == loops);
    let mut workers: Vec<_> = of_case
        .map(|record| (record.subject.id.clone(), record.workers_asked, record.subject.workers))
        .collect();
    workers.sort();
    workers.into_iter().map(|(_, asked, had)| (asked, had)).collect()
}

pub fn cases_have_the_workers_they_ask_for() {
    let stage = Stage::new();
    let (said, records) = run(&stage, &[]);
    assert_eq!(workers(&records, "1"), [(Some(1), 0), (Some(1), 1), (Some(1), 1)]);
    assert_eq!(workers(&records, "3"), [(Some(3), 0), (Some(3), 1), (Some(3), 3)]);
    assert!(!said.contains("overrides"), "{said}");
    for record in &records {
        let cpus = record.cpus.as_ref().unwrap();
        assert!(!cpus.subject.is_empty() && cpus.driver.is_empty(), "{cpus:?}");
        let shares = record.warnings.iter().any(|warning| warning.contains(" workers share "));
        let crowded = record.subject.workers as usize > cpus.subject.len();
        assert_eq!(shares, crowded, "{}: {:?}", record.subject.id, record.warnings);
    }
}

pub fn the_command_line_overrides_with_a_warning() {
    let stage = Stage::new();
    let (said, records) = run(&stage, &["--workers", "2", "--axis", "loops=3"]);
    assert_eq!(workers(&records, "3"), [(Some(2), 0), (Some(2), 1), (Some(2), 2)]);
    assert!(said.contains("--workers 2 overrides its `workers: $loops`"), "{said}");
    for record in &records {
        let warning = "--workers 2 overrides this case's 3".to_owned();
        assert!(record.warnings.contains(&warning), "{:?}", record.warnings);
    }
}
