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
    carry_out(&[Attack {
        what: "a folder of adapters that is empty",
        call: |stage| {
            std::fs::create_dir(stage.path("empty")).unwrap();
            stage.call().args(["list", "subjects", "--adapters", &stage.named("empty")])
        },
        code: 4,
        sentence: &["empty"],
    }]);
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
    carry_out(&[
        Attack {
            what: "an unknown format",
            call: |stage| stage.call().args(["run", "--format", "yaml"]),
            code: 2,
            sentence: &["yaml"],
        },
        Attack {
            what: "an unknown column",
            call: |stage| stage.call().args(["run", "--columns", "rate,speed"]),
            code: 2,
            sentence: &["speed", "rate, best, p99"],
        },
        Attack {
            what: "sorting by a column of words",
            call: |stage| stage.call().args(["report", "nowhere", "--sort", "backend"]),
            code: 2,
            sentence: &["backend", "subject, rate"],
        },
        Attack {
            what: "columns of a format without tables",
            call: |stage| stage.call().args(["run", "--columns", "rate", "--format", "csv"]),
            code: 2,
            sentence: &["--columns and --sort are for tables: --format csv"],
        },
        Attack {
            what: "a duel in a scenario that cannot be frozen",
            call: |stage| stage.call().args(["duel", "nobody", "none", "echo/steady-rate"]),
            code: 4,
            sentence: &["echo/steady-rate: 2 cases cannot be measured in turns, because"],
        },
        Attack {
            what: "a subject that crashes, with --fail-fast",
            call: |stage| {
                let spec = "tests/specs/faults/echo.yaml";
                let spec = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(spec);
                let words = ["--with-test-adapters", "-r", "faulty/aborts", "--trials", "9"];
                let run = stage.run(&[spec.to_str().unwrap()]).args(words);
                run.args(["--fail-fast", "--out", &stage.named("out")])
            },
            code: 3,
            sentence: &["SIGABRT", "--fail-fast ended the run after 1 of 9 trials"],
        },
    ]);
}
