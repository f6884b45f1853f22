//! The tables of the tour, which a new user sees first.

use quadrant_reports::record::Status;

use crate::redact::shape;
use crate::stage::Stage;

const SUBJECTS: [&str; 2] = ["threads/thread-per-task/blocking", "tokio/current-thread/epoll"];
/// A machine that stands still for a whole window gives a row without figures.
const ATTEMPTS: usize = 5;

pub fn the_tour_prints_its_tables() {
    let stage = Stage::new();
    for attempt in 1..=ATTEMPTS {
        let folder = format!("results-{attempt}");
        let out = stage.named(&folder);
        let [threads, tokio] = SUBJECTS;
        let ended = stage.run(&["--quick", "-r", threads, "-r", tokio, "--out", &out]).run();
        stage.assert_empty();
        let records = stage.records(&folder);
        assert_eq!(records.len(), 2 * 7, "{}", ended.stderr);
        if records.iter().all(|record| record.status == Status::Ok) {
            // The columns of the summary depend on the order; the reports crate tests them.
            let (tables, summary) = ended.stdout.split_once("\nsummary ").unwrap();
            assert!(summary.contains("7 cases of 4 scenarios"), "{summary}");
            insta::assert_snapshot!("the_tour_prints_its_tables", shape(tables, &SUBJECTS));
            return;
        }
    }
    panic!("there was a standstill in each of {ATTEMPTS} tours");
}
