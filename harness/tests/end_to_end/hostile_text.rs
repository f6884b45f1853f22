//! Attacks by texts: scenarios, records, run files, descriptions and file names that would change a
//! terminal, or that are too long.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use serde_json::{Value, json};

use crate::attacks::{Attack, carry_out};
use crate::command::Call;
use crate::stage::{Stage, library_name};

/// A colour, a window's title, and letters in reverse.
const ESCAPES: &str = "\u{1b}[31m\u{9b}2J\u{1b}]0;x\u{7}\u{202e}";
const SCENARIO: &str = "name: x\nquestion: q?\n";

/// A scenario of some bytes: what a part of it, repeated, and an end come to.
fn repeated(stage: &Stage, head: &str, part: &str, end: &str) -> Call {
    let bytes = 250_000 - head.len() - end.len();
    let text = format!("{head}{}{end}", part.repeat(bytes / part.len()));
    stage.call().args(["lint", &stage.write("long.yaml", &text)])
}

/// Three axes, so that there are 8,192 cases, with a use of each.
fn many_cases() -> String {
    let list = |unit: &str| (1..=64).map(|n| format!("{n}{unit}, ")).collect::<String>();
    format!(
        "{SCENARIO}axes: {{ a: [{}], b: [{}], c: [1, 2] }}\nfiles: {{ count: $c, size: $b }}\n\
         tasks: [{{ name: t, steps: [read_file, {{ sleep: $a }}] }}]\nexpect:\n",
        list("ms"),
        list("B")
    )
}

fn run_file(machine: &str) -> Value {
    json!({
        "schema": 1, "run_id": "r", "seed": 1, "began": "r", "quadrant_version": "0.1.0",
        "command_line": [], "options": { "specs": [], "axis": [], "runtime": [], "exclude": [],
        "trials": 1, "quick": false, "workers": null },
        "specs": [], "subjects": [], "clock": { "cpu_counter": false, "ns_per_tick_shifted": 0 },
        "cpus": [0], "machine": { "system": machine, "kernel": "6", "architecture": "x",
        "cpu_model": "x", "cpus_allowed": 1, "governor": null, "memory_bytes": 1,
        "open_files_max": null, "locked_memory_max": null },
    })
}

fn record(subject: &str, text: &str) -> Value {
    json!({
        "schema": 1, "run_id": text, "seed": 1, "scenario": text, "question": text,
        "workload": text, "case": [{ "axis": text, "value": text }], "trial": 0,
        "subject": { "id": subject, "runtime": text, "version": text, "executor": text,
        "backend": text, "workers": 1, "note": text }, "status": "failed", "reason": text,
        "warnings": [text], "took_ns": 1,
    })
}

/// A results folder with these lines of records.
fn results(stage: &Stage, name: &str, machine: &str, lines: &str) -> String {
    fs::create_dir(stage.path(name)).unwrap();
    stage.write(&format!("{name}/run.json"), &run_file(machine).to_string());
    stage.write(&format!("{name}/records.jsonl"), lines);
    stage.named(name)
}

fn hostile_results(stage: &Stage, name: &str) -> String {
    let subjects = [&format!("a/{ESCAPES}/c"), "a/b/c"];
    let lines = subjects.map(|subject| record(subject, ESCAPES).to_string() + "\n");
    results(stage, name, &format!("{ESCAPES}{name}"), &lines.concat())
}

fn report_hostile(stage: &Stage, format: &str) -> Call {
    stage.call().args(["report", &hostile_results(stage, "hostile"), "--format", format])
}

/// A library that prints when it is loaded, and ends its process.
fn printing_library(stage: &Stage) -> String {
    fs::create_dir(stage.path("adapters")).unwrap();
    let code = "#include <stdio.h>\n#include <stdlib.h>\n\
        __attribute__((constructor)) static void start(void) {\n\
        fputs(\"\\033[31mred\\302\\2332J\\342\\200\\256\\n\", stderr); fflush(stderr); _Exit(7); }\n";
    let source = stage.write("library.c", code);
    let library = stage.path("adapters").join(library_name("printing"));
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(library).arg(source).status();
    assert!(compiled.unwrap().success());
    stage.named("adapters")
}

