//! Attacks: bad input and bad surroundings. Each ends with its exit code and a sentence, and leaves
//! nothing behind.

use crate::command::Call;
use crate::stage::Stage;

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
    carry_out(&[
        Attack {
            what: "a home that is none",
            call: |stage| {
                stage.call().args(["list", "specs"]).env("QUADRANT_HOME", stage.path("none"))
            },
            code: 2,
            sentence: &["QUADRANT_HOME is ", "/none, which has neither"],
        },
        Attack {
            what: "a folder of adapters that is empty",
            call: |stage| {
                std::fs::create_dir(stage.path("empty")).unwrap();
                stage.call().args([
                    "list",
                    "subjects",
                    "--no-build",
                    "--adapters",
                    &stage.named("empty"),
                ])
            },
            code: 3,
            sentence: &["there is no adapter library in", "empty"],
        },
    ]);
}

pub fn by_results_folders() {
    carry_out(&[Attack {
        what: "a folder without a run",
        call: |stage| stage.call().args(["report", &stage.named("nowhere")]),
        code: 2,
        sentence: &["nowhere"],
    }]);
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
