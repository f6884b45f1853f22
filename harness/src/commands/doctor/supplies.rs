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
    /// What `cargo --version` prints.
    cargo: Option<String>,
    /// Libraries that the workspace has from an earlier build.
    built: usize,
    built_in: String,
}

pub fn findings() -> Vec<Finding> {
    let folder = paths::temporary();
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
    let check = |is_good, state: String| Finding::check("adapters", is_good, state);
    match seen {
        Adapters { installed: installed @ 1.., .. } => {
            check(true, format!("{installed} are installed beside the program"))
        }
        Adapters { workspace: true, cargo: Some(version), built, .. } => {
            check(true, format!("they can be built ({version}); {built} were built before"))
        }
        Adapters { workspace: true, cargo: None, built: built @ 1.., built_in, .. } => {
            check(false, format!("cargo was not found; {built} were built before")).or(
                "they cannot be built anew",
                format!("quadrant run --adapters {built_in}, or install Rust: https://rustup.rs"),
            )
        }
        _ => {
            let (state, remedy) = if seen.workspace {
                ("none are built, and cargo was not found", "install Rust: https://rustup.rs")
            } else {
                (
                    "there are none beside the program, and no workspace to build them in",
                    "go into the Quadrant workspace, or name a folder of built ones by --adapters DIR",
                )
            };
            let finding =
                check(false, state.to_owned()).or_obstacle("nothing can be measured", remedy);
            Finding { stops_everything: true, ..finding }
        }
    }
}

fn judge_compiler(found: bool) -> Finding {
    let state = if found { "cc was found" } else { "cc was not found" };
    Finding::check("C compiler", found, state).or(
        "it links the adapters: without it only those that are built already can be used",
        "install one: apt-get install build-essential, or what your system calls it",
    )
}

fn judge_files(memory_backed: bool, folder: &Path) -> Finding {
    let folder = folder.display();
    let state = if memory_backed {
        format!("{folder} is in memory")
    } else {
        format!("{folder} is on a disk, so files can be cold")
    };
    Finding::check("files", !memory_backed, state).or(
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