pub fn none_reaches_the_terminal() {
    carry_out(&[
        Attack {
            what: "a scenario that is no YAML",
            call: |stage| {
                let spec = stage.write("bad.yaml", "name: [\n");
                stage.call().args(["lint", &spec])
            },
            code: 2,
            sentence: &["bad.yaml"],
        },
        Attack {
            what: "escapes in the name of a wrong scenario and in its text",
            call: |stage| {
                let text = "name: \"\\e[31m\\x9b2J\\a\u{202e}\"\nquestion: q?\n";
                let spec = stage.write(&format!("{ESCAPES}.yaml"), text);
                stage.call().args(["lint", &spec])
            },
            code: 2,
            sentence: &["\\u001b[31m\\u009b2J", "\\u202e.yaml:1:7"],
        },
        Attack {
            what: "escapes in the name of a scenario that is right",
            call: |stage| {
                let text = format!("{SCENARIO}tasks: [{{ name: t, steps: [yield] }}]\n");
                let spec = stage.write(&format!("{ESCAPES}.yaml"), &text);
                stage.call().args(["lint", &spec])
            },
            code: 0,
            sentence: &[],
        },
        Attack {
            what: "a question in reverse",
            call: |stage| {
                let text =
                    "name: x\nquestion: \"\u{202e}Why?\"\ntasks: [{ name: t, steps: [yield] }]\n";
                let spec = stage.write("x.yaml", text);
                stage.call().args(["list", "specs", &spec, "--format", "json"])
            },
            code: 0,
            sentence: &[],
        },
        Attack {
            what: "a scenario whose name is not UTF-8, in a folder",
            call: |stage| {
                fs::create_dir(stage.path("specs")).unwrap();
                let name = stage.path("specs").join(OsStr::from_bytes(b"\xff.yaml"));
                fs::write(name, format!("{SCENARIO}tasks: [{{ name: t, steps: [yeild] }}]\n"))
                    .unwrap();
                stage.run(&[&stage.named("specs")])
            },
            code: 2,
            sentence: &["\u{fffd}.yaml:3:28: unknown step"],
        },
        Attack {
            what: "adapters in a folder whose name is not UTF-8",
            call: |stage| {
                let words = [OsStr::new("--adapters"), OsStr::from_bytes(b"\xff")];
                stage.run(&["tour"]).args(words)
            },
            code: 2,
            sentence: &["invalid UTF-8"],
        },
        Attack {
            what: "a library that prints escapes",
            call: |stage| {
                let adapters = printing_library(stage);
                stage.call().args(["list", "subjects", "--no-build", "--adapters", &adapters])
            },
            code: 0,
            sentence: &[],
        },
        Attack {
            what: "escapes in the name of a library",
            call: |stage| {
                fs::create_dir(stage.path("adapters")).unwrap();
                stage.write(&format!("adapters/{}", library_name(ESCAPES)), "no library");
                let adapters = stage.named("adapters");
                stage.run(&["tour/4-three-files", "--adapters", &adapters, "--quick"])
            },
            code: 3,
            sentence: &[],
        },
        Attack {
            what: "escapes in records, as a table",
            call: |stage| report_hostile(stage, "table"),
            code: 0,
            sentence: &[],
        },
        Attack {
            what: "escapes in records, as JSON",
            call: |stage| report_hostile(stage, "json"),
            code: 0,
            sentence: &[],
        },
        Attack {
            what: "escapes in records, as CSV",
            call: |stage| report_hostile(stage, "csv"),
            code: 0,
            sentence: &[],
        },
        Attack {
            what: "escapes in records, as Markdown",
            call: |stage| report_hostile(stage, "markdown"),
            code: 0,
            sentence: &[],
        },
        Attack {
            what: "escapes in two runs that differ",
            call: |stage| {
                let [base, new] = ["base", "new"].map(|name| hostile_results(stage, name));
                stage.call().args(["compare", &base, &new])
            },
            code: 2,
            sentence: &["system: \\u001b[31m\\u009b2J"],
        },
        Attack {
            what: "escapes in two runs that are compared all the same",
            call: |stage| {
                let [base, new] = ["base", "new"].map(|name| hostile_results(stage, name));
                stage.call().args(["compare", &base, &new, "--force"])
            },
            code: 4,
            sentence: &[],
        },
    ]);
}

