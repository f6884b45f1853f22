//! Libraries that are no adapters, broken adapters, and packages that do not build: each gets a
//! clear reason, and the other adapters run.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use quadrant_reports::record::Status;
use rustix::process::Signal;

use crate::redact::redacted;
use crate::stage::{CDYLIB, Stage, Subject, adapters_folder, library_name, was_starved, workspace};

const SLOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/patient.yaml");

/// The features of `faulty` that break the library itself.
const FAULTS: [&str; 8] = [
    "table-missing",
    "table-wrong-magic",
    "table-wrong-version",
    "table-wrong-size",
    "load-aborts",
    "describe-panics",
    "describe-given",
    "describe-hangs",
];

/// Only the leaf package differs, so each build is one small compilation, without optimization. The
/// library is copied, because the next build overwrites it.
pub fn build_faulty(feature: &str, folder: &Path) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let target = workspace().join("target/adapters-faulty");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--package", "quadrant-faulty", "--features", feature])
        .arg("--manifest-path")
        .arg(workspace().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let library = target.join("release").join(library_name("faulty"));
    fs::copy(library, folder.join(library_name(feature))).unwrap();
}

/// One healthy adapter among libraries with every kind of fault.
fn fill_with_broken_libraries(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for feature in FAULTS {
        build_faulty(feature, folder);
    }
    let healthy = adapters_folder().join(library_name("threads"));
    fs::copy(&healthy, folder.join(library_name("threads"))).unwrap();
    fs::copy(&healthy, folder.join(library_name("twice"))).unwrap();
    let whole = fs::read(&healthy).unwrap();
    fs::write(folder.join(library_name("cut-off")), &whole[..20_000]).unwrap();
    fs::write(folder.join(library_name("empty")), "").unwrap();
    fs::write(folder.join(library_name("text")), "This is no library.\n".repeat(20)).unwrap();
    fs::create_dir(folder.join(library_name("folder"))).unwrap();
    fs::write(folder.join("notes.txt"), "Not named like a library, so nobody asks it.").unwrap();
}

pub fn each_unusable_library_is_reported_with_its_reason() {
    let stage = Stage::new();
    let folder = stage.path("adapters");
    fill_with_broken_libraries(&folder);
    let folder = folder.display().to_string();

    let out = stage.named("results");
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/echo.yaml");
    let ended = stage
        .call()
        .env(
            "FAULTY_DESCRIPTION",
            stage.write("garbage", "{\"runtime\": \"faulty\", \"executors\": 3}"),
        )
        .args([
            "run",
            "--no-build",
            "--adapters",
            &folder,
            spec,
            "--trials",
            "1",
            "--time-limit",
            "5",
        ])
        .args(["--format", "json", "--out", &out])
        .run()
        .expect_code(3);
    stage.assert_empty();
    let mut reasons = String::new();
    for record in ended.records() {
        if record.subject.runtime == "threads" {
            assert_eq!(record.status, Status::Ok, "{:?}", record.reason);
            continue;
        }
        assert_eq!(record.status, Status::Unmeasured, "{}", record.subject.id);
        assert!(record.metrics.is_none());
        let reason = record.reason.unwrap().replace(&folder, "DIR");
        reasons.push_str(&format!("{}: {}\n", record.subject.id, redacted(&reason)));
    }
    insta::assert_snapshot!("each_unusable_library_is_reported_with_its_reason", reasons);
}

pub fn a_hanging_adapter_can_be_interrupted() {
    let stage = Stage::new();
    let folder = stage.path("adapters");
    fs::create_dir(&folder).unwrap();
    build_faulty("describe-hangs", &folder);
    let adapters = folder.display().to_string();
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/echo.yaml");
    let out = stage.named("results");
    let words = [spec, "--time-limit", "3600", "--format", "json", "--out", &out];
    let mut running =
        stage.call().args(["run", "--no-build", "--adapters", &adapters]).args(words).start();
    running.until("question", || {
        let asked = |process: &String| process.contains("__describe");
        stage.processes().iter().any(asked).then_some(())
    });
    running.signal(Signal::INT);
    let ended = running.wait().expect_code(130);
    stage.assert_empty();
    assert_eq!(ended.records(), []);
}

