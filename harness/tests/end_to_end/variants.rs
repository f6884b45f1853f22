//! Variants: other builds of an adapter, declared in its manifest, which run only if selected.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::Ended;
use crate::stage::{
    CDYLIB, Stage, Subject, adapters_folder, library_name, ordinary_subjects, workspace,
};

/// The subjects of all cells that would run, and the text on standard error.
#[track_caller]
fn asked(stage: &Stage, words: &[&str]) -> (BTreeSet<String>, String) {
    let call = stage.call().args(["list", "cells", "--no-build", "--format", "json"]);
    let ended = call.args(words).run();
    let cells: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    let subject = |cell: &Value| cell["subject"].as_str().unwrap().to_owned();
    (cells.iter().map(subject).collect(), ended.stderr)
}

fn ids(is_meant: impl Fn(&Subject) -> bool) -> BTreeSet<String> {
    let meant = ordinary_subjects().iter().filter(|subject| is_meant(subject));
    meant.map(|subject| subject.id.clone()).collect()
}

pub fn variants_run_only_if_asked_for() {
    let stage = Stage::new();
    let variants = ids(|subject| subject.variant);
    assert!(variants.len() > 5, "{variants:?}");

    let (asked_plainly, words) = asked(&stage, &["echo/connections"]);
    assert_eq!(asked_plainly, ids(|subject| !subject.variant));
    let line = words.lines().find(|line| line.contains("left out")).unwrap();
    assert!(line.contains("variants left out (") && line.contains("-r '**/poll'"), "{line}");
    assert!(line.contains("tokio@poll") && line.contains("smol@poll"), "{line}");

    for (pattern, meant) in [
        ("**", ids(|_| true)),
        ("tokio", ids(|subject| subject.runtime == "tokio" && !subject.variant)),
        ("tokio/**", ids(|subject| subject.runtime == "tokio")),
        ("tokio@poll", ids(|subject| subject.runtime == "tokio" && subject.backend == "poll")),
        ("**/poll", ids(|subject| subject.backend == "poll")),
        ("*/*/epoll+ring", ids(|subject| subject.backend == "epoll+ring")),
    ] {
        let (asked, words) = asked(&stage, &["echo/connections", "-r", pattern]);
        assert_eq!(asked, meant, "{pattern}");
        assert!(!words.contains("left out"), "{words}");
    }
}

pub fn the_command_line_narrows_a_scenarios_subjects() {
    let stage = Stage::new();
    let spec = |name: &str, subjects: &str| {
        let text = format!(
            "name: {name}\nquestion: Who?\n{subjects}tasks: [{{ name: t, steps: [yield] }}]\n"
        );
        stage.write(&format!("{name}.yaml"), &text)
    };
    let poll = spec("poll", "subjects: [\"**/poll\"]\n");
    let is_poll = |subject: &Subject| subject.backend == "poll";
    assert_eq!(asked(&stage, &[&poll]), (ids(is_poll), String::new()));
    let smol = |subject: &Subject| subject.runtime == "smol" && is_poll(subject);
    assert_eq!(asked(&stage, &[&poll, "-r", "smol"]).0, ids(smol));
    let no_smol = |subject: &Subject| subject.runtime != "smol" && is_poll(subject);
    assert_eq!(asked(&stage, &[&poll, "-x", "smol"]).0, ids(no_smol));
    assert!(asked(&stage, &[&poll, "-r", "threads"]).0.is_empty());

    // Beside a scenario for all subjects, each scenario has its own subjects.
    let all = spec("all", "");
    let call = stage.call().args(["list", "cells", "--no-build", "--format", "json", &poll, &all]);
    let cells: Vec<Value> = serde_json::from_str(&call.run().expect_code(0).stdout).unwrap();
    let of = |scenario: &str| -> BTreeSet<String> {
        let cells = cells.iter().filter(|cell| cell["scenario"] == scenario);
        cells.map(|cell| cell["subject"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of("poll"), ids(is_poll));
    assert_eq!(of("all"), ids(|subject| !subject.variant));
}

pub fn a_run_uses_its_scenarios_subjects() {
    let stage = Stage::new();
    let text = "name: x\nquestion: Who?\nsubjects: [threads, \"mio/callbacks/poll\"]\n\
                server: { steps: [echo] }\nload: { connections: 1, send: 1B }\n\
                time: { warmup: 0s, measure: 50ms }\n";
    let spec = stage.write("x.yaml", text);
    let limit = std::time::Duration::from_secs(120);
    let (_, records) = stage.measure(&[&spec, "--trials", "1"], &["--time-limit", "60"], limit);
    let seen: BTreeSet<&str> = records.iter().map(|record| &*record.subject.id).collect();
    assert_eq!(seen, BTreeSet::from(["mio/callbacks/poll", "threads/thread-per-task/blocking"]));
    let ended = stage.run(&[&spec, "-r", "glommio"]).run().expect_code(4);
    assert!(ended.stderr.contains("no subject matches"), "{}", ended.stderr);
}

pub fn prebuilt_variants_are_recognized_by_file_name() {
    let stage = Stage::new();
    let folder = stage.path("adapters");
    fs::create_dir(&folder).unwrap();
    let copy = |from: PathBuf, name: &str| fs::copy(from, folder.join(library_name(name))).unwrap();
    let usual = |name: &str| adapters_folder().join(library_name(name));
    let poll = workspace().join("target/adapters/cfg-mio_unsupported_force_poll_poll/release");
    copy(usual("mio"), "mio");
    copy(poll.join(library_name("mio")), "mio@poll");
    // A library that describes something else than its file name, by which it is selected.
    copy(usual("threads"), "threads@poll");

    let list = |words: &[&str]| {
        let adapters = folder.display().to_string();
        let call = stage.call().args(["list", "subjects", "--format", "json"]);
        let ended =
            call.args(["--no-build", "--adapters", &adapters]).args(words).run().expect_code(0);
        serde_json::from_str::<Vec<Subject>>(&ended.stdout).unwrap()
    };
    let all = list(&[]);
    let ids: Vec<(&str, bool)> = all.iter().map(|it| (&*it.id, it.variant)).collect();
    let expected = [
        ("mio/callbacks/epoll", false),
        ("mio/callbacks/poll", true),
        ("mio/futures/epoll", false),
        ("mio/futures/poll", true),
        ("threads@poll", true),
    ];
    assert_eq!(ids, expected);
    let reason = all[4].reason.as_deref().unwrap();
    let words = "describes threads/thread-per-task/blocking, and threads@poll is declared to run \
                 on poll";
    assert!(reason.contains(words), "{reason}");
    assert!(list(&["-r", "mio/*/epoll"]).iter().all(|subject| subject.backend == "epoll"));
    assert_eq!(list(&["-r", "mio/*/poll"]).len(), 2);
}

/// A library that only compiles with these flags, and is not an adapter then.
fn only_with(flags: &str) -> String {
    format!("#[cfg(not(all({flags})))]\ncompile_error!(\"a flag is missing\");\n")
}

#[track_caller]
fn reason<'a>(subjects: &'a [Subject], id: &str) -> &'a str {
    let subject = subjects.iter().find(|subject| subject.id == id);
    let Some(subject) = subject else { panic!("{id} is not among {subjects:?}") };
    subject.reason.as_deref().unwrap()
}

