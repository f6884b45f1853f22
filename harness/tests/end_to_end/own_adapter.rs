//! The adapter of `runtimes/README.md`, taken from that page: a crate outside of the workspace,
//! built and run as in step 6, and again with typical mistakes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use quadrant_reports::record::{Record, Status};

use crate::command::read;
use crate::redact::redacted;
use crate::stage::{Stage, Subject, subjects, workspace};

const NAME: &str = "my-runtime";
const LIMIT: Duration = Duration::from_secs(240);
/// The folder in which step 6 expects the library.
const LIBRARIES: &str = "target/release";

/// The files and commands of the page.
struct Tutorial {
    name: String,
    manifest: String,
    code: String,
    commands: String,
    opt_level: &'static str,
}

impl Tutorial {
    fn read() -> Self {
        let page = read(&workspace().join("runtimes/README.md"));
        let (_, rest) = page.split_once("\n## Write your own adapter, in six steps\n").unwrap();
        let section = rest.split("\n## ").next().unwrap();
        Self {
            name: NAME.to_owned(),
            manifest: blocks(section, "toml"),
            code: blocks(section, "rust"),
            commands: blocks(section, "sh"),
            opt_level: "3",
        }
    }

    /// The same with a mistake and another name, so that all libraries fit in one folder.
    fn mistaken(name: &str, old: &str, new: &str) -> Self {
        let mut tutorial = Self::read();
        let has_it = tutorial.manifest.contains(old) || tutorial.code.contains(old);
        assert!(has_it, "the page does not say {old}");
        tutorial.name = name.to_owned();
        // The compiler is faster, and nothing is measured.
        tutorial.opt_level = "0";
        tutorial.manifest = tutorial.manifest.replace(old, new).replace(NAME, name);
        tutorial.code = tutorial.code.replace(old, new).replace(NAME, name);
        tutorial
    }

    /// The arguments after this beginning of a command.
    fn command(&self, beginning: &str) -> Vec<&str> {
        let command = self.commands.lines().find_map(|line| line.strip_prefix(beginning));
        let command = command.unwrap_or_else(|| panic!("the page does not say {beginning}"));
        command.split_whitespace().collect()
    }

    /// Builds it as on the page and copies the library, if there is one, to the folder of step 6.
    /// The build folder is always the same, so that unchanged crates are not compiled again.
    fn build(&self, stage: &Stage) {
        let elsewhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("elsewhere");
        let package = elsewhere.join(&self.name);
        fs::create_dir_all(package.join("src")).unwrap();
        fs::write(package.join("Cargo.toml"), &self.manifest).unwrap();
        fs::write(package.join("src/lib.rs"), &self.code).unwrap();
        // The same versions as in the workspace, so that nothing is downloaded.
        fs::copy(workspace().join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
        let clone = elsewhere.join("quadrant");
        if !clone.exists() {
            std::os::unix::fs::symlink(workspace(), clone).unwrap();
        }
        let target = elsewhere.join("target");
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(self.command("cargo "))
            .arg("--offline")
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", self.opt_level)
            .current_dir(&package)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let library = format!("libquadrant_{}.so", self.name.replace('-', "_"));
        let built = target.join("release").join(&library);
        fs::create_dir_all(stage.path(LIBRARIES)).unwrap();
        if built.exists() {
            fs::copy(built, stage.path(LIBRARIES).join(library)).unwrap();
        }
    }
}

/// All code blocks of a language, in their order.
fn blocks(section: &str, language: &str) -> String {
    let fence = format!("```{language}\n");
    section.split(&fence).skip(1).map(|block| block.split("```").next().unwrap()).collect()
}

fn value<'a>(record: &'a Record, axis: &str) -> &'a str {
    record.case.iter().find(|value| value.axis == axis).map_or("", |value| &value.value)
}