/// Starts processes that use 144 MiB together, most of it shared memory, and none of them much.
const HOGS: &str = "
    #define _GNU_SOURCE
    #include <string.h>
    #include <sys/mman.h>
    #include <unistd.h>
    __attribute__((constructor)) static void load(int count, char **words) {
        if (count < 2 || strcmp(words[1], PROCESS)) return;
        for (int i = 0; i < 6; i++) {
            if (fork()) continue;
            int kind = i ? MAP_SHARED : MAP_PRIVATE;
            int size = 24 << 20;
            char *memory = mmap(0, size, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);
            memset(memory, 1, size);
            for (;;) pause();
        }
        if (!strcmp(PROCESS, \"__describe\")) for (;;) pause();
    }";

/// All processes of a subject count, when it describes itself and in a trial.
pub fn the_memory_limit_holds_for_all_processes_together() {
    for (process, status) in [("__describe", Status::Unmeasured), ("__trial", Status::Failed)] {
        let stage = Stage::new();
        stage.library(&format!("#define PROCESS \"{process}\"{HOGS}"));
        let words = [SLOW, "--time-limit", "60", "--memory-limit", "64", "--starts", "0"];
        let call = stage.call().args(["run"]).args(words);
        let call = match process {
            "__describe" => call.args(["--no-build", "--adapters", "."]),
            _ => call
                .args(["--no-build", "-r", "threads", "--trials", "1"])
                .env("LD_PRELOAD", stage.path(&library_name("c"))),
        };
        let ended = call.args(["--format", "json"]).run();
        stage.assert_empty();
        let records = ended.expect_code(3).records();
        let reason = records[0].reason.as_deref().unwrap();
        assert!(reason.contains("used more than 64 MiB of memory and was stopped"), "{reason}");
        assert_eq!(records[0].status, status);
    }
}

/// It starts a session of its own while it describes itself.
pub fn what_a_library_leaves_behind_is_ended() {
    let stage = Stage::new();
    stage.library(
        "#include <unistd.h>
        __attribute__((constructor)) static void load(void) {
            if (fork() == 0) {
                setsid();
                for (;;) pause();
            }
        }",
    );
    let ended = stage.quadrant(&["list", "subjects", "--adapters", "."]).expect_code(0);
    stage.assert_empty();
    assert!(ended.stdout.contains("is no Quadrant adapter"), "{}", ended.stdout);
}

pub fn build_failures_are_reported_with_the_compilers_error() {
    let stage = Stage::new();
    let folder = stage.workspace(&[
        ("broken", CDYLIB, "pub fn f() -> u32 {\n    nothing\n}\n"),
        ("rust-only", "", "pub fn f() {}\n"),
        ("stranger", CDYLIB, "pub fn f() {}\n"),
    ]);
    let listed = stage
        .call()
        .args(["list", "subjects", "--format", "json"])
        .folder(&folder)
        .run()
        .expect_code(0);
    let subjects: Vec<Subject> = serde_json::from_str(&listed.stdout).unwrap();
    let reasons: BTreeMap<String, String> = subjects
        .into_iter()
        .map(|subject| {
            assert!(!subject.available);
            let reason = subject.reason.unwrap().replace(&folder.display().to_string(), "DIR");
            (subject.id, reason)
        })
        .collect();
    let reasons: String = reasons.iter().map(|(id, why)| format!("{id}: {why}\n")).collect();
    insta::assert_snapshot!("build_failures_are_reported_with_the_compilers_error", reasons);
}

pub fn a_folder_without_adapters_is_an_error() {
    let stage = Stage::new();
    fs::create_dir(stage.path("adapters")).unwrap();
    let ended = stage.quadrant(&["list", "subjects", "--no-build", "--adapters", "adapters"]);
    let ended = ended.expect_words(&[
        "there is no adapter library in adapters: one is called libquadrant_NAME.so",
        "crate-type = [\"cdylib\"]",
    ]);
    assert_ne!(ended.code, Some(0));
    let ended = stage.quadrant(&["list", "subjects", "--no-build", "--adapters", "nowhere"]);
    let ended = ended.expect_words(&["nowhere cannot be read"]);
    assert_ne!(ended.code, Some(0));
}

pub fn given_folders_stand_beside_the_built_adapters() {
    let stage = Stage::new();
    let workspace = stage.workspace(&[("x", CDYLIB, "pub fn f() {}\n")]);
    for folder in ["first", "second"] {
        fs::create_dir(stage.path(folder)).unwrap();
        let library = library_name("threads");
        fs::copy(adapters_folder().join(&library), stage.path(folder).join(library)).unwrap();
    }
    let list = |words: &[&str]| {
        let call = stage.call().args(["list", "subjects", "--format", "json"]).folder(&workspace);
        let ended = call.args(["--adapters", "../first", "--adapters", "../second"]).args(words);
        let ended = ended.run().expect_code(0);
        let subjects: Vec<Subject> = serde_json::from_str(&ended.stdout).unwrap();
        let ids = subjects.into_iter().map(|subject| subject.id).collect::<Vec<_>>().join(" ");
        (ids, ended.stderr)
    };
    let (all, warnings) = list(&[]);
    assert_eq!(all, "threads/thread-per-task/blocking x");
    let words = "threads/thread-per-task/blocking: not used from ../second, because a folder";
    assert!(warnings.contains(words), "{warnings}");
    assert_eq!(list(&["--no-build"]).0, "threads/thread-per-task/blocking");
}

/// Replacing the library changes nothing; writing to the loaded file ends the measurement.
pub fn a_library_that_changes_is_not_measured() {
    let stage = Stage::new();
    let folder = stage.path("adapters");
    fs::create_dir(&folder).unwrap();
    let library = folder.join(library_name("threads"));
    fs::copy(adapters_folder().join(library_name("threads")), &library).unwrap();
    let described = stage.path("described");
    fs::hard_link(&library, &described).unwrap();
    let adapters = folder.display().to_string();
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/echo.yaml");
    let words = ["run", "--no-build", "--adapters", &adapters, spec, "--trials", "1000"];
    let how = ["--starts", "0", "--out", &stage.named("results")];
    let mut running = stage.call().args(words).args(how).start();
    let has_records = |more: usize| {
        let lines = || fs::read_to_string(stage.path("results/records.jsonl")).ok();
        lines().filter(|text| text.lines().count() > more).map(|text| text.lines().count())
    };
    running.until("first record", || has_records(0));
    // The other library has no such executor.
    let other = stage.path("other");
    fs::copy(adapters_folder().join(library_name("smol")), &other).unwrap();
    fs::rename(other, library).unwrap();
    let replaced = has_records(0).unwrap();
    let before = running.until("more records", || has_records(replaced + 2));
    // One byte more, which is no part of the code.
    let file = fs::OpenOptions::new().append(true).open(described).unwrap();
    (&file).write_all(&[0]).unwrap();
    running.until("records of the overwritten library", || has_records(before + 3));
    running.signal(Signal::INT);
    running.wait().expect_code(130);
    let records = stage.records("results");
    for record in &records[..before] {
        assert!(record.status == Status::Ok || was_starved(record), "{:?}", record.reason);
    }
    let last = records.last().unwrap();
    assert_eq!(last.status, Status::Unmeasured);
    let reason = last.reason.as_deref().unwrap();
    assert!(reason.contains("libquadrant_threads.so was overwritten after it had"), "{reason}");
    stage.assert_soon_empty();
}

/// A copy of a checkout with its built program, as if the whole folder had been copied.
pub fn a_copied_checkout_uses_its_own_files() {
    let stage = Stage::new();
    let copy = stage.workspace(&[("threads", CDYLIB, "")]);
    let libraries = copy.join("target/adapters/release");
    fs::create_dir_all(&libraries).unwrap();
    let library = library_name("threads");
    fs::copy(adapters_folder().join(&library), libraries.join(library)).unwrap();
    let echo = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/echo.yaml");
    fs::copy(echo, copy.join("specs/copied.yaml")).unwrap();
    let program = copy.join("target/debug/quadrant");
    fs::create_dir(copy.join("target/debug")).unwrap();
    fs::hard_link(env!("CARGO_BIN_EXE_quadrant"), &program).unwrap();

    // Outside of every workspace.
    let script = format!("exec '{}' \"$@\"", program.display());
    let through_copy = || stage.call_through(&["sh", "-c", &script]).folder(Path::new("/"));
    let by_variable = stage.call().folder(Path::new("/")).env("QUADRANT_HOME", &copy);
    for call in [through_copy(), by_variable] {
        let ended = call.args(["list", "specs"]).run().expect_code(0);
        let lines: Vec<&str> = ended.stdout.lines().skip(1).collect();
        assert!(lines.len() == 1 && lines[0].contains("copied"), "{lines:?}");
    }
    let ended = through_copy().args(["run", "--no-build", "copied", "--quick"]).run();
    ended.expect_code(0);
    assert_eq!(fs::read_dir(copy.join("target/quadrant")).unwrap().count(), 1);
    // In the table the path may be wrapped.
    let ended = through_copy().args(["doctor", "--format", "json"]).run();
    let place = format!("{} (the place of the program)", copy.display());
    assert!(ended.stdout.contains(&place), "{}", ended.stdout);
}

/// `cargo test` runs only the tests of default members.
pub fn packages_with_tests_are_default_members() {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let line = manifest.lines().find(|line| line.starts_with("default-members")).unwrap();
    for package in fs::read_dir(workspace().join("runtimes")).unwrap().flatten() {
        let name = format!("runtimes/{}", package.file_name().to_string_lossy());
        if has_tests(&package.path().join("src")) {
            assert!(line.contains(&format!("\"{name}\"")), "{name} is missing in: {line}");
        }
    }
}

fn has_tests(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.into_iter().any(|path| match path.is_dir() {
        true => has_tests(&path),
        false => fs::read_to_string(&path).is_ok_and(|text| text.contains("#[test]")),
    })
}
