//! The exit codes and their messages.

use crate::stage::Stage;

const YIELD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/yield.yaml");
const UNMET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/unmet.yaml");
const TOO_MANY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/too-many.yaml");

pub fn zero_means_success() {
    let stage = Stage::new();
    let out = stage.named("results");
    let ended = stage.run(&[YIELD, "-r", "threads", "--trials", "1", "--out", &out]).run();
    let ended = ended.expect_code(0).expect_words(&["2 trials", "seed", &out]);
    assert!(ended.stdout.contains("How often does a task give way?"), "{}", ended.stdout);
    stage.assert_empty();
    let run = std::fs::read_to_string(stage.path("results/run.json")).unwrap();
    let run: serde_json::Value = serde_json::from_str(&run).unwrap();
    assert_eq!(run["adapter_profile"]["lto"], "thin", "{run}");
    stage.quadrant(&["lint", YIELD, UNMET]).expect_code(0);
    stage.quadrant(&["--help"]).expect_code(0);
    stage.quadrant(&["--version"]).expect_code(0);
}

pub fn one_means_an_unmet_expectation() {
    let stage = Stage::new();
    let out = stage.named("results");
    let ended = stage.run(&[UNMET, "-r", "threads", "--trials", "1", "--out", &out]).run();
    let ended = ended.expect_code(1);
    assert!(ended.stdout.contains("ops"), "{}", ended.stdout);
    let records = stage.records("results");
    assert_eq!(records.len(), 1);
    let checked = &records[0].expectations[0];
    assert_eq!((checked.met, checked.seen), (false, Some(50.0)));
}

pub fn a_claim_that_does_not_hold_is_an_answer() {
    let stage = Stage::new();
    let claim = "claim: One thread is never enough.\ntasks:\n  - { name: work, repeat: 50, steps: [yield] }\n\
                 expect:\n  - ops: \"> 50\"\n";
    let file = stage.write("claim.yaml", &format!("name: claim\nquestion: Is it?\n{claim}"));
    let out = stage.named("results");
    let ended = stage.run(&[&file, "-r", "threads", "--trials", "2", "--out", &out]).run();
    let ended = ended.expect_code(0);
    assert!(ended.stdout.contains("does not hold: 50\n"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("not as expected"), "{}", ended.stdout);
    let again = stage.quadrant(&["report", &out]).expect_code(0);
    assert!(again.stdout.contains("does not hold: 50\n"), "{}", again.stdout);
}

pub fn two_means_wrong_usage_or_a_wrong_scenario() {
    let stage = Stage::new();
    let unfinished = stage.write("wrong.yaml", "name: wrong\nquestion: Why?\ntasks: 3\n");
    fn words<'a>(words: &[&'a str]) -> Vec<&'a str> {
        words.to_vec()
    }
    let mistakes: &[(Vec<&str>, &[&str])] = &[
        (words(&["run", &unfinished]), &["wrong.yaml", "tasks"]),
        (words(&["lint", &unfinished, YIELD]), &["wrong.yaml", "1 of 2 files"]),
        (words(&["run", "echo/conections"]), &["did you mean `echo/connections`?"]),
        (words(&["run", "timer"]), &["there is no scenario `timer`", "did you mean", "/timers`"]),
        (words(&["run", "xyzzy"]), &["there is no scenario `xyzzy`", "quadrant list specs"]),
        (words(&["run", "--axes", "a=1"]), &["--axes", "--axis"]),
        (words(&["run", YIELD, "--axis", "tasks"]), &["NAME=VALUE"]),
        (words(&["run", YIELD, "--axis", "task=1"]), &["no axis `task`", "tasks"]),
        (words(&["run", YIELD, "--axis", "tasks=2"]), &["`tasks`", "`2`", "1, 3"]),
        (words(&["run", UNMET, "--axis", "tasks=2"]), &["no axis `tasks`", "have none"]),
        (words(&["run", YIELD, "-r", "a/[b"]), &["`a/[b`", "is no pattern"]),
        (words(&["run", YIELD, "--trials", "0"]), &["--trials"]),
        (words(&["run", YIELD, "--time-limit", "0"]), &["0.1 and 3600"]),
        (words(&["run", YIELD, "--format", "yaml"]), &["'yaml'", "table, json, jsonl"]),
        (words(&["run", YIELD, "--resume", "x"]), &["--resume"]),
        (words(&["run", "--resume", "nowhere"]), &["nowhere holds no run"]),
        (words(&["runs"]), &["run"]),
        (words(&[]), &["Usage"]),
    ];
    for (words, expected) in mistakes {
        let ended = stage.quadrant(words);
        assert_eq!(ended.code, Some(2), "{words:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        ended.expect_words(expected);
    }
    stage.assert_empty();
}

