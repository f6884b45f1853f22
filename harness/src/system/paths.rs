//! Where things are: the workspace with its `runtimes` and `specs`, if there is one.
//!
//! Never reads a file.

use std::path::{Path, PathBuf};

/// The workspace that the current folder lies in, else the one this program was built in.
pub fn workspace() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    here.ancestors().chain(built_in).find(|folder| is_workspace(folder)).map(Path::to_owned)
}

fn is_workspace(folder: &Path) -> bool {
    ["Cargo.toml", "runtimes", "specs"].iter().all(|name| folder.join(name).exists())
}

/// This program, for starting it again. By the kernel's link where there is one: the file may be
/// replaced or removed during a run, and all trials must be of one build.
pub fn own_program() -> std::io::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe() }
}

/// A folder of adapters beside an installed program.
pub fn adapters_beside(executable: &Path) -> Option<PathBuf> {
    let folder = executable.parent()?.join("adapters");
    folder.is_dir().then_some(folder)
}

/// Where temporary files go. An empty TMPDIR counts as none, as in other programs.
pub fn temporary() -> PathBuf {
    let folder = std::env::temp_dir();
    if folder.as_os_str().is_empty() { PathBuf::from("/tmp") } else { folder }
}

/// The scenarios that come with the program.
pub fn specs() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("specs")));
    workspace().map(|folder| folder.join("specs")).or(beside).filter(|folder| folder.is_dir())
}
