//! What a run needs besides the machine: adapters or the means to build them, and a place for
//! files.
//!
//! Never builds and never writes.

use std::path::Path;
use std::process::{Command, Stdio};

use super::finding::Finding;
use crate::adapters::{build, builds, environment};
use crate::fixtures;
use crate::system::paths;

/// Where adapters could come from.
#[derive(Debug, Clone, Default)]
struct Adapters {
    /// Libraries beside the program.
    installed: usize,
    workspace: bool,
    /// What `cargo --version` says.
    cargo: Option<String>,
    /// Libraries that the workspace has from an earlier build.
    built: usize,
    built_in: String,
}

pub fn findings() -> Vec<Finding> {
    let folder = std::env::temp_dir();
    vec![
        judge_adapters(&look_for_adapters()),
        judge_compiler(version_of(Command::new("cc")).is_some()),
        judge_files(fixtures::is_memory_backed(&folder), &folder),
    ]
}

fn look_for_adapters() -> Adapters {
    let libraries = |folder: &Path| builds::libraries(folder).map_or(0, |all| all.len());
    let executable = std::env::current_exe().unwrap_or_default();
    let workspace = paths::workspace();
    let built_in = workspace.as_ref().map(|folder| build::target_folder(folder).join("release"));
    Adapters {
        installed: paths::adapters_beside(&executable).map_or(0, |folder| libraries(&folder)),
        workspace: workspace.is_some(),
        cargo: version_of(environment::cargo()),
        built: built_in.as_deref().map_or(0, libraries),
        built_in: built_in.unwrap_or_default().display().to_string(),
    }
}

fn version_of(mut program: Command) -> Option<String> {
    let output = program.arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

fn judge_adapters(seen: &Adapters) -> Finding {
    const ABOUT: &str = "adapters";
    match seen {
        Adapters { installed: 1.., .. } => {
            Finding::ok(ABOUT, format!("{} are installed beside the program", seen.installed))
        }
        Adapters { workspace: true, cargo: Some(version), .. } => Finding::ok(
            ABOUT,
            format!("they can be built ({version}); {} were built before", seen.built),
        ),
        Adapters { workspace: true, cargo: None, built: 1.., .. } => Finding::warning(
            ABOUT,
            format!("cargo was not found; {} were built before", seen.built),
            "they cannot be built anew",
            format!(
                "quadrant run --adapters {}, or install Rust: https://rustup.rs",
                seen.built_in
            ),
        ),
        _ => Finding {
            stops_everything: true,
            ..Finding::obstacle(
                ABOUT,
                if seen.workspace {
                    "none are built, and cargo was not found"
                } else {
                    "there are none beside the program, and no workspace to build them in"
                },
                "nothing can be measured",
                if seen.workspace {
                    "install Rust: https://rustup.rs"
                } else {
                    "go into the Quadrant workspace, or name a folder of built ones by --adapters DIR"
                },
            )
        },
    }
}

fn judge_compiler(found: bool) -> Finding {
    const ABOUT: &str = "C compiler";
    if found {
        return Finding::ok(ABOUT, "cc is there");
    }
    Finding::warning(
        ABOUT,
        "cc was not found",
        "adapters are linked by it: they can only be used where they are built already",
        "install one: apt-get install build-essential, or what your system calls it",
    )
}

fn judge_files(memory_backed: bool, folder: &Path) -> Finding {
    const ABOUT: &str = "files";
    let folder = folder.display();
    if !memory_backed {
        return Finding::ok(ABOUT, format!("{folder} lies on a disk, so files can be cold"));
    }
    Finding::warning(
        ABOUT,
        format!("{folder} lies in memory"),
        "cold files are impossible there: every read is a read from memory",
        "TMPDIR=/var/tmp quadrant run …",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Obstacle, Ok, Warning};
    use super::*;

    #[test]
    fn adapters_come_from_somewhere_or_nothing_can_be_measured() {
        let none = Adapters::default();
        let cargo = Some("cargo 1.89.0".to_owned());
        let workspace = Adapters { workspace: true, ..none.clone() };
        for (seen, level, stops) in [
            (Adapters { installed: 6, ..none.clone() }, Ok, false),
            (Adapters { cargo: cargo.clone(), ..workspace.clone() }, Ok, false),
            (Adapters { built: 3, ..workspace.clone() }, Warning, false),
            (workspace, Obstacle, true),
            (Adapters { cargo, ..none.clone() }, Obstacle, true),
            (none, Obstacle, true),
        ] {
            let finding = judge_adapters(&seen);
            assert_eq!((finding.level, finding.stops_everything), (level, stops), "{seen:?}");
        }
    }

    #[test]
    fn files_in_memory_are_never_cold() {
        assert_eq!(judge_files(false, Path::new("/tmp")).level, Ok);
        assert_eq!(judge_files(true, Path::new("/dev/shm")).level, Warning);
        assert_eq!(judge_compiler(true).level, Ok);
        assert_eq!(judge_compiler(false).level, Warning);
    }
}
