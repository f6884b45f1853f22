//! The backend of every subject by evidence, from the command line to the record; and a subject
//! with a false claim.

use std::time::Duration;

use quadrant_reports::record::evidence::waits_by;
use quadrant_reports::record::{BackendSeen, Evidence, FilesSeen, Record, Status};

use crate::skip::{Need, skip};
use crate::stage::{Stage, ordinary_subjects};

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/evidence/echo.yaml");
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/evidence/files.yaml");
const LIMIT: Duration = Duration::from_secs(240);

/// The records of one trial per subject, or `None` where system calls cannot be counted.
fn gather(arguments: &[&str]) -> Option<Vec<Record>> {
    let stage = Stage::new();
    let what = [arguments, &["--evidence", "--trials", "1"]].concat();
    let (_, records) = stage.measure(&what, &["--time-limit", "60"], LIMIT);
    assert!(!records.is_empty());
    let warnings = || records.iter().flat_map(|record| &record.warnings);
    if let Some(reason) = warnings().find(|text| text.contains("let us count system calls")) {
        skip(Need::Bpf, reason);
        return None;
    }
    Some(records)
}

/// The evidence of a record, if it is from enough operations.
fn enough(record: &Record) -> Option<&Evidence> {
    if record.status == Status::Unsupported {
        skip(Need::IoUring, record.reason.as_deref().unwrap_or_default());
        return None;
    }
    let evidence = record.evidence.as_ref().filter(|evidence| evidence.ops >= 20);
    if evidence.is_none() {
        skip(Need::Other, "this machine stood still");
    }
    evidence
}

pub fn every_subject_uses_the_backend_it_names() {
    let Some(records) = gather(&[SPEC, "-r", "**"]) else { return };
    for record in records.iter().filter(|record| record.status == Status::Ok) {
        let id = &record.subject.id;
        let Some(evidence) = &record.evidence else {
            let warnings = &record.warnings;
            // The machine stood still during the short pass.
            assert!(warnings.iter().any(|text| text.contains("no operation")), "{warnings:?}");
            continue;
        };
        // A few operations are not enough for a verdict.
        if evidence.ops >= 20 {
            let named = waits_by(&record.subject.backend);
            assert_eq!(evidence.backend_seen.word(), named, "{id}: {evidence:?}");
            assert!(evidence.syscalls_per_op().unwrap() > 0.1, "{id}: {evidence:?}");
        }
        assert!(evidence.agrees, "{id}: {evidence:?}");
    }
    assert_eq!(records.len(), ordinary_subjects().len());
}

/// The system call filter applies to each subject only, not to the machine.
pub fn without_io_uring_silent_fallbacks_are_reported() {
    let stage = Stage::new();
    let (_, records) = stage.measure(&[SPEC, "--trials", "1", "--forbid", "io_uring"], &[], LIMIT);
    let mut refused = 0;
    for record in &records {
        let reason = record.reason.as_deref().unwrap_or_default();
        let id = &record.subject.id;
        if record.subject.backend == "io_uring" {
            assert_eq!(record.status, Status::Unsupported, "{id}: {reason}");
            // The filter is the cause only if the subject runs without it.
            if !ordinary_subjects().iter().any(|subject| subject.id == *id && subject.available) {
                skip(Need::IoUring, reason);
                continue;
            }
            let advice = "run outside of it or allow io_uring_setup and io_uring_enter (";
            assert!(reason.contains(advice), "{id}: {reason}");
            let fell_back = reason.contains("fell back in silence");
            assert_eq!(fell_back, record.subject.runtime == "compio", "{id}: {reason}");
            refused += 1;
        } else {
            assert_eq!(record.status, Status::Ok, "{id}: {reason}");
        }
    }
    let usual = ordinary_subjects().iter().filter(|subject| !subject.variant);
    assert_eq!(records.len(), usual.count());
    assert!(refused == 0 || refused >= 3, "{refused}");
}

pub fn a_backend_with_ring_reads_files_through_it() {
    let Some(records) = gather(&[FILES]) else { return };
    assert!(records.len() > 2, "{records:?}");
    for record in records.iter().filter(|record| record.status == Status::Ok) {
        let id = &record.subject.id;
        let Some(evidence) = enough(record) else { continue };
        let is_by_ring = record.subject.backend.ends_with("+ring");
        let seen = if is_by_ring { FilesSeen::Ring } else { FilesSeen::Pool };
        assert_eq!(evidence.files_seen, Some(seen), "{id}: {evidence:?}");
        assert!(evidence.agrees, "{id}: {evidence:?}");
    }
}

/// tokio continues without a ring and reports nothing.
pub fn a_pool_replacing_the_ring_is_reported() {
    let Some(records) = gather(&[FILES, "-r", "**/epoll+ring", "--forbid", "io_uring"]) else {
        return;
    };
    for record in &records {
        let Some(evidence) = enough(record) else { continue };
        assert!(!evidence.agrees, "{evidence:?}");
        let words = "claims epoll+ring but reads files in a pool: ";
        let is_warned = record.warnings.iter().any(|text| text.starts_with(words));
        assert!(is_warned, "{:?}", record.warnings);
    }
}

pub fn a_false_backend_claim_is_detected() {
    let arguments =
        [SPEC, "--with-test-adapters", "-r", "faulty/claims-io_uring", "-r", "faulty/behaves"];
    let Some(records) = gather(&arguments) else { return };
    assert_eq!(records.len(), 2);
    for record in &records {
        let Some(evidence) = enough(record) else { continue };
        assert_eq!(evidence.backend_seen, BackendSeen::Blocking, "{record:?}");
        let is_false = record.subject.backend == "io_uring";
        assert_eq!(evidence.agrees, !is_false);
        let begin = "claims io_uring but makes blocking calls: ";
        let is_warned = record.warnings.iter().any(|text| text.starts_with(begin));
        assert_eq!(is_warned, is_false, "{:?}", record.warnings);
    }
}
