//! In which order trials are run.

use crate::stage::Stage;

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/yield.yaml");

/// Case, trial and subject of every record, in the order they were written.
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

pub fn a_seed_brings_its_order_back_and_subjects_take_turns() {
    let stage = Stage::new();
    let first = order(&stage, "5");
    assert_eq!(order(&stage, "5"), first);
    assert_ne!(order(&stage, "6"), first);

    let subjects = 7;
    assert_eq!(first.len(), 2 * 4 * subjects);
    // Case after case, and within a case every subject once before any comes again.
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
    // Nobody is always the first.
    orders.dedup();
    assert!(orders.len() > 1, "{orders:?}");
}
