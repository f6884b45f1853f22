//! Every subject's backend by evidence, from the command line to the record; and a subject that
//! lies about its own.
#![allow(clippy::unwrap_used)] // all of it is a test

use std::path::{Path, PathBuf};
use std::process::Command;

use quadrant_reports::record::{BackendSeen, Record, Status};

const SPEC: &str = "\
name: echo
question: By what does a server wait?
server: { steps: [recv, send] }
load: { connections: 4, send: 64B }
time: { warmup: 50ms, measure: 300ms }
";

/// A folder for one run, removed when dropped.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The records of one trial for each subject; nothing where no system call can be counted here.
fn run(name: &str, arguments: &[&str]) -> Option<Vec<Record>> {
    let folder = format!("quadrant-evidence-{name}-{}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(folder));
    std::fs::create_dir_all(&folder.0).unwrap();
    let spec = folder.0.join("echo.yaml");
    std::fs::write(&spec, SPEC).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_quadrant"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
        .arg("run")
        .arg(&spec)
        .args(["--evidence", "--trials", "1", "--format", "jsonl", "--out"])
        .arg(folder.0.join("results"))
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let records: Vec<Record> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!records.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let refused = records.iter().flat_map(|record| &record.warnings);
    if let Some(reason) = refused.into_iter().find(|text| text.contains("count system calls")) {
        eprintln!("skipped: {reason}");
        return None;
    }
    Some(records)
}

#[test]
fn every_subject_uses_the_backend_that_it_names() {
    let Some(records) = run("all", &[]) else { return };
    let mut judged = 0;
    for record in records.iter().filter(|record| record.status == Status::Ok) {
        let id = &record.subject.id;
        let evidence = record.evidence.as_ref().unwrap_or_else(|| panic!("{id}: {record:?}"));
        assert_eq!(evidence.backend_seen.word(), record.subject.backend, "{id}: {evidence:?}");
        assert!(evidence.agrees, "{id}");
        assert!(evidence.syscalls_per_op().unwrap() > 0.1, "{id}: {evidence:?}");
        judged += 1;
    }
    assert!(judged >= 3, "{judged} of {} subjects", records.len());
}

#[test]
fn a_subject_that_lies_about_its_backend_is_found_out() {
    let arguments =
        ["--with-test-adapters", "-r", "faulty/claims-io_uring", "-r", "faulty/behaves"];
    let Some(records) = run("faulty", &arguments) else { return };
    for record in &records {
        if record.status == Status::Unsupported {
            eprintln!("skipped: {}", record.reason.as_deref().unwrap_or_default());
            continue;
        }
        let evidence = record.evidence.as_ref().unwrap();
        assert_eq!(evidence.backend_seen, BackendSeen::Blocking, "{record:?}");
        let claims = record.subject.backend == "io_uring";
        assert_eq!(evidence.agrees, !claims);
        let warned = record
            .warnings
            .iter()
            .any(|text| text.starts_with("says io_uring, makes blocking calls: "));
        assert_eq!(warned, claims, "{:?}", record.warnings);
    }
    assert_eq!(records.len(), 2);
}
