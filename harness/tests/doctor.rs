//! `quadrant doctor` as a program: it succeeds on any machine, in both formats.
#![allow(clippy::unwrap_used)] // all of it is a test

use std::process::Command;

#[test]
fn findings_are_printed_in_both_formats() {
    let doctor = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quadrant"));
        command.arg("doctor");
        command
    };
    let output = doctor().args(["--format", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(findings.len() >= 15, "{findings:?}");
    for finding in &findings {
        let level = finding["level"].as_str().unwrap();
        assert!(["ok", "warning", "obstacle"].contains(&level), "{finding}");
        assert!(!finding["says"].as_str().unwrap().is_empty(), "{finding}");
        // Every warning has its cost and a remedy.
        assert_eq!(level == "ok", finding.get("remedy").is_none(), "{finding}");
        assert_eq!(level == "ok", finding.get("costs").is_none(), "{finding}");
    }
    let reported = findings.iter().find(|finding| finding["about"] == "TCP").unwrap();
    assert!(reported["says"].as_str().unwrap().contains("congestion control"), "{reported}");
    let output = doctor().env("TMPDIR", "/dev/shm").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("CPUs") && text.contains("as it should be"), "{text}");
    if std::path::Path::new("/dev/shm").is_dir() {
        assert!(text.contains("cold files are impossible"), "{text}");
    }
}
