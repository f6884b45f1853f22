//! Where things are: the folder that scenarios and adapters come from, and this program.
//!
//! Never reads a file.

use std::io;
use std::path::{Path, PathBuf};

/// Names the home, before every other place.
const VARIABLE: &str = "QUADRANT_HOME";

/// Where scenarios and adapters come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    pub folder: PathBuf,
    pub kind: Kind,
    /// By what it was found, for messages.
    pub by: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A workspace with `runtimes` and `specs`, in which adapters are built and results kept.
    Workspace,
    /// An installation: `adapters`, and usually `specs`, beside the program.
    Installed,
}

impl Home {
    fn at(folder: &Path, by: &'static str) -> Option<Self> {
        let kind = Kind::of(folder)?;
        Some(Self { folder: folder.to_owned(), kind, by })
    }
}

impl Kind {
    fn of(folder: &Path) -> Option<Self> {
        if is_workspace(folder) {
            return Some(Kind::Workspace);
        }
        folder.join("adapters").is_dir().then_some(Kind::Installed)
    }
}

fn is_workspace(folder: &Path) -> bool {
    ["Cargo.toml", "runtimes", "specs"].iter().all(|name| folder.join(name).exists())
}

/// The home of this process, if there is one. An error if the variable names none.
pub fn home() -> Result<Option<Home>, String> {
    let named = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    find_home(Places {
        named,
        current: std::env::current_dir().ok(),
        program: std::env::current_exe().ok(),
        built_in: Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned),
    })
}

/// The places where a home may be, the first one first.
struct Places {
    named: Option<PathBuf>,
    current: Option<PathBuf>,
    program: Option<PathBuf>,
    /// The workspace in which the program was built. A copy of that workspace has another place, so
    /// this one comes last.
    built_in: Option<PathBuf>,
}

fn find_home(places: Places) -> Result<Option<Home>, String> {
    if let Some(folder) = &places.named {
        return Home::at(folder, VARIABLE).map(Some).ok_or_else(|| {
            format!(
                "{VARIABLE} is {}, which has neither `runtimes` and `specs`, as a workspace, nor \
                 `adapters`: correct or unset it",
                folder.display()
            )
        });
    }
    let workspace = |inside: &Path, by| {
        let folder = inside.ancestors().find(|folder| is_workspace(folder))?;
        Home::at(folder, by)
    };
    let current = || workspace(places.current.as_deref()?, "the current folder");
    let program = || {
        let folder = places.program.as_deref()?.parent()?;
        let by = "the place of the program";
        Home::at(folder, by).or_else(|| workspace(folder, by))
    };
    let built_in = || workspace(places.built_in.as_deref()?, "where the program was built");
    Ok(current().or_else(program).or_else(built_in))
}

/// The scenarios that come with the program.
pub fn specs() -> Result<Option<PathBuf>, String> {
    let folder = home()?.map(|home| home.folder.join("specs"));
    Ok(folder.filter(|folder| folder.is_dir()))
}

/// This program, for starting it again. By the kernel's link where there is one: the file may be
/// replaced or removed during a run, and all trials must be of one build.
pub fn own_program() -> io::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe() }
}

/// Where temporary files go. An empty TMPDIR counts as none, as in other programs.
pub fn temporary() -> PathBuf {
    let folder = std::env::temp_dir();
    if folder.as_os_str().is_empty() { PathBuf::from("/tmp") } else { folder }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn make(root: &Path, folders: &[&str]) {
        for folder in folders {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
    }

    fn make_workspace(root: &Path, name: &str) {
        make(&root.join(name), &["Cargo.toml", "runtimes", "specs/tour", "target/debug"]);
    }

    #[test]
    fn the_original_of_a_copy_is_the_last_place() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for name in ["original", "copy", "other"] {
            make_workspace(root, name);
        }
        make(root, &["installed/adapters", "nowhere"]);
        for (named, current, program, home) in [
            ("", "nowhere", "copy/target/debug/quadrant", "copy"),
            ("", "other/specs/tour", "copy/target/debug/quadrant", "other"),
            ("", "nowhere", "nowhere/quadrant", "original"),
            ("", "nowhere", "installed/quadrant", "installed"),
            ("", "copy", "installed/quadrant", "copy"),
            ("other", "copy", "copy/target/debug/quadrant", "other"),
            ("installed", "copy", "copy/target/debug/quadrant", "installed"),
        ] {
            let found = find_home(Places {
                named: (!named.is_empty()).then(|| root.join(named)),
                current: Some(root.join(current)),
                program: Some(root.join(program)),
                built_in: Some(root.join("original")),
            });
            let home = root.join(home);
            assert_eq!(found.unwrap().unwrap().folder, home, "{named} {current} {program}");
        }
    }

    #[test]
    fn a_variable_that_names_no_home_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let named = Some(root.path().join("nowhere"));
        let none = || Places { named: None, current: None, program: None, built_in: None };
        let error = find_home(Places { named, ..none() }).unwrap_err();
        assert!(error.starts_with("QUADRANT_HOME is ") && error.contains("nowhere"), "{error}");
        assert_eq!(find_home(none()), Ok(None));
    }
}
