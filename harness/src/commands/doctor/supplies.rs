//! What a run needs besides the machine: adapters or the means to build them, and a place for
//! files.
//!
//! Never builds and never writes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::finding::Finding;
use crate::adapters::{build, builds, environment};
use crate::fixtures;
use crate::system::child::printed_by;
use crate::system::paths::{self, Home, Kind};

/// On a machine that is busy, or where rustup looks for its toolchain first.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// Where adapters could come from.
#[derive(Debug, Clone)]
struct Adapters {
    /// Or why there is none.
    home: Result<Home, String>,
    /// What `cargo --version` prints.
    cargo: Option<String>,
    /// Finished libraries: those of an installation, or those that the workspace has from an earlier
    /// build.
    built: usize,
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
    let none = || "there are none beside the program, and no workspace to build them in".to_owned();
    let home = paths::home().and_then(|home| home.ok_or_else(none));
    let built = home.as_ref().ok().and_then(|home| builds::libraries(&finished(home)).ok());
    Adapters {
        home,
        cargo: version_of(environment::cargo()),
        built: built.map_or(0, |libraries| libraries.len()),
    }
}

/// The folder of finished libraries.
fn finished(home: &Home) -> PathBuf {
    match home.kind {
        Kind::Workspace => build::target_folder(&home.folder).join("release"),
        Kind::Installed => home.folder.join("adapters"),
    }
}

fn version_of(mut program: Command) -> Option<String> {
    let text = printed_by(program.arg("--version"), VERSION_LIMIT)?;
    Some(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn judge_adapters(seen: &Adapters) -> Finding {
    let check = |is_good, state: String| Finding::check("adapters", is_good, state);
    let stop = |state: String, remedy| {
        let finding = check(false, state).or_obstacle("nothing can be measured", remedy);
        Finding { stops_everything: true, ..finding }
    };
    let home = match &seen.home {
        Ok(home) => home,
        Err(reason) => {
            let remedy = "go into the Quadrant workspace, or name a folder of built ones by \
                          --adapters DIR";
            return stop(reason.clone(), remedy);
        }
    };
    let (built, place) = (seen.built, format!("{} ({})", home.folder.display(), home.by));
    match (home.kind, &seen.cargo) {
        (Kind::Workspace, Some(version)) => check(
            true,
            format!("they can be built in {place} by {version}; {built} were built before"),
        ),
        _ if built == 0 => stop(
            format!("there are none in {place}, and none can be built"),
            "name a folder of built ones by --adapters DIR, or install Rust: https://rustup.rs",
        ),
        (Kind::Installed, _) => check(true, format!("{built} are installed in {place}")),
        (Kind::Workspace, None) => {
            check(false, format!("cargo was not found; {built} were built before in {place}")).or(
                "they cannot be built anew",
                "quadrant run --no-build, or install Rust: https://rustup.rs",
            )
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
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn adapters_come_from_somewhere_or_nothing_can_be_measured() {
        let cargo = Some("cargo 1.89.0".to_owned());
        let home = |kind| Ok(Home { folder: PathBuf::from("/q"), kind, by: "the current folder" });
        let none = || Err("there are none".to_owned());
        let (ok, warning, obstacle) = (Level::Ok, Level::Warning, Level::Obstacle);
        for (home, cargo, built, level, state) in [
            (home(Kind::Installed), None, 6, ok, "6 are installed in /q (the current folder)"),
            (home(Kind::Workspace), cargo.clone(), 0, ok, "in /q (the current folder) by cargo"),
            (home(Kind::Workspace), None, 3, warning, "3 were built before in /q"),
            (home(Kind::Workspace), None, 0, obstacle, "there are none in /q"),
            (home(Kind::Installed), cargo.clone(), 0, obstacle, "there are none in /q"),
            (none(), cargo, 0, obstacle, "there are none"),
            (none(), None, 0, obstacle, "there are none"),
        ] {
            let seen = Adapters { home, cargo, built };
            let finding = judge_adapters(&seen);
            let stops = level == obstacle;
            assert_eq!((finding.level, finding.stops_everything), (level, stops), "{seen:?}");
            assert!(finding.state.contains(state), "{finding:?}");
        }
    }

    #[test]
    fn files_in_memory_are_never_cold() {
        assert_eq!(judge_files(false, Path::new("/tmp")).level, Level::Ok);
        assert_eq!(judge_files(true, Path::new("/dev/shm")).level, Level::Warning);
        assert_eq!(judge_compiler(true).level, Level::Ok);
        assert_eq!(judge_compiler(false).level, Level::Warning);
    }
}