/// Each has at most 1 MB, and is refused before it costs much.
pub fn long_ones_are_refused() {
    carry_out(&[
        Attack {
            what: "a scenario of 1 MB",
            call: |stage| {
                stage.call().args(["run", &stage.write("x.yaml", &"a".repeat(1_000_000))])
            },
            code: 2,
            sentence: &["too long"],
        },
        Attack {
            what: "deep lists",
            call: |stage| repeated(stage, "name: ", "[", ""),
            code: 2,
            sentence: &["long.yaml:1:"],
        },
        Attack {
            what: "a list of many items",
            call: |stage| repeated(stage, &format!("{SCENARIO}subjects: ["), "a,", "]\n"),
            code: 2,
            sentence: &["too large"],
        },
        Attack {
            what: "a long key",
            call: |stage| repeated(stage, SCENARIO, "k", ": 1\n"),
            code: 2,
            sentence: &["long.yaml:3:1"],
        },
        Attack {
            what: "a number of many digits",
            call: |stage| repeated(stage, &format!("{SCENARIO}stall: 0."), "1", "s\n"),
            code: 2,
            sentence: &["no whole number"],
        },
        Attack {
            what: "a pattern of many braces",
            call: |stage| repeated(stage, &format!("{SCENARIO}subjects: '"), "{", "'\n"),
            code: 2,
            sentence: &["at most 1,000 letters"],
        },
        Attack {
            what: "many mistakes",
            call: |stage| repeated(stage, SCENARIO, "tasks: []\n", ""),
            code: 2,
            sentence: &["a second time"],
        },
        Attack {
            what: "an alias bomb",
            call: |stage| {
                let lists = ('b'..='z').zip('a'..='z').map(|(next, last)| {
                    let items = vec![format!("*{last}"); 9].join(", ");
                    format!("  {next}: &{next} [{items}]\n")
                });
                let text = format!("{SCENARIO}axes:\n  a: &a [x]\n{}", lists.collect::<String>());
                stage.call().args(["lint", &stage.write("x.yaml", &text)])
            },
            code: 2,
            sentence: &["too complex"],
        },
        Attack {
            what: "many cases with many expectations",
            call: |stage| repeated(stage, &many_cases(), "- { errors: 0 }\n", ""),
            code: 2,
            sentence: &["8,192 cases of"],
        },
        Attack {
            what: "a record that is one deep list",
            call: |stage| {
                let folder = results(stage, "deep", "x", &("[".repeat(1_000_000) + "\n"));
                stage.call().args(["report", &folder])
            },
            code: 2,
            sentence: &["line 1 is not a record"],
        },
        Attack {
            what: "a record with many axes",
            call: |stage| {
                let mut record = record("a/b/c", "x");
                record["case"] = json!(vec![json!({ "axis": "n", "value": "1" }); 30_000]);
                let folder = results(stage, "axes", "x", &format!("{record}\n"));
                stage.call().args(["compare", &folder, &folder])
            },
            code: 2,
            sentence: &["more than 64 axes"],
        },
        Attack {
            what: "a record with a long reason and many warnings",
            call: |stage| {
                let mut record = record("a/b/c", "x");
                record["reason"] = json!("word ".repeat(100_000));
                record["warnings"] = json!(vec![""; 150_000]);
                let folder = results(stage, "long", "x", &format!("{record}\n"));
                stage.call().args(["report", &folder])
            },
            code: 0,
            sentence: &[],
        },
        Attack {
            what: "a run file that is one deep list",
            call: |stage| {
                let folder = results(stage, "deep", "x", "");
                stage.write("deep/run.json", &"[".repeat(1_000_000));
                stage.call().args(["run", "--resume", &folder])
            },
            code: 2,
            sentence: &["run.json"],
        },
    ]);
}
