//! Attacks: bad input and bad surroundings. Each ends with its exit code and a sentence, and leaves
//! nothing behind.

use std::process::Command;

use crate::command::Call;
use crate::libraries::build_faulty;
use crate::stage::{Stage, library_name};

struct Attack {
    /// What is bad, for the message of a failed test.
    what: &'static str,
    /// Prepares the attack on a stage of its own.
    call: fn(&Stage) -> Call,
    code: i32,
    /// Standard error, or a table, contains each of these texts.
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
            let is_printed = ended.stderr.contains(text) || ended.stdout.contains(text);
            assert!(is_printed, "{text:?} is missing: {}", context());
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
    /// A library with this description, and what begins the sentence about it.
    fn described(stage: &Stage, description: &str) -> Call {
        let folder = stage.path("adapters");
        std::fs::create_dir(&folder).unwrap();
        build_faulty("describe-given", &folder);
        let spec = stage.write("yield.yaml", YIELD);
        let words = [
            "run",
            &spec,
            "--quick",
            "--no-build",
            "--format",
            "jsonl",
            "--out",
            &stage.named("results"),
        ];
        let call = stage.call().args(words).args(["--adapters", &folder.display().to_string()]);
        call.env("FAULTY_DESCRIPTION", stage.write("description.json", description))
    }
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
                let words = ["list", "subjects", "--no-build", "--adapters"];
                stage.call().args(words).args([stage.named("empty")])
            },
            code: 3,
            sentence: &["there is no adapter library in", "empty"],
        },
        Attack {
            what: "a FIFO that is called like an adapter",
            call: |stage| {
                let folder = stage.path("adapters");
                std::fs::create_dir(&folder).unwrap();
                let fifo = folder.join(library_name("fifo"));
                assert!(Command::new("mkfifo").arg(fifo).status().unwrap().success());
                let spec = stage.write("yield.yaml", YIELD);
                let words = ["run", &spec, "--quick", "--no-build", "--format", "jsonl", "--out"];
                let call = stage.call().args(words).args([stage.named("results")]);
                call.args(["--adapters", &folder.display().to_string()])
            },
            code: 3,
            sentence: &["libquadrant_fifo.so is not a regular file"],
        },
        Attack {
            what: "an executor's name with a terminal escape",
            call: |stage| described(stage, &description(&["\\u001b[31m"])),
            code: 3,
            sentence: &["its executor is ", "u{1b}[31m", "a name has 1 to 64 letters"],
        },
        Attack {
            what: "two executors with one id",
            call: |stage| described(stage, &description(&["twice", "other", "twice"])),
            code: 3,
            sentence: &["is not understood: it has two of x/twice/epoll"],
        },
        Attack {
            what: "a description of 8 MB",
            call: |stage| described(stage, &description(&["e"; 60_000])),
            code: 3,
            sentence: &["it has 60000 executors, and 1 to 256 are possible"],
        },
    ]);
}

const YIELD: &str = "\
name: yield
question: Does it run?
tasks: [{ name: t, steps: [yield] }]
";

/// How a library with these executors describes itself.
fn description(executors: &[&str]) -> String {
    let executor = |name: &&str| {
        format!(
            "{{\"executor\":\"{name}\",\"backend\":\"epoll\",\"topology\":\"shared\",\
             \"workers\":\"one\",\"capabilities\":[],\"tasks_max\":null,\"memlock_bytes_min\":0}}"
        )
    };
    let executors: Vec<String> = executors.iter().map(executor).collect();
    let executors = executors.join(",");
    format!("{{\"runtime\":\"x\",\"version\":\"1\",\"note\":null,\"executors\":[{executors}]}}")
}

pub fn by_results_folders() {
    carry_out(&[
        Attack {
            what: "a run that names a folder of libraries",
            call: |stage| {
                let (spec, out) = (stage.write("yield.yaml", YIELD), stage.named("results"));
                let words = [&*spec, "-r", "threads", "--quick", "--out", &out];
                stage.run(&words).run().expect_code(0);
                let file = stage.path("results/run.json");
                let written = std::fs::read_to_string(&file).unwrap();
                let changed =
                    written.replace("\"adapters\": []", "\"adapters\": [\"/from/elsewhere\"]");
                assert_ne!(written, changed);
                std::fs::write(file, changed).unwrap();
                stage.call().args(["run", "--resume", &out])
            },
            code: 2,
            sentence: &["which is not loaded unasked: add --adapters /from/elsewhere"],
        },
        Attack {
            what: "a folder without a run",
            call: |stage| stage.call().args(["report", &stage.named("nowhere")]),
            code: 2,
            sentence: &["nowhere"],
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
    carry_out(&[
        Attack {
            what: "two patterns in one",
            call: |stage| stage.call().args(["run", "-r", "tokio,smol"]),
            code: 2,
            sentence: &["'tokio,smol'", "as in -r tokio -r smol"],
        },
        Attack {
            what: "an unknown format",
            call: |stage| stage.call().args(["run", "--format", "yaml"]),
            code: 2,
            sentence: &["yaml"],
        },
    ]);
}
