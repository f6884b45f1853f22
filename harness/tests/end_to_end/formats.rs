//! Standard output holds the report and nothing else, in the requested format.

use std::fs;

use quadrant_reports::record::Record;

use crate::scattered;
use crate::skip::{Need, skip};
use crate::stage::Stage;

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/yield.yaml");

#[track_caller]
fn report(stage: &Stage, format: &str) -> (String, Vec<Record>) {
    let folder = format!("results-{format}");
    let out = stage.named(&folder);
    let words = [SPEC, "-r", "threads", "--trials", "2", "--format", format, "--out", &out];
    let ended = stage.run(&words).run().expect_code(0);
    (ended.stdout, stage.records(&folder))
}

pub fn json_and_jsonl_hold_the_records() {
    let stage = Stage::new();
    let (text, records) = report(&stage, "json");
    assert_eq!(serde_json::from_str::<Vec<Record>>(&text).unwrap(), records);
    // Two cases with two trials each.
    assert_eq!(records.len(), 4);

    let (text, records) = report(&stage, "jsonl");
    let lines: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, records);
}

pub fn csv_rows_have_as_many_fields_as_headings() {
    let stage = Stage::new();
    let (text, records) = report(&stage, "csv");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), records.len() + 1);
    let headings: Vec<&str> = lines[0].split(',').collect();
    assert!(headings.contains(&"status") && headings.contains(&"ops_per_sec"), "{headings:?}");
    // Nothing in these records needs quotes, so commas only separate.
    let unquoted = lines[1..].iter().filter(|line| !line.contains('"'));
    for line in unquoted {
        assert_eq!(line.split(',').count(), headings.len(), "{line}");
    }
    assert!(lines[1..].iter().all(|line| line.contains("threads/thread-per-task/blocking")));
}

pub fn markdown_has_a_table_for_each_case() {
    let stage = Stage::new();
    let (text, _) = report(&stage, "markdown");
    let rules = text.lines().filter(|line| line.starts_with('|') && line.contains("--")).count();
    assert!(rules >= 2, "{text}");
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    let table: Vec<&str> = text.lines().skip_while(|line| !line.starts_with('|')).collect();
    let table: Vec<&str> = table.into_iter().take_while(|line| line.starts_with('|')).collect();
    assert!(table.len() >= 3, "{text}");
    assert!(table.iter().all(|line| bars(line) == bars(table[0])), "{text}");
}

pub fn colours_need_a_terminal_or_an_option() {
    let stage = Stage::new();
    let words = |folder: &str, color: &str| {
        let out = stage.named(folder);
        [SPEC, "-r", "threads", "--trials", "1", "--out", &out, "--color", color].map(str::to_owned)
    };
    let colored = |folder: &str, color: &str| {
        let words = words(folder, color);
        let words: Vec<&str> = words.iter().map(|word| &**word).collect();
        stage.run(&words).run().expect_code(0).stdout.contains('\x1b')
    };
    assert!(!colored("auto", "auto"));
    assert!(!colored("never", "never"));
    assert!(colored("always", "always"));

    // `script` runs a command on a terminal.
    let on_terminal = |folder: &str, no_color: &str| {
        let quadrant = env!("CARGO_BIN_EXE_quadrant");
        let words = words(folder, "auto").join(" ");
        let line = format!("{quadrant} run --no-build {words} 2>/dev/null");
        let output = std::process::Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env("TMPDIR", stage.temporary())
            .env("TERM", "xterm")
            .env("NO_COLOR", no_color)
            .stdin(std::process::Stdio::null())
            .output();
        let text = output.ok().filter(|output| output.status.success())?.stdout;
        let text = String::from_utf8_lossy(&text).into_owned();
        text.contains("give way").then(|| text.contains('\x1b'))
    };
    match on_terminal("terminal", "") {
        None => skip(Need::Other, "`script`, which gives a command a terminal, is not here"),
        Some(colored) => {
            assert!(colored);
            assert_eq!(on_terminal("no-color", "1"), Some(false));
        }
    }
}

pub fn a_closed_standard_output_causes_no_panic() {
    let stage = Stage::new();
    let out = stage.named("results");
    let calls: [&[&str]; 4] = [
        &["run", "--no-build", SPEC, "-r", "threads", "--quick", "--out", &out],
        &["list", "specs"],
        &["lint", "tour", "echo", "files", "tasks"],
        &["--help"],
    ];
    for words in calls {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = stage.call().args(words).start_into(writer).wait();
        assert!(!ended.stderr.contains("panicked"), "{words:?}: {}", ended.stderr);
        assert_ne!(ended.code, Some(101), "{words:?}: {}", ended.stderr);
        if words[0] == "run" {
            // During the run or at its end, the message names the folder of the records.
            ended.expect_code(130).expect_words(&["The output was closed", &out]);
        }
    }
    stage.assert_empty();
}

