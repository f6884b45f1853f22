//! Attacks: bad input and bad surroundings. Each ends with its exit code and a sentence, and leaves
//! nothing behind.

use std::fs;

use crate::command::Call;
use crate::stage::Stage;

const YIELD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/yield.yaml");

struct Attack {
    /// What is bad, for the message of a failed test.
    what: &'static str,
    /// Prepares the attack on a stage of its own.
    call: fn(&Stage) -> Call,
    code: i32,
    /// Standard error contains each of these texts.
    sentence: &'static [&'static str],
}

/// More is never needed to refuse an input.
const MEMORY_MAX_KIB: u64 = 100 * 1024;

#[track_caller]
fn carry_out(attacks: &[Attack]) {
    for attack in attacks {
        let stage = Stage::new();
        let ended = (attack.call)(&stage).run();
        let context = || format!("{}: {}\n{}", attack.what, ended.stdout, ended.stderr);
        assert_eq!(ended.code, Some(attack.code), "{}", context());
        assert!(!ended.stderr.contains("panicked at"), "{}", context());
        for text in attack.sentence {
            assert!(ended.stderr.contains(text), "{text:?} is missing: {}", context());
        }
        assert!(
            ended.peak_memory_kib <= MEMORY_MAX_KIB,
            "{} KiB: {}",
            ended.peak_memory_kib,
            context()
        );
        stage.assert_soon_empty();
    }
}

pub fn by_surroundings() {
    carry_out(&[Attack {
        what: "a temporary folder that does not exist",
        call: |stage| {
            let none = stage.path("nowhere");
            stage.run(&["tour/4-three-files", "-r", "threads", "--quick"]).env("TMPDIR", none)
        },
        code: 2,
        sentence: &["TMPDIR"],
    }]);
}

pub fn by_libraries() {
    carry_out(&[Attack {
        what: "a folder of adapters that is empty",
        call: |stage| {
            fs::create_dir(stage.path("empty")).unwrap();
            stage.call().args(["list", "subjects", "--adapters", &stage.named("empty")])
        },
        code: 4,
        sentence: &["empty"],
    }]);
}

/// A results folder with a run that ended before its first trial, its `run.json` edited.
fn with_run(stage: &Stage, edit: impl Fn(&mut serde_json::Value)) -> String {
    let out = stage.named("results");
    stage.run(&[YIELD, "-r", "threads", "--quick", "--out", &out]).run();
    let path = stage.path("results/run.json");
    let mut run = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut run);
    fs::write(path, run.to_string()).unwrap();
    fs::write(stage.path("results/records.jsonl"), "").unwrap();
    out
}

fn resumed(stage: &Stage, edit: impl Fn(&mut serde_json::Value)) -> Call {
    let out = with_run(stage, edit);
    stage.call().args(["run", "--no-build", "--resume", &out])
}

fn fifo(stage: &Stage, name: &str) {
    fs::create_dir_all(stage.path("results")).unwrap();
    let _ = fs::remove_file(stage.path(name));
    let made = std::process::Command::new("mkfifo").arg(stage.path(name)).status();
    assert!(made.unwrap().success());
}

pub fn by_results_folders() {
    carry_out(&[
        Attack {
            what: "a folder without a run",
            call: |stage| stage.call().args(["report", &stage.named("nowhere")]),
            code: 2,
            sentence: &["nowhere"],
        },
        Attack {
            what: "records that are a FIFO",
            call: |stage| {
                fifo(stage, "results/records.jsonl");
                stage.call().args(["report", &stage.named("results")])
            },
            code: 2,
            sentence: &["records.jsonl cannot be read: it is not a regular file"],
        },
        Attack {
            what: "records that are a device without an end",
            call: |stage| {
                fs::create_dir(stage.path("results")).unwrap();
                let link = stage.path("results/records.jsonl");
                std::os::unix::fs::symlink("/dev/zero", link).unwrap();
                stage.call().args(["report", &stage.named("results/records.jsonl")])
            },
            code: 2,
            sentence: &["records.jsonl", "cannot be read"],
        },
        Attack {
            what: "a run.json that is a FIFO",
            call: |stage| {
                fifo(stage, "results/run.json");
                let out = stage.named("results");
                stage.call().args(["compare", &out, &out])
            },
            code: 2,
            sentence: &["results holds no run: run.json cannot be read: it is not a regular file"],
        },
        Attack {
            what: "resuming records that are a FIFO",
            call: |stage| {
                let call = resumed(stage, |_| ());
                fifo(stage, "results/records.jsonl");
                call
            },
            code: 2,
            sentence: &["records.jsonl cannot be read: it is not a regular file"],
        },
        Attack {
            what: "a run.json with a negative limit of time",
            call: |stage| resumed(stage, |run| run["options"]["time_limit"] = (-1).into()),
            code: 2,
            sentence: &["run.json is damaged", "--time-limit"],
        },
        Attack {
            what: "a run.json with a limit of memory that overflows",
            call: |stage| resumed(stage, |run| run["options"]["memory_limit"] = u64::MAX.into()),
            code: 2,
            sentence: &["run.json is damaged", "--memory-limit"],
        },
        Attack {
            what: "a run.json with too many trials",
            call: |stage| resumed(stage, |run| run["options"]["trials"] = u32::MAX.into()),
            code: 2,
            sentence: &["run.json is damaged", "--trials"],
        },
        Attack {
            what: "a run.json with a megabyte in place of a number",
            call: |stage| {
                resumed(stage, |run| run["options"]["starts"] = "9".repeat(1 << 20).into())
            },
            code: 2,
            sentence: &["run.json is damaged", "--starts"],
        },
        Attack {
            what: "a run.json with a CPU that is not there",
            call: |stage| resumed(stage, |run| run["cpus"] = vec![usize::MAX].into()),
            code: 2,
            sentence: &["used the CPUs 18446744073709551615", "or begin a new run"],
        },
        Attack {
            what: "a run.json without CPUs",
            call: |stage| resumed(stage, |run| run["cpus"] = serde_json::json!([])),
            code: 2,
            sentence: &["or begin a new run"],
        },
        Attack {
            what: "a run.json without its seed",
            call: |stage| {
                resumed(stage, |run| {
                    run.as_object_mut().unwrap().remove("seed");
                })
            },
            code: 2,
            sentence: &["run.json is damaged: missing field `seed`"],
        },
        Attack {
            what: "a run.json that is nested too deeply",
            call: |stage| {
                let out = with_run(stage, |_| ());
                let deep = "[".repeat(1 << 20);
                fs::write(stage.path("results/run.json"), deep).unwrap();
                stage.call().args(["run", "--no-build", "--resume", &out])
            },
            code: 2,
            sentence: &["run.json is damaged"],
        },
    ]);
}

pub fn by_foreign_text() {
    carry_out(&[Attack {
        what: "a scenario that is no YAML",
        call: |stage| {
            let spec = stage.write("bad.yaml", "name: [\n");
            stage.call().args(["lint", &spec])
        },
        code: 2,
        sentence: &["bad.yaml"],
    }]);
}

pub fn by_options() {
    carry_out(&[Attack {
        what: "an unknown format",
        call: |stage| stage.call().args(["run", "--format", "yaml"]),
        code: 2,
        sentence: &["yaml"],
    }]);
}
