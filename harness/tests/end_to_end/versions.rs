//! Other versions of what an adapter is built on: from a folder, from the registry, and through
//! `git bisect run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{Ended, read};
use crate::skip::{Need, skip};
use crate::stage::{Stage, Subject, adapters_folder, workspace};

/// Compiling a small adapter several times on a busy machine.
const LIMIT: Duration = Duration::from_secs(900);
const YIELD: &str = "        thread::yield_now();\n";
/// Without a system call, so that a busy machine changes little in the ratio.
const FAST: &str = "pub fn give_way() {\n    (0..1_000).for_each(|it| {\n        std::hint::black_box(it);\n    });\n}\n";
const SPEC: &str = "name: yielding\nquestion: What does a yield cost?\ntasks:\n  - name: yielder\n    \
                    count: 1\n    steps: [yield]\n";

/// A workspace with the adapter `x`, a copy of `threads` that yields by the crate `tiny`.
struct Scene {
    stage: Stage,
    folder: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let stage = Stage::bare();
        let code = read(&workspace().join("runtimes/threads/src/lib.rs"));
        assert!(code.contains(YIELD), "the adapter of threads yields otherwise");
        let code = code
            .replace(YIELD, "        tiny::give_way();\n")
            .replace("runtime: \"threads\"", "runtime: \"x\"")
            .replace(
                "env!(\"CARGO_PKG_VERSION\").to_owned()",
                "quadrant_suite::locked_version!(\"tiny\")",
            );
        let suite = workspace().join("suite");
        let rest = format!(
            "[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\ntiny = {{ path = \"../../tiny\" }}\n\
             quadrant-suite = {{ path = {suite:?}, default-features = false }}\n"
        );
        let folder = stage.workspace(&[("x", &rest, &code)]);
        let shared = Path::new("runtimes").join("threads/src/shared.rs");
        fs::copy(workspace().join(shared), folder.join("runtimes/x/src/shared.rs")).unwrap();
        // The same versions as in the workspace, so that nothing is downloaded.
        fs::copy(workspace().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        // Always the same build folder, so that unchanged crates are not compiled again.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("versions");
        fs::create_dir_all(&target).unwrap();
        fs::create_dir_all(folder.join("target")).unwrap();
        std::os::unix::fs::symlink(&target, folder.join("target/adapters")).unwrap();
        let scene = Self { stage, folder };
        scene.write_tiny("workspace/tiny", "1.0.0", FAST);
        scene.stage.write("yielding.yaml", SPEC);
        scene
    }

    /// The crate, in this folder of the stage.
    fn write_tiny(&self, folder: &str, version: &str, code: &str) {
        fs::create_dir_all(self.stage.path(folder).join("src")).unwrap();
        let manifest =
            format!("[package]\nname = \"tiny\"\nversion = \"{version}\"\nedition = \"2024\"\n");
        self.stage.write(&format!("{folder}/Cargo.toml"), &manifest);
        self.stage.write(&format!("{folder}/src/lib.rs"), code);
    }

    fn call(&self, wrapper: &[&str], words: &[&str]) -> Ended {
        let call = self.stage.call_through(wrapper).env("QUADRANT_HOME", &self.folder);
        call.env("CARGO_NET_OFFLINE", "true").args(words).limit(LIMIT).run()
    }

    fn list(&self, words: &[&str]) -> Vec<Subject> {
        let ended = self.call(&[], &[&["list", "subjects", "--format", "json"], words].concat());
        serde_json::from_str(&ended.stdout).unwrap()
    }

