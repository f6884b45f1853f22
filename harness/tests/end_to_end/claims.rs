//! How long the cases of a claim are measured.

use std::collections::BTreeSet;

use crate::stage::Stage;

/// With a thread for each task, waiting in one way or the other makes no difference that could be told.
const WAITING: &str = "\
name: waiting
question: Does a task that waits let others go on?
claim: Tasks that wait without blocking their thread do more than those that block it.
axes:
  how: [await, blocking]
tasks:
  - { name: waiter, count: 20, steps: [{ sleep: { for: 2ms, how: $how } }] }
time: { warmup: 20ms, measure: 100ms }
expect:
  - ratio: { of: { how: await }, to: { how: blocking }, figure: ops_per_sec, is: \"> 1\" }
";

pub fn only_undecided_subjects_get_more_trials() {
    let stage = Stage::new();
    let spec = stage.write("waiting.yaml", WAITING);
    let subjects = ["-r", "tokio/current-thread", "-r", "threads"];
    let trials = |folder: &str, runtime: &str, how: &str| {
        let records = stage.records(folder).into_iter();
        let of_cell = records.filter(|it| it.subject.runtime == runtime && it.case[0].value == how);
        of_cell.map(|it| it.trial).collect::<BTreeSet<u32>>().len()
    };
    let run = |folder: &str, options: &[&str]| {
        let out = stage.named(folder);
        let words = [&["run", &spec, "--out", &out][..], &subjects, options].concat();
        stage.quadrant(&words).expect_code(0)
    };
    let ended = run("decided", &[]);
    for how in ["await", "blocking"] {
        assert_eq!(trials("decided", "tokio", how), 3);
        assert!((4..=10).contains(&trials("decided", "threads", how)), "{}", ended.stdout);
    }
    run("asked", &["--trials", "2"]);
    assert_eq!([trials("asked", "tokio", "await"), trials("asked", "threads", "await")], [2, 2]);
}
