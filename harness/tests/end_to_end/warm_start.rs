//! The start when there is nothing to build: cargo is not called, and yet a stale library is never
//! used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::command::read;
use crate::stage::{CDYLIB, Stage, Subject};

const VARIANT: &str = "[package.metadata.quadrant.variants.poll]\ncfg = [\"by_poll\"]\n";
/// Code whose compilation shows in the output.
const BROKEN: &str = "compile_error!(\"seen\");\n";

/// A workspace with an adapter `x` and its variant. Both depend on the crate `beside`.
struct Workspace {
    stage: Stage,
    folder: PathBuf,
    cargo: String,
}

impl Workspace {
    fn new() -> Self {
        let stage = Stage::new();
        let rest =
            format!("{CDYLIB}[dependencies]\nbeside = {{ path = \"../../beside\" }}\n{VARIANT}");
        let folder = stage.workspace(&[("x", &rest, "pub use beside::f;\n")]);
        fs::create_dir_all(folder.join("beside/src")).unwrap();
        let manifest = "[package]\nname = \"beside\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\
                        [features]\nbreaks = []\n";
        fs::write(folder.join("beside/Cargo.toml"), manifest).unwrap();
        let text = "mod inner;\npub fn f() {}\n#[cfg(any(breaks, feature = \"breaks\"))]\n";
        fs::write(folder.join("beside/src/lib.rs"), format!("{text}{BROKEN}")).unwrap();
        fs::write(folder.join("beside/src/inner.rs"), "").unwrap();
        // A wrapper of cargo that logs each call.
        let real = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let calls = stage.named("calls");
        let script = format!("#!/bin/sh\necho \"$1\" >> '{calls}'\nexec '{real}' \"$@\"\n");
        let cargo = stage.write("cargo.sh", &script);
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        Self { stage, folder, cargo }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The reasons of `x` and its variant, and the number of `cargo build` calls.
    #[track_caller]
    fn look(&self, rustflags: Option<&str>) -> (Vec<String>, usize) {
        fs::write(self.stage.path("calls"), "").unwrap();
        let call = self.stage.call().args(["list", "subjects", "--format", "json"]);
        let mut call = call.env("CARGO", &self.cargo).folder(&self.folder);
        if let Some(rustflags) = rustflags {
            call = call.env("RUSTFLAGS", rustflags);
        }
        let subjects: Vec<Subject> = serde_json::from_str(&call.run().stdout).unwrap();
        let reasons = subjects.into_iter().map(|subject| subject.reason.unwrap()).collect();
        let calls = read(&self.stage.path("calls"));
        (reasons, calls.lines().filter(|call| *call == "build").count())
    }

    /// Repeats until nothing is left to build. A file written during a build is checked again.
    #[track_caller]
    fn settle(&self) {
        for _ in 0..20 {
            let (reasons, builds) = self.look(None);
            assert_eq!(reasons.len(), 2);
            assert!(reasons.iter().all(|it| it.contains("no Quadrant adapter")), "{reasons:?}");
            if builds == 0 {
                return;
            }
        }
        panic!("cargo is asked every time");
    }

    /// Asserts that a change of this file causes a build with it, and undoes the change.
    #[track_caller]
    fn notices(&self, name: &str, change: impl Fn(String) -> String) {
        self.settle();
        let path = self.path(name);
        let text = read(&path);
        fs::write(&path, change(text.clone())).unwrap();
        let (reasons, builds) = self.look(None);
        assert_eq!(builds, 2, "{name}");
        assert!(reasons.iter().all(|reason| reason.contains("seen")), "{name}: {reasons:?}");
        fs::write(&path, text).unwrap();
    }
}

pub fn cargo_runs_exactly_when_something_has_changed() {
    let workspace = Workspace::new();
    workspace.notices("runtimes/x/src/lib.rs", |text| text + BROKEN);
    workspace.notices("beside/src/inner.rs", |text| text + BROKEN);
    workspace.notices("beside/Cargo.toml", |text| {
        text.replace("breaks = []", "default = [\"breaks\"]\nbreaks = []")
    });
    workspace.notices("runtimes/x/Cargo.toml", |text| {
        text.replace("\"../../beside\" }", "\"../../beside\", features = [\"breaks\"] }")
    });
    // A new build script.
    workspace.settle();
    let script = workspace.path("beside/build.rs");
    fs::write(&script, format!("fn main() {{}}\n{BROKEN}")).unwrap();
    let (reasons, builds) = workspace.look(None);
    assert_eq!(builds, 2);
    assert!(reasons.iter().all(|reason| reason.contains("seen")), "{reasons:?}");
    fs::remove_file(&script).unwrap();
    // A file that is only touched causes a call of cargo, and no more.
    workspace.settle();
    let lock = workspace.path("Cargo.lock");
    fs::write(&lock, read(&lock)).unwrap();
    assert_eq!(workspace.look(None).1, 2);

    // Flags from the environment, and from a new configuration file.
    workspace.settle();
    let (reasons, builds) = workspace.look(Some("--cfg breaks"));
    assert_eq!(builds, 2);
    assert!(reasons.iter().all(|reason| reason.contains("seen")), "{reasons:?}");
    workspace.settle();
    fs::create_dir(workspace.path(".cargo")).unwrap();
    let config = workspace.path(".cargo/config.toml");
    fs::write(&config, "[build]\nrustflags = [\"--cfg\", \"breaks\"]\n").unwrap();
    let (reasons, _) = workspace.look(None);
    assert!(reasons.iter().all(|reason| reason.contains("seen")), "{reasons:?}");
    fs::remove_file(&config).unwrap();

    // A variant whose declared flags have changed is built again.
    workspace.settle();
    let manifest = workspace.path("runtimes/x/Cargo.toml");
    let text = read(&manifest);
    fs::write(&manifest, text.replace("by_poll", "breaks")).unwrap();
    let (reasons, _) = workspace.look(None);
    assert!(reasons[0].contains("no Quadrant adapter"), "{reasons:?}");
    assert!(reasons[1].contains("seen"), "{reasons:?}");
    fs::write(&manifest, text).unwrap();

    // A removed library is built again, and cargo is called for a replaced one.
    workspace.settle();
    let library = workspace.path("target/adapters/release/libquadrant_x.so");
    fs::remove_file(&library).unwrap();
    assert_eq!(workspace.look(None).1, 1);
    workspace.settle();
    fs::write(&library, "other").unwrap();
    assert_eq!(workspace.look(None).1, 1);
}