pub fn duplicate_names_are_refused_and_links_not_followed() {
    let stage = Stage::new();
    let spec = "name: twin\nquestion: q?\ntasks: [{ name: t, steps: [yield] }]\n";
    std::fs::create_dir(stage.path("folder")).unwrap();
    stage.write("folder/a.yaml", spec);
    // The file must be found once, not through every link.
    std::os::unix::fs::symlink(".", stage.path("folder/again")).unwrap();
    std::os::unix::fs::symlink(".", stage.path("folder/and-again")).unwrap();
    let linted = stage.quadrant(&["lint", &stage.named("folder")]).expect_code(0);
    assert_eq!(linted.stdout.matches("a.yaml").count(), 1, "{}", linted.stdout);
    stage.write("folder/b.yaml", spec);
    let ended = stage.quadrant(&["run", "--no-build", &stage.named("folder")]);
    ended.expect_code(2).expect_words(&["a.yaml", "b.yaml", "both called `twin`"]);
}

pub fn an_expectation_without_subjects_is_only_a_warning() {
    let stage = Stage::new();
    let text = "name: nobody\nquestion: Of whom?\ntasks:\n  - { name: a, repeat: 5, steps: [yield] }\n\
                expect:\n  - { subjects: \"thraeds/**\", ops: 1 }\n  - { subjects: threads, ops: 5 }\n";
    let spec = stage.write("nobody.yaml", text);
    let expected =
        ["nobody", "`subjects: thraeds/**` matches no subject", "quadrant list subjects"];
    let linted = stage.quadrant(&["lint", &spec]).expect_code(0).expect_words(&expected);
    assert!(!linted.stderr.contains("subjects: threads"), "{}", linted.stderr);
    let out = stage.named("results");
    stage.run(&[&spec, "--quick", "--out", &out]).run().expect_code(0).expect_words(&expected);
    // With `-r`, subjects are left out on purpose.
    let out = stage.named("chosen");
    let chosen = stage.run(&[&spec, "--quick", "-r", "threads", "--out", &out]).run();
    assert!(!chosen.expect_code(0).stderr.contains("matches no subject"));
}

pub fn four_means_that_nothing_was_run() {
    let stage = Stage::new();
    let words = [YIELD, "-r", "no-such-runtime", "--format", "json"];
    let no_subject = stage.run(&words).run().expect_code(4);
    assert_eq!(no_subject.records(), []);
    no_subject.expect_words(&["no subject matches", "quadrant list subjects"]);

    let out = stage.named("results");
    let words = [TOO_MANY, "-r", "threads", "--format", "json", "--out", &out];
    let unsupported = stage.run(&words).run().expect_code(4).expect_words(&["nothing was run"]);
    let records = unsupported.records();
    assert_eq!(records.len(), 2);
    for record in &records {
        let reason = record.reason.as_deref().unwrap();
        assert!(reason.contains("tasks at once"), "{reason}");
    }
    assert_eq!(stage.records("results"), records);
    stage.quadrant(&["list", "cells", TOO_MANY, "-r", "threads", "--no-build"]).expect_code(4);
    stage.assert_empty();
}

pub fn existing_results_are_never_overwritten() {
    let stage = Stage::new();
    let out = stage.named("results");
    let words = [YIELD, "-r", "threads", "--trials", "1", "--out", &out];
    stage.run(&words).run().expect_code(0);
    let before = stage.records("results");
    let again = stage.run(&words).run().expect_code(2);
    again.expect_words(&["holds the records of another run", "--resume", "--out"]);
    assert_eq!(stage.records("results"), before);
}

pub fn an_impossible_results_folder_is_an_error() {
    let stage = Stage::new();
    // Not even root can create a folder there.
    for out in ["/proc/results", "/dev/null/results"] {
        let ended = stage.run(&[YIELD, "-r", "threads", "--quick", "--out", out]).run();
        ended.expect_code(3).expect_words(&["the folder", out, "cannot be made"]);
    }
    // A run that fails before it starts leaves no folder behind.
    let out = stage.named("new/results");
    stage.run(&["xyzzy", "--out", &out]).run().expect_code(2);
    assert!(!stage.path("new").exists());
    stage.assert_empty();
}