    fn git(&self, words: &[&str]) {
        let repository = self.stage.path("tiny");
        let names = ["-c", "user.name=x", "-c", "user.email=x@localhost"];
        let output =
            Command::new("git").args(names).args(words).current_dir(repository).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

const EXECUTOR: &str = "thread-per-task/blocking";

pub fn a_folder_replaces_a_crate_of_the_adapter() {
    let scene = Scene::new();
    scene.write_tiny("tiny", "2.0.0", FAST);
    let other = "x@tiny=path:tiny:";
    let listed = scene.list(&["-r", "x", "-r", other, "-r", "x@tiny=path:nowhere"]);
    let ids: Vec<(String, &str)> = listed.iter().map(|it| (it.id.clone(), &*it.version)).collect();
    let id = |runtime: &str| format!("{runtime}/{EXECUTOR}");
    let broken = ("x@tiny=path:nowhere:".to_owned(), "unknown");
    assert_eq!(ids, [(id("x"), "1.0.0"), broken, (id(other), "2.0.0")], "{listed:?}");
    let reason = listed[1].reason.as_deref().unwrap();
    assert!(reason.starts_with("there is no crate `tiny` in "), "{reason}");

    // A second use builds nothing, and a change is noticed.
    let again = scene.call(&[], &["list", "subjects", "-r", other]);
    assert!(!again.stderr.contains("building"), "{}", again.stderr);
    scene.write_tiny("tiny", "2.1.0", "");
    let spec = scene.stage.named("yielding.yaml");
    let both = ["-r", "x", "-r", other, "--trials", "1", "--starts", "0", "--format", "json"];
    let ended = scene.call(&[], &[&["run", &spec], &both[..]].concat()).expect_code(3);
    let mut seen: Vec<(String, bool)> = ended
        .records()
        .iter()
        .map(|record| (record.subject.id.clone(), record.metrics.is_some()))
        .collect();
    seen.sort();
    assert_eq!(seen, [(id("x"), true), (other.to_owned(), false)]);
    ended.expect_words(&["cannot find function `give_way`", "choose one nearer"]);

    // The folder holds the crate under its name too, as a repository of several does.
    scene.write_tiny("several/tiny", "3.0.0", FAST);
    let listed = scene.list(&["-r", "x@tiny=path:several"]);
    assert_eq!(listed[0].version, "3.0.0", "{listed:?}");
}

pub fn git_bisect_finds_the_commit_that_is_worse() {
    let scene = Scene::new();
    let slow = &*FAST.replace("1_000", "20_000");
    scene.write_tiny("tiny", "1.0.0", FAST);
    scene.git(&["init", "--quiet"]);
    for (commit, code) in
        [("first", FAST), ("broken", ""), ("good", FAST), ("bad", slow), ("last", slow)]
    {
        scene.write_tiny("tiny", "1.0.0", &format!("//! {commit}\n{code}"));
        scene.git(&["add", "."]);
        scene.git(&["commit", "--quiet", "--message", commit]);
        scene.git(&["tag", commit]);
    }
    let spec = scene.stage.named("yielding.yaml");
    let tiny = format!("x@tiny=path:{}", scene.stage.named("tiny"));
    let duel = ["duel", "x", &tiny, &spec, "--bisect", "--threshold", "100"];
    let duel = [&duel[..], &["--time", "8", "--starts", "10"]].concat();
    scene.git(&["checkout", "--quiet", "broken"]);
    scene.call(&[], &duel).expect_code(125).expect_words(&["cannot find function `give_way`"]);
    scene.call(&[], &["duel", "x", "y", &spec, "--bisect"]).expect_code(125);

    scene.git(&["bisect", "start", "last", "first"]);
    let repository = scene.stage.named("tiny");
    let ended = scene.call(&["git", "-C", &repository, "bisect", "run"], &duel).expect_code(0);
    let found = ended.stdout.lines().find(|line| line.ends_with("is the first bad commit"));
    let found = found.and_then(|line| line.split(' ').next()).unwrap_or_default().to_owned();
    let bad = read(&scene.stage.path("tiny/.git/refs/tags/bad"));
    assert_eq!(found, bad.trim(), "{}", ended.stdout);
}

pub fn a_version_comes_from_the_registry() {
    let stage = Stage::bare();
    let list = |words: &[&str]| {
        let call = stage.call().args(["list", "subjects", "--format", "json"]).args(words);
        let ended = call.limit(LIMIT).run();
        let subjects: Vec<Subject> = serde_json::from_str(&ended.stdout).unwrap();
        (subjects, ended.stderr)
    };
    let (listed, _) = list(&["-r", "mio@1.1.0/futures", "-r", "mio@0.0.99"]);
    let reason = listed.iter().find_map(|subject| subject.reason.as_deref()).unwrap();
    assert!(reason.starts_with("no lock file can be made with mio 0.0.99: "), "{reason}");
    let found = listed.iter().find(|subject| subject.id == "mio@1.1.0/futures/epoll");
    let Some(found) = found else {
        let reasons: Vec<_> = listed.iter().filter_map(|it| it.reason.as_deref()).collect();
        assert!(reasons.iter().all(|it| it.contains("cannot be fetched here")), "{reasons:?}");
        return skip(Need::Other, "the registry cannot be reached");
    };
    assert_eq!((&*found.version, found.available), ("1.1.0", true));
    let (again, printed) = list(&["-r", "mio@1.1.0/*/epoll", "--no-build"]);
    assert_eq!((again.len(), &*printed), (2, ""));
    // Tests that name the folder of all libraries would find `mio` in it twice.
    for file in fs::read_dir(adapters_folder()).unwrap().flatten() {
        if file.file_name().to_string_lossy().starts_with("libquadrant_mio_1_1_0_") {
            fs::remove_file(file.path()).unwrap();
        }
    }
}

pub fn wrong_versions_are_refused_before_anything_is_built() {
    let stage = Stage::bare();
    for (pattern, words) in [
        ("tokio@1.51", "write a whole one such as 1.51.0"),
        ("*@1.51.0", "name the adapter"),
        ("tokio@1.51.0@poll", "tokio@1.51.0/*/poll"),
    ] {
        let ended = stage.quadrant(&["list", "subjects", "-r", pattern]).expect_code(2);
        ended.expect_words(&[words]);
    }
}
