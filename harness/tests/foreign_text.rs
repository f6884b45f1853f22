//! Text from elsewhere: damaged scenarios, run files and descriptions are refused with a reason, or
//! read. Records have such a test beside their reader.
#![allow(clippy::unwrap_used)] // all of it is tests

#[path = "../../reports/src/tests/mutate.rs"]
mod mutate;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use quadrant::commands::run::read_run;
use quadrant::commands::selection::scenario_files;
use quadrant::spec::{self, Scenario};
use quadrant_reports::visible::is_hidden;
use quadrant_suite::description::Description;
use serde_json::json;

/// Every scenario of this workspace in pieces: words, numbers, signs and white space.
static SCENARIOS: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    let texts = scenario_files(&folder).unwrap().into_iter().map(fs::read_to_string);
    texts.map(|text| pieces(&text.unwrap())).collect()
});

fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in text.chars() {
        match pieces.last_mut() {
            Some(piece)
                if c.is_alphanumeric() && last.is_alphanumeric() || c == ' ' && last == c =>
            {
                piece.push(c);
            }
            _ => pieces.push(c.to_string()),
        }
        last = c;
    }
    pieces
}

fn piece() -> impl Strategy<Value = String> {
    let signs = [
        "\n",
        "\t",
        "  ",
        "- ",
        ": ",
        ":",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "$",
        "&a ",
        "*a",
        "!x ",
        "|\n",
        ">\n",
        "'",
        "\"",
        "#",
        "%",
        "@",
        "?",
        "---\n",
        "<<: ",
        "~",
        "\u{1b}[31m",
        "\u{202e}",
        "18446744073709551616",
        "1e999",
        "-1",
        "0.5ns",
        ".nan",
        "as: x",
        "$how",
        "null",
        "",
    ];
    let known = (any::<Index>(), any::<Index>())
        .prop_map(|(which, at)| at.get(which.get(&SCENARIOS).as_slice()).clone());
    prop_oneof![3 => known, 2 => prop::sample::select(signs.to_vec()).prop_map(str::to_owned)]
}

/// What a person sees of the cases, and what the programs do.
fn cases(scenario: &Scenario) -> String {
    let cases = (0..scenario.case_count().min(20)).map(|case| format!("{:?}", scenario.case(case)));
    cases.collect()
}

proptest! {
    #![proptest_config(mutate::cases(1_000))]

    #[test]
    fn damaged_scenarios_are_refused_or_read(
        which in any::<Index>(),
        cuts in prop::collection::vec((any::<Index>(), 0..4_usize, prop::collection::vec(piece(), 0..3)), 1..6),
    ) {
        let mut pieces = which.get(&SCENARIOS).clone();
        for (at, length, inserted) in cuts {
            let from = at.index(pieces.len() + 1);
            let to = (from + length).min(pieces.len());
            pieces.splice(from..to, inserted);
        }
        let text = pieces.concat();
        match spec::parse("x.yaml", &text) {
            Ok(scenario) => {
                let again = spec::parse("x.yaml", scenario.source()).unwrap();
                prop_assert_eq!(cases(&scenario), cases(&again));
            }
            Err(errors) => {
                let lines = text.lines().count() + 1;
                for error in errors.all() {
                    let (line, column) = error.position().expect("an error has its place");
                    prop_assert!(line <= lines && column > 0, "{error}");
                }
                let shown = errors.to_string();
                prop_assert!(!shown.contains(|c| is_hidden(c) && c != '\n'), "{shown:?}");
            }
        }
    }

    #[test]
    fn damaged_descriptions_are_refused_or_read(mutations in mutate::mutations()) {
        let description = json!({
            "runtime": "x", "version": "1.2.3", "note": "discontinued",
            "executors": [{
                "executor": "multi-thread", "backend": "epoll", "topology": "per-core",
                "workers": "many", "capabilities": ["echo", "tasks"], "tasks_max": 5,
                "memlock_bytes_min": 0,
            }],
        });
        let text = mutate::mutated(description, &mutations).to_string();
        if let Ok(read) = serde_json::from_str::<Description>(&text) {
            let again = serde_json::to_string(&read).unwrap();
            prop_assert_eq!(serde_json::from_str::<Description>(&again).unwrap(), read);
        }
    }
}

proptest! {
    #![proptest_config(mutate::cases(300))]

    #[test]
    fn damaged_run_files_are_refused_or_read(mutations in mutate::mutations()) {
        let run = json!({
            "schema": 1, "run_id": "r", "seed": 1, "began": "r", "quadrant_version": "0.1.0",
            "command_line": ["quadrant", "run"],
            "options": {
                "specs": ["echo"], "axis": ["n=1"], "runtime": ["tokio"], "exclude": [], "trials": 3,
                "quick": false, "workers": null, "time_limit": 10.0, "memory_limit": 4096,
            },
            "specs": [{ "name": "echo", "digest": "00" }],
            "subjects": [{ "id": "a/b/c", "version": "1" }],
            "clock": { "cpu_counter": false, "ns_per_tick_shifted": 0 },
            "cpus": [0, 1],
            "machine": {
                "system": "Linux", "kernel": "6.1.0", "architecture": "x86_64",
                "cpu_model": "Fast 9", "cpus_allowed": 2, "governor": "performance",
                "memory_bytes": 1, "open_files_max": null, "locked_memory_max": null,
            },
        });
        let folder = tempfile::tempdir().unwrap();
        let write = |value: &serde_json::Value| {
            fs::write(folder.path().join("run.json"), value.to_string()).unwrap();
            read_run(folder.path())
        };
        let whole = write(&run).unwrap();
        match write(&mutate::mutated(run, &mutations)) {
            Ok(read) => drop((read.differences(&whole), whole.differences(&read))),
            Err(error) => prop_assert!(format!("{error:#}").contains("run.json"), "{error:#}"),
        }
    }
}