fn list_in(stage: &Stage, folder: &Path, words: &[&str], rustflags: Option<&str>) -> Vec<Subject> {
    let mut call = stage.call().args(["list", "subjects", "--format", "json"]).args(words);
    if let Some(rustflags) = rustflags {
        call = call.env("RUSTFLAGS", rustflags);
    }
    let ended: Ended = call.folder(folder).run();
    serde_json::from_str(&ended.stdout).unwrap()
}

const NO_ADAPTER: &str = "is no Quadrant adapter";

pub fn a_variants_flags_add_to_the_users() {
    let stage = Stage::new();
    let manifest = format!(
        "{CDYLIB}[features]\nextra = []\n[package.metadata.quadrant]\nbackends = [\"epoll\"]\n\
         [package.metadata.quadrant.variants.poll]\ncfg = [\"by_poll\"]\nfeatures = [\"extra\"]\n"
    );
    let text = only_with("users, by_poll, feature = \"extra\"");
    let folder = stage.workspace(&[("x", &manifest, &text)]);
    let users = Some("--cfg users");
    let subjects = list_in(&stage, &folder, &[], users);
    assert!(reason(&subjects, "x").contains("a flag is missing"), "{subjects:?}");
    assert!(reason(&subjects, "x@poll").contains(NO_ADAPTER), "{subjects:?}");
    let subjects = list_in(&stage, &folder, &[], None);
    assert!(reason(&subjects, "x@poll").contains("a flag is missing"), "{subjects:?}");
    // The same with the user's flags in a configuration file, in either table.
    fs::create_dir(folder.join(".cargo")).unwrap();
    for table in ["build", "target.'cfg(all())'"] {
        let config = format!("[{table}]\nrustflags = [\"--cfg\", \"users\"]\n");
        fs::write(folder.join(".cargo/config.toml"), config).unwrap();
        let subjects = list_in(&stage, &folder, &[], None);
        assert!(reason(&subjects, "x@poll").contains(NO_ADAPTER), "{table}: {subjects:?}");
    }
}

pub fn only_selected_variants_are_built_each_by_itself() {
    let stage = Stage::new();
    let variants = "[package.metadata.quadrant]\nbackends = [\"epoll\"]\n\
                    [package.metadata.quadrant.variants.poll]\ncfg = [\"breaks\"]\n\
                    [package.metadata.quadrant.variants.kqueue]\ncfg = [\"works\"]\n\
                    [package.metadata.quadrant.variants.iocp]\ncfgs = [\"unknown\"]\n";
    let text = "#[cfg(breaks)]\ncompile_error!(\"broken on purpose\");\n";
    let folder = stage.workspace(&[
        ("x", &format!("{CDYLIB}{variants}"), text),
        ("y", &format!("{CDYLIB}[package.metadata.quadrant]\nbackends = [\"epoll\"]\n"), text),
    ]);
    let built = |folder: &Path| -> BTreeSet<String> {
        let entries = fs::read_dir(folder.join("target/adapters")).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().display().to_string());
        names.filter(|name| name == "release" || name.starts_with("cfg-")).collect()
    };
    let only = list_in(&stage, &folder, &["-r", "x/*/kqueue"], None);
    assert_eq!(only.len(), 1, "{only:?}");
    assert!(reason(&only, "x@kqueue").contains(NO_ADAPTER), "{only:?}");
    assert_eq!(built(&folder), BTreeSet::from(["cfg-works".to_owned()]));
    let only = list_in(&stage, &folder, &["-r", "y/a/epoll"], None);
    assert!(reason(&only, "y").contains(NO_ADAPTER), "{only:?}");
    assert_eq!(built(&folder).len(), 2, "{:?}", built(&folder));

    let all = list_in(&stage, &folder, &[], None);
    assert_eq!(all.len(), 5, "{all:?}");
    for (id, words) in [
        ("x", NO_ADAPTER),
        ("y", NO_ADAPTER),
        ("x@kqueue", NO_ADAPTER),
        ("x@poll", "broken on purpose"),
        ("x@iocp", "[package.metadata.quadrant.variants.iocp] unknown field `cfgs`"),
    ] {
        assert!(reason(&all, id).contains(words), "{id}: {all:?}");
    }
}
