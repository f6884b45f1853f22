//! Large inputs that have to be refused: a megabyte, or nearly as much as a scenario may have. Benches
//! use them too.

pub struct Large {
    pub what: &'static str,
    /// The file with it.
    pub file: &'static str,
    pub text: fn() -> String,
    pub arguments: &'static [&'static str],
    #[allow(dead_code)] // not by benches
    pub sentence: &'static str,
}

const MEGABYTE: usize = 1 << 20;
/// A scenario of more is refused unread.
const SCENARIO: usize = 250 << 10;

fn of_size(size: usize, piece: &str) -> String {
    piece.repeat(size / piece.len())
}

fn scenario(rest: &str) -> String {
    format!("name: large\nquestion: How long?\n{rest}")
}

const LINT: &[&str] = &["lint", "large.yaml"];
const REPORT: &[&str] = &["report", "."];
const RESUME: &[&str] = &["run", "--resume", "."];

/// Everything that reads text from elsewhere, with what is dear for parsers and for messages.
pub const INPUTS: &[Large] = &[
    Large {
        what: "a scenario of a megabyte",
        file: "large.yaml",
        text: || of_size(MEGABYTE, "x"),
        arguments: LINT,
        sentence: "a scenario can have 256 KiB",
    },
    Large {
        what: "a scenario with lists in lists",
        file: "large.yaml",
        text: || of_size(SCENARIO, "["),
        arguments: LINT,
        sentence: "recursion limit",
    },
    Large {
        what: "a scenario with maps in maps",
        file: "large.yaml",
        text: || (0..700).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect(),
        arguments: LINT,
        sentence: "too large or too complex",
    },
    Large {
        what: "a scenario of one long word",
        file: "large.yaml",
        text: || of_size(SCENARIO, "x"),
        arguments: LINT,
        sentence: "a map (`key: value`) is expected",
    },
    Large {
        what: "a scenario with unknown keys",
        file: "large.yaml",
        text: || scenario(&(0..19_000).map(|key| format!("k{key}: {key}\n")).collect::<String>()),
        arguments: LINT,
        sentence: "unknown key `k0`",
    },
    Large {
        what: "a scenario with wrong steps",
        file: "large.yaml",
        text: || {
            scenario(&format!(
                "tasks:\n  - name: t\n    count: 1\n    steps:\n{}",
                of_size(SCENARIO, "      - sleeep: 5 ms\n")
            ))
        },
        arguments: LINT,
        sentence: "a scenario can have 1,000",
    },
    Large {
        what: "a scenario with values of an axis that are no numbers",
        file: "large.yaml",
        text: || scenario(&format!("axes:\n  tasks: [{}1]\n", of_size(SCENARIO, "many, "))),
        arguments: LINT,
        sentence: "are too many to check",
    },
    Large {
        what: "a scenario with aliases of aliases",
        file: "large.yaml",
        text: || {
            let aliases = |level: u32| {
                format!("a{level}: &a{level} [{}]\n", format!("*a{}, ", level - 1).repeat(10))
            };
            let levels: String = (1..30).map(aliases).collect();
            scenario(&format!("a0: &a0 x\n{levels}# {}\n", of_size(SCENARIO, "-")))
        },
        arguments: LINT,
        sentence: "too large or too complex",
    },
    Large {
        what: "a scenario with hidden characters",
        file: "large.yaml",
        text: || scenario(&format!("{}: 1\n", of_size(SCENARIO, "\u{202e}"))),
        arguments: LINT,
        sentence: "cannot be read",
    },
    Large {
        what: "a scenario with tabs",
        file: "large.yaml",
        text: || scenario(&of_size(SCENARIO, "\t- a\n")),
        arguments: LINT,
        sentence: "replace it by spaces",
    },
    Large {
        what: "records in one line of lists",
        file: "records.jsonl",
        text: || of_size(MEGABYTE, "[") + "\n",
        arguments: REPORT,
        sentence: "line 1 is not a record",
    },
    Large {
        what: "records of short lines",
        file: "records.jsonl",
        text: || of_size(MEGABYTE, "{}\n"),
        arguments: REPORT,
        sentence: "line 1 is not a record",
    },
    Large {
        what: "a record with more axes than a case has",
        file: "records.jsonl",
        text: || {
            let axes = of_size(MEGABYTE, r#"{"axis":"a","value":"1"},"#);
            format!(
                "{{\"schema\":1,\"run_id\":\"r\",\"scenario\":\"s\",\"case\":[{}]}}\n",
                axes.trim_end_matches(',')
            )
        },
        arguments: REPORT,
        sentence: "more than 64 axes",
    },
    Large {
        what: "a run.json of lists in lists",
        file: "run.json",
        text: || of_size(MEGABYTE, "["),
        arguments: RESUME,
        sentence: "run.json is damaged",
    },
    Large {
        what: "a run.json of one text",
        file: "run.json",
        text: || format!("{{\"schema\":1,\"run_id\":\"{}\"}}", of_size(MEGABYTE, "\u{202e}")),
        arguments: RESUME,
        sentence: "run.json is damaged",
    },
];
