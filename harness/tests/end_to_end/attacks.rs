//! Attacks: bad input and bad surroundings. Each ends with its exit code and a sentence, and leaves
//! nothing behind.

use std::os::unix::process::CommandExt;
use std::process::Command;

use quadrant::system::forbid;

use crate::command::Call;
use crate::stage::Stage;

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/yield.yaml");

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
    carry_out(&[Attack {
        what: "an unknown format",
        call: |stage| stage.call().args(["run", "--format", "yaml"]),
        code: 2,
        sentence: &["yaml"],
    }]);
}