pub fn a_numeric_axis_gets_a_crossover_sentence() {
    let stage = Stage::new();
    let out = stage.named("results");
    let words = [SPEC, "-r", "threads", "-r", "tokio/current-thread/epoll", "--trials", "2"];
    let asked = stage.run(&words).args(["--out", &out, "--crossovers"]);
    let ended = asked.run().expect_code(0);
    let heading = "\ncrossovers   yield   along tasks: 1, 3   by yielder/s\n";
    let (tables, said) = ended.stdout.split_once(heading).unwrap();
    assert_eq!(tables.matches("How often does a task give way?").count(), 2, "{tables}");
    let sentence = said.lines().find(|line| line.starts_with(" best of each  ")).unwrap();
    assert!(sentence.contains("blocking") && sentence.contains("epoll"), "{sentence}");

    let unasked = stage.quadrant(&["report", &out]).expect_code(0).stdout;
    assert!(!unasked.contains("crossovers"), "the subjects differ by more than their backends");
    let again = stage.quadrant(&["report", &out, "--crossovers"]).expect_code(0);
    assert_eq!(again.stdout, ended.stdout);
    let page = ["report", &out, "--crossovers", "--format", "markdown"];
    let page = stage.quadrant(&page).expect_code(0).stdout;
    assert!(
        page.contains("\n### crossovers\n\n**yield** · along tasks: 1, 3 · by yielder/s\n"),
        "{page}"
    );
    let one = [SPEC, "-r", "threads", "--quick", "--out", &stage.named("one")];
    let one = stage.run(&one).run().expect_code(0);
    assert!(!one.stdout.contains("crossovers"), "one backend has nobody to overtake");
}

pub fn the_values_of_an_axis_become_rows() {
    let stage = Stage::new();
    let out = stage.named("results");
    let subjects = ["-r", "threads", "-r", "tokio/current-thread/epoll"];
    let words =
        [&[SPEC, "--trials", "2", "--rows", "tasks", "--out", &out][..], &subjects].concat();
    let ended = stage.run(&words).run().expect_code(0);
    let lines = || ended.stdout.lines();
    let first_word = |line: &'_ str| line.split(' ').next().unwrap_or_default().to_owned();
    let headings = lines().filter_map(|line| line.strip_prefix("yield   ")).map(first_word);
    let subjects = ["threads/thread-per-task/blocking", "tokio/current-thread/epoll"];
    assert_eq!(headings.collect::<Vec<_>>(), subjects);
    let names = lines().filter_map(|line| line.strip_prefix(' ')).map(first_word);
    let rows = names.filter(|name| ["tasks", "1", "3"].contains(&name.as_str()));
    assert_eq!(rows.collect::<Vec<_>>(), ["tasks", "1", "3"].repeat(2));
    assert!(!ended.stdout.contains("summary"), "it counts the best subjects");

    let again = stage.quadrant(&["report", &out, "--rows", "tasks"]).expect_code(0);
    assert_eq!(again.stdout, ended.stdout);
    for call in [&["report", &out, "--rows", "how"][..], &["run", SPEC, "--rows", "how"]] {
        stage.quadrant(call).expect_code(2).expect_words(&["no axis `how`; there is tasks"]);
    }
}

/// The memory does not grow with the records, beside what any report needs: each may take as many
/// bytes.
pub fn scattered_records_give_the_same_report() {
    const CASES: u32 = 2_000;
    const BYTES_MAX: u64 = 200;
    let stage = Stage::new();
    for folder in ["scattered", "ordered", "few"] {
        fs::create_dir(stage.path(folder)).unwrap();
        let cases = if folder == "few" { CASES / 10 } else { CASES };
        let path = stage.path(folder).join("records.jsonl");
        scattered::write(&path, cases, folder != "ordered").unwrap();
    }
    let report = |folder: &str, format: &str| {
        let folder = stage.named(folder);
        stage.quadrant(&["report", &folder, "--format", format]).expect_code(0)
    };
    let scattered = report("scattered", "jsonl");
    assert!(scattered.stdout == report("ordered", "jsonl").stdout);
    let few = report("few", "jsonl");
    let more = scattered.peak_memory_kib.saturating_sub(few.peak_memory_kib) * 1024;
    let records = u64::from(scattered::RECORDS_OF_CASE * (CASES - CASES / 10));
    assert!(more <= records * BYTES_MAX, "{} bytes a record", more / records);
}
