//! Attacks: bad input and bad surroundings. Each ends with its exit code and a sentence, and leaves
//! nothing behind.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use quadrant::system::forbid;
use quadrant_reports::visible::is_hidden;

use crate::command::Call;
use crate::large_inputs;
use crate::libraries::build_faulty;
use crate::stage::{Stage, library_name};

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/yield.yaml");

pub struct Attack {
    /// What is bad, for the message of a failed test.
    pub what: &'static str,
    /// Prepares the attack on a stage of its own.
    pub call: fn(&Stage) -> Call,
    pub code: i32,
    /// Standard error, or a table, contains each of these texts.
    pub sentence: &'static [&'static str],
}

/// More is never needed to refuse an input.
const MEMORY_MAX_KIB: u64 = 100 * 1024;

#[track_caller]
pub fn carry_out(attacks: &[Attack]) {
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
        let is_harmful = |c: char| is_hidden(c) && !matches!(c, '\n' | '\t');
        assert!(!ended.stdout.contains(is_harmful), "{:?}", ended.stdout);
        assert!(!ended.stderr.contains(is_harmful), "{:?}", ended.stderr);
        stage.assert_soon_empty();
    }
}

/// The argument that makes this program a wrapper under which io_uring and bpf(2) kill.
pub const KILL_BY_FILTER: &str = "__kill-by-filter";

pub fn exec_under_a_killing_filter() -> ! {
    let calls = [
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_bpf,
    ];
    forbid::answer(&calls, libc::SECCOMP_RET_KILL_PROCESS).unwrap();
    let words: Vec<String> = std::env::args().skip(2).collect();
    panic!("{}", Command::new(&words[0]).args(&words[1..]).exec());
}

fn under_a_killing_filter(stage: &Stage) -> Call {
    let this = std::env::current_exe().unwrap();
    stage.call_through(&[this.to_str().unwrap(), KILL_BY_FILTER])
}

pub fn by_surroundings() {
    carry_out(&[
        Attack {
            what: "a temporary folder that does not exist",
            call: |stage| {
                let none = stage.path("nowhere");
                stage.run(&["tour/4-three-files", "-r", "threads", "--quick"]).env("TMPDIR", none)
            },
            code: 3,
            sentence: &["TMPDIR"],
        },
        Attack {
            what: "a job of the script, whose children lose their parent during the run",
            call: |stage| {
                // The jobs of a shell that is replaced by quadrant are children of quadrant.
                let script = r#"
                    touch on
                    sh -c 'sleep 1000 & echo $! >pids
                        while test -e on; do (sleep 1000 & echo $! >>pids); sleep 0.05; done &
                        exec "$0" "$@"' "$0" "$@"
                    code=$?
                    rm on
                    for pid in $(cat pids); do kill $pid || code=99; done
                    exit $code"#;
                stage.call_through(&["sh", "-c", script]).args([
                    "run",
                    "--no-build",
                    SPEC,
                    "-r",
                    "threads",
                    "--trials",
                    "3",
                ])
            },
            code: 0,
            sentence: &[],
        },
        Attack {
            what: "a closed terminal and ^C, both ignored from the start",
            call: |stage| {
                let script = r#"
                    trap '' HUP INT
                    "$0" "$@" &
                    pid=$!
                    while kill -0 $pid && ! test -s results/records.jsonl; do sleep 0.01; done
                    kill -HUP $pid; kill -INT $pid
                    wait $pid"#;
                stage
                    .call_through(&["sh", "-c", script])
                    .args(["run", "--no-build", SPEC, "-r", "threads", "--trials", "20"])
                    .args(["--starts", "0", "--out", "results"])
            },
            code: 0,
            sentence: &[],
        },
        Attack {
            what: "a filter that kills whatever uses io_uring or bpf(2), when subjects are listed",
            call: |stage| under_a_killing_filter(stage).args(["list", "subjects", "--no-build"]),
            code: 0,
            sentence: &[],
        },
        Attack {
            what: "the same filter, when evidence is gathered",
            call: |stage| {
                let words = ["run", "--no-build", SPEC, "-r", "threads", "-r", "**/io_uring"];
                under_a_killing_filter(stage).args(words).args(["--evidence", "--trials", "1"])
            },
            code: 0,
            sentence: &[],
        },
    ]);
}

pub fn by_libraries() {
    /// A library with this description, and what begins the sentence about it.
    fn described(stage: &Stage, description: &str) -> Call {
        let folder = stage.path("adapters");
        fs::create_dir(&folder).unwrap();
        build_faulty("describe-given", &folder);
        let spec = stage.write("yield.yaml", YIELD_TEXT);
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
                fs::create_dir(stage.path("empty")).unwrap();
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
                fs::create_dir(&folder).unwrap();
                let fifo = folder.join(library_name("fifo"));
                assert!(Command::new("mkfifo").arg(fifo).status().unwrap().success());
                let spec = stage.write("yield.yaml", YIELD_TEXT);
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

const YIELD_TEXT: &str = "\
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

/// A results folder with a run that ended before its first trial, its `run.json` edited.
fn with_run(stage: &Stage, edit: impl Fn(&mut serde_json::Value)) -> String {
    let out = stage.named("results");
    stage.run(&[SPEC, "-r", "threads", "--quick", "--out", &out]).run();
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
    let made = Command::new("mkfifo").arg(stage.path(name)).status();
    assert!(made.unwrap().success());
}

pub fn by_results_folders() {
    carry_out(&[
        Attack {
            what: "a run that names a folder of libraries",
            call: |stage| {
                let (spec, out) = (stage.write("yield.yaml", YIELD_TEXT), stage.named("results"));
                let words = [&*spec, "-r", "threads", "--quick", "--out", &out];
                stage.run(&words).run().expect_code(0);
                let file = stage.path("results/run.json");
                let written = fs::read_to_string(&file).unwrap();
                let changed =
                    written.replace("\"adapters\": []", "\"adapters\": [\"/from/elsewhere\"]");
                assert_ne!(written, changed);
                fs::write(file, changed).unwrap();
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
            sentence: &[
                "--columns, --sort and --rows are for tables, and --format csv prints none",
            ],
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

pub fn by_large_inputs() {
    for input in large_inputs::INPUTS {
        let stage = Stage::new();
        stage.write(input.file, &(input.text)());
        let ended = stage.quadrant(input.arguments);
        let context = format!("{}: {:.2000}", input.what, ended.stderr);
        assert_eq!(ended.code, Some(2), "{context}");
        assert!(!ended.stderr.contains("panicked at"), "{context}");
        assert!(ended.stderr.contains(input.sentence), "{context}");
        // Short enough to be read.
        assert!(ended.stderr.len() < 16 * 1024, "{} bytes: {context}", ended.stderr.len());
        assert!(
            ended.peak_memory_kib <= MEMORY_MAX_KIB,
            "{} KiB: {context}",
            ended.peak_memory_kib
        );
    }
}
