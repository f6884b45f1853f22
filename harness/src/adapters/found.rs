//! Where adapters come from: packages of the workspace, or libraries built before.
//!
//! Looks at files only; nothing is built or loaded here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// What the names of adapter packages and libraries begin with.
const PACKAGE_PREFIX: &str = "quadrant-";
const LIBRARY_PREFIX: &str = "quadrant_";

/// An adapter package of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The package's name, as cargo knows it.
    pub package: String,
    /// The same without the prefix.
    pub name: String,
    /// Whether it serves tests only and has no place in a normal run.
    pub for_tests: bool,
}

/// The packages below `runtimes/`, by name. Their manifests are read as text: cargo may be
/// missing where adapters that were built before are to be used.
pub fn packages(workspace: &Path) -> Result<Vec<Package>> {
    let runtimes = workspace.join("runtimes");
    let entries = std::fs::read_dir(&runtimes)
        .with_context(|| format!("{} cannot be read", runtimes.display()))?;
    let mut packages: Vec<Package> = entries
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("Cargo.toml")).ok())
        .filter_map(|manifest| package(&manifest))
        .collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

fn package(manifest: &str) -> Option<Package> {
    let package = value(manifest, "package", "name")?;
    let name = package.strip_prefix(PACKAGE_PREFIX).unwrap_or(package);
    let role = value(manifest, "package.metadata.quadrant", "role");
    Some(Package {
        name: name.to_owned(),
        for_tests: role == Some("test"),
        package: package.to_owned(),
    })
}

/// A text in a table of a manifest.
fn value<'a>(manifest: &'a str, table: &str, key: &str) -> Option<&'a str> {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != format!("[{table}]"))
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='))
        .and_then(|value| value.trim_start().strip_prefix('"')?.split('"').next())
}

/// The adapter libraries in a folder, by name.
pub fn libraries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("the adapters' folder {} cannot be read", folder.display()))?;
    let mut libraries: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let file = path.file_name()?.to_str()?;
            let stem = file
                .strip_prefix(std::env::consts::DLL_PREFIX)?
                .strip_suffix(std::env::consts::DLL_SUFFIX)?;
            Some((stem.strip_prefix(LIBRARY_PREFIX)?.replace('_', "-"), path))
        })
        .collect();
    libraries.sort();
    Ok(libraries)
}

/// What the library of an adapter is called.
pub fn library_file(name: &str) -> String {
    let stem = format!("{LIBRARY_PREFIX}{}", name.replace('-', "_"));
    format!("{}{stem}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// Cargo, called so that nothing of the call that started this program leaks into it.
pub(super) fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let leaks = ["CARGO_PKG_", "CARGO_MANIFEST", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|prefix| text.starts_with(prefix));
        if leaks || text == "CARGO_PRIMARY_PACKAGE" || text == "CARGO_TARGET_TMPDIR" {
            command.env_remove(&name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_needs_of_a_manifest() {
        let manifest = "[package]\nname = \"quadrant-x\" # a name\nversion = \"1\"\n\n\
                        [package.metadata.quadrant]\nrole = \"test\" # why\n[lib]\nname = \"no\"\n";
        let found = package(manifest).unwrap();
        assert_eq!((found.package.as_str(), found.name.as_str()), ("quadrant-x", "x"));
        assert!(found.for_tests);
        assert!(!package("[package]\nname=\"y\"\n").unwrap().for_tests);
        assert_eq!(package("[workspace]\nmembers = []\n"), None);
    }
}
