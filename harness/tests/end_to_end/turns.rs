//! The pass in turns: which subjects take part, what is recorded, what changes in each start.

use std::collections::BTreeSet;

use quadrant_reports::record::turns::{Turn, sum};
use quadrant_reports::record::{Pass, Record, Status};

use crate::stage::Stage;

const ECHO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/sizes.yaml");
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/three-files.yaml");
const WAITING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/holding.yaml");
const TOKIO: &str = "tokio/current-thread/epoll";
const SMOL: &str = "smol/single-thread/epoll";

/// The records of a run, first those of trials alone, then those in turns.
#[track_caller]
fn run(stage: &Stage, words: &[&str]) -> (Vec<Record>, Vec<Record>) {
    let folder = format!("results-{}", stage.new_number());
    let out = stage.named(&folder);
    let ended = stage.in_turns(words).args(["--out", &out]).run();
    stage.assert_empty();
    stage.assert_completed(&ended, &folder);
    stage.records(&folder).into_iter().partition(|record| record.pass == Pass::Alone)
}

fn turns(record: &Record) -> &[Turn] {
    record.turns.as_ref().map_or(&[], |turns| &turns.rounds)
}

/// Every start also runs the reference, and every process has a memory layout of its own.
pub fn each_start_runs_all_subjects_in_new_layouts() {
    let stage = Stage::new();
    let words = [ECHO, "--axis", "send=64B", "-r", TOKIO, "-r", SMOL, "--trials", "1"];
    let (alone, in_turns) = run(&stage, &[&words[..], &["--starts", "3"]].concat());
    assert_eq!(alone.len(), 2);
    assert_eq!(in_turns.len(), 3 * 3);
    let mut layouts = BTreeSet::new();
    for start in 0..3 {
        let of_start: Vec<&Record> =
            in_turns.iter().filter(|record| record.trial == start).collect();
        let ids: BTreeSet<&str> = of_start.iter().map(|it| &*it.subject.id).collect();
        let reference = of_start[0].turns.as_ref().unwrap().reference.clone().unwrap();
        assert_eq!(ids, BTreeSet::from([TOKIO, SMOL, &*reference]));
        for record in of_start {
            assert_eq!(record.status, Status::Ok, "{:?}", record.reason);
            assert!(record.metrics.is_none());
            let all = sum(turns(record));
            assert!(turns(record).len() > 1 && all.operations > 0, "{record:?}");
            assert!(all.thawed.cpu_ns > 0 && all.thawed.driver_cpu_ns > 0, "{record:?}");
            let layout = record.layout.unwrap();
            layouts.insert((layout.environment_bytes, layout.first_allocation_bytes));
        }
    }
    assert_eq!(layouts.len(), 9, "{layouts:?}");
}

pub fn sleeping_tasks_get_more_trials_instead_of_turns() {
    let stage = Stage::new();
    let (alone, in_turns) = run(&stage, &[WAITING, "-r", TOKIO]);
    assert_eq!((alone.len(), in_turns.len()), (5, 0));
}

/// Without trimming, a process keeps its memory, whatever the layout. With trimming, each operation
/// touches three files of 16 pages each anew.
pub fn reading_files_touches_no_new_pages() {
    let stage = Stage::new();
    let words = [FILES, "-r", TOKIO, "-r", SMOL, "-r", "monoio/**/io_uring", "--trials", "1"];
    let (_, in_turns) = run(&stage, &[&words[..], &["--starts", "4"]].concat());
    let faults_per_op = |record: &Record| {
        let all = sum(turns(record)).thawed;
        all.page_faults as f64 / all.operations.max(1) as f64
    };
    let of = |allocator: &str| -> Vec<f64> {
        let of_case = |record: &&Record| record.case[0].value == allocator;
        in_turns
            .iter()
            .filter(of_case)
            .filter(|it| !turns(it).is_empty())
            .map(faults_per_op)
            .collect()
    };
    let untrimmed = of("untrimmed");
    assert!(untrimmed.len() >= 4 * 3, "{untrimmed:?}");
    assert!(untrimmed.iter().all(|faults| *faults < 8.0), "{untrimmed:?}");
    assert!(!of("system").is_empty());
}

pub fn an_interrupted_pass_in_turns_can_resume() {
    let stage = Stage::new();
    let out = stage.named("results");
    let words = [ECHO, "--axis", "send=64B", "-r", TOKIO, "--trials", "1", "--starts", "4"];
    stage.in_turns(&words).args(["--out", &out]).run().expect_code(0);
    let whole = stage.records("results");
    // As if it had been interrupted in the third start.
    let path = stage.path("results/records.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = text.lines().take(5).collect();
    std::fs::write(&path, kept.join("\n") + "\n").unwrap();
    stage.quadrant(&["run", "--no-build", "--resume", &out]).expect_code(0);
    let key = |record: &Record| (record.subject.id.clone(), record.pass, record.trial);
    let keys = |records: &[Record]| records.iter().map(key).collect::<BTreeSet<_>>();
    assert_eq!(keys(&stage.records("results")), keys(&whole));
}