pub fn the_adapter_of_the_page_builds_and_runs() {
    let stage = Stage::new();
    let tutorial = Tutorial::read();
    tutorial.build(&stage);

    let listed = stage.call().args(["list"]).args(tutorial.command("quadrant list"));
    let listed = listed.args(["--format", "json"]).run().expect_code(0);
    let listed: Vec<Subject> = serde_json::from_str(&listed.stdout).unwrap();
    let [subject] = &*listed else { panic!("{listed:?}") };
    assert_eq!(subject.id, "my-runtime/single-thread/epoll");
    assert!(subject.available, "{:?}", subject.reason);
    let smol = subjects().iter().find(|subject| subject.runtime == "smol").unwrap();
    assert_eq!(subject.version, smol.version);

    let mut run = tutorial.command("quadrant run");
    run.retain(|word| *word != "--no-build"); // `measure` adds it
    let (ended, records) = stage.measure(&run, &[], LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for record in &records {
        let how = value(record, "how");
        if how == "offload" {
            assert_eq!(record.status, Status::Unsupported);
            let reason = record.reason.as_deref();
            assert_eq!(reason, Some("this executor has no pool for blocking work"));
            continue;
        }
        let metrics = record.metrics.as_ref().unwrap_or_else(|| panic!("{:?}", record.reason));
        assert!(metrics.ops > 0);
        assert_eq!((metrics.errors, metrics.threads.loops), (0, 1), "{:?}", record.case);
        let peak = match (&*record.scenario, how) {
            ("echo/connections", _) => value(record, "connections").parse().unwrap(),
            ("tasks/sleeping", "blocking") => 1,
            _ => 100,
        };
        // If the machine was too busy to serve every connection once, the record has the number.
        let served = metrics.load.as_ref().map_or(peak, |load| load.connections_served);
        assert_eq!(metrics.concurrency.peak, peak.min(served), "{:?}", record.case);
    }
    let cases = |scenario| records.iter().filter(|record| record.scenario == scenario).count();
    assert_eq!((cases("echo/connections"), cases("tasks/sleeping"), records.len()), (3, 4, 7));
}

pub fn typical_mistakes_give_one_clear_error_each() {
    let stage = Stage::new();
    Tutorial::mistaken("no-cdylib", "\"cdylib\"", "\"rlib\"").build(&stage);
    let nothing =
        stage.quadrant(&["list", "subjects", "--no-build", "--adapters", LIBRARIES]).expect_code(3);

    let export = "quadrant_suite::export!(MyRuntime);\n";
    Tutorial::mistaken("no-export", export, "").build(&stage);
    let sleep = "    async fn sleep(&self, time: Duration) {\n        smol::Timer::after(time).await;\n    }\n";
    Tutorial::mistaken("no-sleep", sleep, "").build(&stage);
    let detach = "join.detach(); // dropping it would cancel the task\n";
    Tutorial::mistaken("no-detach", detach, "drop(join);\n").build(&stage);
    let run = "smol::block_on(EXECUTOR.run(scene.root(MyRuntime)));\n";
    let early = "EXECUTOR.spawn(scene.root(MyRuntime)).detach();\n";
    Tutorial::mistaken("no-wait", run, early).build(&stage);

    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/brief.yaml");
    let words = ["--no-build", "--adapters", LIBRARIES, "--trials", "1", "--time-limit", "5"];
    let ran = stage.call().args(["run", "--format", "json", spec]).args(words).run();
    let mut errors: Vec<String> = ran.records().iter().map(error_of).collect();
    errors.sort();
    let errors = errors.join("\n").replace(env!("CARGO_TARGET_TMPDIR"), "DIR");
    insta::assert_snapshot!(
        "typical_mistakes_give_one_clear_error_each",
        redacted(&format!("{}\n{errors}", nothing.stderr.trim()))
    );
}

fn error_of(record: &Record) -> String {
    let reason = record.reason.as_deref().unwrap_or("-");
    // The number of tasks with the same error depends on timing.
    let reason = reason.split_once("the first: ").map_or(reason, |(_, first)| first);
    format!("{}: {:?}, {reason}", record.subject.id, record.status)
}
