//! Runs on a machine that lacks something: disk, locked memory, threads, privileges; and the
//! memory that a run needs.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use quadrant_reports::record::{Pass, Record, Status};

use crate::skip::{Need, skip};
use crate::stage::{Stage, adapters_folder, workspace};

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/yield.yaml");

const READING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/reading.yaml");

/// A scenario with `a` times `b` cases, each with more tasks than plain threads can hold.
pub fn many_cases(a: usize, b: usize) -> String {
    let mut text = String::from("name: many\nquestion: How many cases are too many?\naxes:\n");
    // An axis has 64 values at most.
    for (axis, values) in [("a", a / 10), ("b", 10), ("c", b / 10), ("d", 10)] {
        let values: Vec<String> = (1..=values).map(|value| value.to_string()).collect();
        writeln!(text, "  {axis}: [{}]", values.join(", ")).unwrap();
    }
    text.push_str("tasks:\n");
    for axis in ["a", "b", "c", "d"] {
        writeln!(text, "  - {{ name: group-{axis}, count: 10000, steps: [").unwrap();
        writeln!(text, "      {{ repeat: {{ times: ${axis}, steps: [yield] }} }}] }}").unwrap();
    }
    text
}

/// Whether a program succeeds with these arguments.
fn works(program: &str, words: &[&str]) -> bool {
    Command::new(program)
        .args(words)
        .arg("true")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

pub fn memory_does_not_grow_with_more_cells() {
    let stage = Stage::new();
    let peak = |cases: usize, folder: &str| {
        let spec = stage.write("many.yaml", &many_cases(cases / 100, 100));
        let out = stage.named(folder);
        let words = [&*spec, "-r", "threads", "--format", "jsonl", "--out", &out];
        let ended = stage.run(&words).run().expect_code(4);
        assert_eq!(ended.stdout.lines().count(), cases);
        ended.peak_memory_kib
    };
    let (few, many) = (peak(1_000, "few"), peak(10_000, "many"));
    assert!(few > 1_000, "{few} KiB cannot be");
    assert!(many as f64 <= few as f64 * 1.25, "{few} KiB with few, {many} KiB with many cells");
}

/// The error message names the way to continue the run.
pub fn a_full_disk_loses_no_written_record() {
    if !works("unshare", &["--mount"]) {
        return skip(Need::Root, "only root can mount a separate disk");
    }
    let stage = Stage::new();
    let spec = stage.write("many.yaml", &many_cases(10, 100));
    fs::create_dir(stage.path("disk")).unwrap();
    // The mount ends with the shell. `$0` is quadrant.
    let script = "
        mount -t tmpfs -o size=128k tmpfs disk || exit 99
        \"$0\" \"$@\" --format json --out disk/results; echo $? >code
        cp disk/results/records.jsonl full.jsonl
        mount -o remount,size=64m disk
        \"$0\" run --no-build --resume disk/results --format json >resumed.json; echo $? >code-resumed
        cp disk/results/records.jsonl whole.jsonl";
    let ended = stage
        .call_through(&["unshare", "--mount", "sh", "-c", script])
        .args(["run", "--no-build", &spec, "-r", "threads"])
        .run();
    if ended.code == Some(99) {
        return skip(Need::Root, "a file system in memory cannot be mounted here");
    }
    let lines = |name: &str| crate::command::read(&stage.path(name)).lines().count();
    let text = |name: &str| crate::command::read(&stage.path(name)).trim().to_owned();
    assert_eq!(text("code"), "3", "{}", ended.stderr);
    let safe = crate::command::read(&stage.path("full.jsonl")).matches('\n').count();
    assert!(safe > 10 && safe < 1_000, "{safe}");
    assert_eq!(ended.records().len(), safe, "the report ends where the disk did");
    let ended = ended.expect_words(&[
        "could not be written to disk/results/records.jsonl",
        &format!("the {safe} before it are safe"),
        "quadrant run --resume disk/results",
    ]);
    assert!(!ended.stderr.contains("panicked"));
    assert_eq!(text("code-resumed"), "4");
    assert_eq!(lines("whole.jsonl"), 1_000);
    stage.assert_empty();
}

/// Such a folder could neither be resumed nor be used again.
pub fn a_disk_full_at_the_start_leaves_no_folder() {
    if !works("unshare", &["--mount"]) {
        return skip(Need::Root, "only root can mount a separate disk");
    }
    let stage = Stage::new();
    fs::create_dir(stage.path("disk")).unwrap();
    let script = "
        mount -t tmpfs -o size=4k tmpfs disk || exit 99
        echo full >disk/other
        \"$0\" \"$@\"; echo $? >code
        ls disk >left
        mount -o remount,size=64m disk
        \"$0\" \"$@\"";
    let ended = stage
        .call_through(&["unshare", "--mount", "sh", "-c", script])
        .args(["run", "--no-build", SPEC, "-r", "threads", "--trials", "1"])
        .args(["--out", "disk/new/results"])
        .run();
    if ended.code == Some(99) {
        return skip(Need::Root, "a file system in memory cannot be mounted here");
    }
    let text = |name: &str| crate::command::read(&stage.path(name)).trim().to_owned();
    assert_eq!((text("code"), text("left")), ("3".to_owned(), "other".to_owned()));
    ended.expect_code(0).expect_words(&[
        "the folder disk/new/results cannot be written: No space left",
        "name another folder with --out",
    ]);
}

pub fn a_full_temporary_folder_gives_reason_and_remedy() {
    if !works("unshare", &["--mount"]) {
        return skip(Need::Root, "only root can mount a separate disk");
    }
    let stage = Stage::new();
    let out = stage.named("results");
    let script = "
        mount -t tmpfs -o size=4k tmpfs temporary || exit 99
        \"$0\" \"$@\"";
    let ended = stage
        .call_through(&["unshare", "--mount", "sh", "-c", script])
        .args(["run", "--no-build", READING, "-r", "threads", "--out", &out])
        .run();
    if ended.code == Some(99) {
        return skip(Need::Root, "a file system in memory cannot be mounted here");
    }
    ended.expect_code(3).expect_words(&["are free there", "or point TMPDIR to a directory"]);
    stage.assert_empty();
}

/// The default folder is one in the workspace.
pub fn an_unwritable_default_folder_gives_reason_and_remedy() {
    let Some((stage, words)) = as_nobody(&[]) else { return };
    let words: Vec<&str> = words.iter().map(|word| &**word).collect();
    let call = stage.call_through(&words).args(["run", "--no-build", SPEC, "-r", "threads"]);
    let ended = call.run().expect_code(3);
    ended.expect_words(&["target/quadrant", "Permission denied", "another folder with --out"]);
    stage.assert_empty();
}

/// A stage, and the arguments before a command that run it as another user. That user has no
/// privileges and can only read this workspace.
fn as_nobody(limits: &[&str]) -> Option<(Stage, Vec<String>)> {
    let identity = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let mut words: Vec<&str> = Vec::new();
    if !limits.is_empty() {
        words.extend(["prlimit"].iter().chain(limits));
    }
    words.extend(["setpriv"].iter().chain(&identity));
    let stage = Stage::new();
    for folder in [stage.path("."), stage.temporary()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let library = adapters_folder().join("libquadrant_threads.so").display().to_string();
    let quadrant = env!("CARGO_BIN_EXE_quadrant");
    let try_it = |program: &[&str]| works(words[0], &[&words[1..], program].concat());
    if !try_it(&["env"]) {
        skip(Need::Root, "only root can become another user");
        return None;
    }
    if !try_it(&["test", "-x", quadrant, "-a", "-r", &library, "-a"]) {
        skip(Need::Other, "another user cannot read this workspace");
        return None;
    }
    Some((stage, words.into_iter().map(str::to_owned).collect()))
}

pub fn an_unprivileged_user_can_run_it() {
    let Some((stage, words)) = as_nobody(&[]) else { return };
    let words: Vec<&str> = words.iter().map(|word| &**word).collect();
    let adapters = adapters_folder().display().to_string();
    let out = stage.named("results");
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/reading.yaml");
    let ended = stage
        .call_through(&words)
        .args([
            "run",
            "--no-build",
            "--adapters",
            &adapters,
            SPEC,
            spec,
            "-r",
            "threads",
            "--trials",
            "1",
        ])
        .args(["--starts", "1", "--format", "json", "--out", &out])
        .run();
    stage.assert_completed(&ended, "results");
    let is_alone = |record: &&Record| record.pass == Pass::Alone;
    assert_eq!(ended.records().iter().filter(is_alone).count(), 4);
    assert!(ended.records().len() > 4, "nothing was measured in turns");
    stage.assert_empty();
}

/// The whole tour and the doctor run. Where the better method is denied, the other one is named.
pub fn an_unprivileged_tour_names_its_methods() {
    let Some((stage, words)) = as_nobody(&[]) else { return };
    let words: Vec<&str> = words.iter().map(|word| &**word).collect();
    let adapters = adapters_folder().display().to_string();
    let out = stage.named("results");
    let ended = stage
        .call_through(&words)
        .args(["run", "--quick", "--evidence", "--no-build", "--adapters", &adapters])
        .args(["-x", "faulty", "-x", "native", "--format", "json", "--out", &out])
        // The folder that holds the scenarios.
        .folder(&workspace())
        .run();
    stage.assert_empty();
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    let mut measured = 0;
    for record in ended.records() {
        let cell = format!("{} {:?} {}", record.scenario, record.case, record.subject.id);
        if matches!(record.status, Status::Unsupported | Status::Unmeasured) {
            continue;
        }
        let metrics = record.metrics.expect(&cell);
        measured += 1;
        // A cgroup may be delegated to this user; then it serves as well as root's.
        let method = &*metrics.threads.method;
        assert!(method.starts_with("pids cgroup") || method == "sampled every 10 ms", "{method}");
        assert!(metrics.threads.peak > 0 && metrics.cpu_ns > 0, "{cell}");
        let warned = |text: &str| record.warnings.iter().any(|warning| warning.contains(text));
        match &record.evidence {
            Some(evidence) => {
                let known = ["bpf at sys_enter", "strace -c"];
                assert!(known.iter().any(|known| evidence.method.starts_with(known)), "{cell}");
            }
            None => assert!(warned("no evidence of its backend: "), "{:?}", record.warnings),
        }
    }
    assert!(measured > 20, "{measured}");
    stage.assert_completed(&ended, "results");

    let doctor = stage.call_through(&words).args(["doctor", "--format", "json"]).run();
    let findings: Vec<serde_json::Value> =
        serde_json::from_str(&doctor.expect_code(0).stdout).unwrap();
    let about = |what: &str| findings.iter().find(|finding| finding["about"] == what).unwrap();
    for what in ["thread count", "tracepoints"] {
        let finding = about(what);
        let has_remedy = finding["level"] == "ok" || finding["remedy"].is_string();
        assert!(has_remedy, "{finding}");
    }
}

/// The cgroups are mounted, but read-only.
pub fn read_only_cgroups_fall_back_to_sampling() {
    if !works("unshare", &["--mount"]) {
        return skip(Need::Root, "only root can change mounts");
    }
    let stage = Stage::new();
    let out = stage.named("results");
    let script = "
        grep -E ' - cgroup2? ' /proc/self/mountinfo | cut -d ' ' -f 5 | while read -r place; do
            mount -o remount,bind,ro \"$place\" || exit 99
        done || exit 99
        exec \"$0\" \"$@\"";
    let ended = stage
        .call_through(&["unshare", "--mount", "sh", "-c", script])
        .args(["run", "--no-build", SPEC, "-r", "threads", "--trials", "1"])
        .args(["--format", "json", "--out", &out])
        .run();
    if ended.code == Some(99) {
        return skip(Need::Other, "the cgroups cannot be made read-only here");
    }
    for record in ended.expect_code(0).records() {
        assert_eq!(record.metrics.unwrap().threads.method, "sampled every 10 ms");
    }
    stage.assert_empty();
}

/// The cgroup allows 300 threads at once, and the scenario asks for 4,096.
pub fn too_few_threads_give_reason_and_remedy() {
    let stage = Stage::new();
    let script = "
        group=/sys/fs/cgroup/pids
        test -d $group || group=/sys/fs/cgroup
        group=$group/quadrant-test-$$
        mkdir $group && echo 300 >$group/pids.max && echo $$ >$group/cgroup.procs || exit 99
        \"$0\" \"$@\"; code=$?
        echo $$ >$group/../cgroup.procs && rmdir $group
        exit $code";
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/subjects/echo-many.yaml");
    let out = stage.named("results");
    let ended = stage
        .call_through(&["sh", "-c", script])
        .args(["run", "--no-build", spec, SPEC, "-r", "threads", "--trials", "1"])
        .args(["--format", "json", "--out", &out])
        .run();
    if ended.code == Some(99) {
        return skip(Need::Cgroups, "no pids cgroup can be made here");
    }
    let many = |record: &&Record| record.scenario == "echo-many";
    let records = ended.expect_code(0).records();
    let (refused, rest): (Vec<_>, Vec<_>) = records.iter().partition(many);
    assert_eq!((refused.len(), refused[0].status), (1, Status::Unsupported));
    let reason = refused[0].reason.as_deref().unwrap();
    assert!(reason.starts_with("4096 tasks need as many threads, and 29"), "{reason}");
    assert!(reason.contains("pids.max is 300; a larger number there allows more"), "{reason}");
    assert!(rest.iter().all(|record| record.status == Status::Ok), "{rest:?}");
    stage.assert_empty();
}

pub fn too_few_open_files_give_reason_and_remedy() {
    let Some((stage, words)) = as_nobody(&["--nofile=256:256"]) else { return };
    let words: Vec<&str> = words.iter().map(|word| &**word).collect();
    let adapters = adapters_folder().display().to_string();
    let out = stage.named("results");
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/subjects/echo-many.yaml");
    let ended = stage
        .call_through(&words)
        .args([
            "run",
            "--no-build",
            "--adapters",
            &adapters,
            spec,
            "-r",
            "threads",
            "--trials",
            "1",
        ])
        .args(["--format", "json", "--out", &out])
        .run();
    for record in ended.records() {
        let reason = record.reason.unwrap();
        assert!(reason.contains("open files") && reason.contains("ulimit -Hn"), "{reason}");
    }
    assert!(matches!(ended.code, Some(3 | 4)), "{:?}", ended.code);
    stage.assert_empty();
}

pub fn an_unusable_temporary_folder_is_reported() {
    let stage = Stage::new();
    let out = stage.named("results");
    // Not even root can create a file there.
    let words = [READING, "-r", "threads", "--format", "json", "--out", &out];
    let ended = stage.run(&words).env("TMPDIR", "/proc").run().expect_code(3);
    assert_eq!(ended.records(), []);
    assert_eq!(ended.stderr.matches("os error").count(), 1, "{}", ended.stderr);
    ended.expect_words(&["/proc", "point TMPDIR to another directory"]);
}

/// As if there were none.
pub fn an_empty_tmpdir_is_no_folder() {
    let stage = Stage::new();
    let out = stage.named("results");
    let words = [READING, "-r", "threads", "--trials", "1", "--out", &out];
    let ended = stage.run(&words).env("TMPDIR", "").run();
    stage.assert_completed(&ended, "results");
}

pub fn too_little_locked_memory_gives_reason_and_remedy() {
    let Some((stage, words)) = as_nobody(&["--memlock=65536:65536"]) else { return };
    let words: Vec<&str> = words.iter().map(|word| &**word).collect();
    let adapters = adapters_folder().display().to_string();
    let out = stage.named("results");
    let ended = stage
        .call_through(&words)
        .args([
            "run",
            "--no-build",
            "--adapters",
            &adapters,
            SPEC,
            "-r",
            "threads",
            "-r",
            "**/io_uring",
        ])
        .args(["-x", "native"])
        .args(["--trials", "1", "--format", "json", "--out", &out])
        .run()
        .expect_code(0);
    let refused: Vec<String> = ended.records().into_iter().filter_map(|r| r.reason).collect();
    assert!(!refused.is_empty(), "every subject may use as much as it likes");
    for reason in refused {
        assert!(reason.contains("ulimit -l") || reason.contains("sysctl"), "{reason}");
    }
    stage.assert_empty();
}

pub fn forbidden_affinity_leaves_trials_unmeasured() {
    let stage = Stage::new();
    let out = stage.named("results");
    let words = [SPEC, "-r", "threads", "--trials", "1", "--forbid", "affinity", "--out", &out];
    stage.run(&words).run().expect_code(3);
    let records = stage.records("results");
    assert!(!records.is_empty());
    for record in &records {
        assert_eq!(record.status, Status::Unmeasured);
        let reason = record.reason.as_deref().unwrap();
        assert!(reason.contains("allow `sched_setaffinity`"), "{reason}");
    }
}

pub fn a_missing_loopback_leaves_trials_unmeasured() {
    if !works("unshare", &["--net"]) {
        return skip(Need::Root, "only root can make a separate network");
    }
    let stage = Stage::new();
    let out = stage.named("results");
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/echo.yaml");
    let words = ["run", "--no-build", spec, "-r", "threads", "-r", "mio", "--trials", "1"];
    // In a new network namespace the interface exists, but is off.
    let call = stage.call_through(&["unshare", "--net"]).args(words).args(["--out", &out]);
    call.run().expect_code(3);
    let records = stage.records("results");
    assert!(!records.is_empty());
    for record in records.iter().filter(|record| record.status != Status::Unsupported) {
        assert_eq!(record.status, Status::Unmeasured);
        let reason = record.reason.as_deref().unwrap();
        assert!(reason.contains("loopback interface (127.0.0.1) does not work"), "{reason}");
    }
    // Where it works again, a resumed run repeats these trials.
    let resumed = stage.quadrant(&["run", "--no-build", "--format", "json", "--resume", &out]);
    stage.assert_completed(&resumed, "results");
    let measured = resumed.records().iter().filter(|record| record.metrics.is_some()).count();
    assert!(measured > 0);
}
