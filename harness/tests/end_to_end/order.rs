//! The order of trials.

use crate::stage::Stage;

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/yield.yaml");

/// Case, trial and subject of every record, in the order of the file.
#[track_caller]
fn order(stage: &Stage, seed: &str) -> Vec<(String, u32, String)> {
    let folder = format!("results-{}", stage.new_number());
    let out = stage.named(&folder);
    let subjects = ["-r", "threads", "-r", "tokio/**/epoll", "-r", "smol/**/epoll"];
    let words = [SPEC, "--trials", "4", "--seed", seed, "--out", &out];
    stage.run(&words).args(subjects).run().expect_code(0);
    let records = stage.records(&folder);
    assert!(records.iter().all(|record| record.seed.to_string() == seed));
    records
        .into_iter()
        .map(|record| (record.case[0].value.clone(), record.trial, record.subject.id))
        .collect()
}

/// Another seed gives another order. In every order, subjects run in rounds.
pub fn a_seed_reproduces_the_order_of_trials() {
    let stage = Stage::new();
    let first = order(&stage, "5");
    assert_eq!(order(&stage, "5"), first);
    assert_ne!(order(&stage, "6"), first);

    let subjects = 7;
    assert_eq!(first.len(), 2 * 4 * subjects);
    // Case after case. Within a case, every subject runs once before any runs again.
    let mut orders = Vec::new();
    for (index, round) in first.chunks(subjects).enumerate() {
        let (case, trial) = (["1", "3"][index / 4], (index % 4) as u32);
        assert!(round.iter().all(|(c, t, _)| (&**c, *t) == (case, trial)), "{round:?}");
        let mut ids: Vec<&str> = round.iter().map(|(_, _, id)| &**id).collect();
        orders.push(ids.clone());
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), subjects, "{round:?}");
    }
    // No subject is always the first.
    orders.dedup();
    assert!(orders.len() > 1, "{orders:?}");
}
