//! Where adapters come from: packages of the workspace, or libraries built before.
//!
//! Looks at files only; nothing is built or loaded here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::build::cargo;

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

#[derive(Deserialize)]
struct CargoMetadata {
    packages: Vec<CargoPackage>,
}

#[derive(Deserialize)]
struct CargoPackage {
    name: String,
    manifest_path: PathBuf,
    metadata: Option<PackageMetadata>,
}

#[derive(Deserialize)]
struct PackageMetadata {
    quadrant: Option<QuadrantMetadata>,
}

#[derive(Deserialize)]
struct QuadrantMetadata {
    role: Option<String>,
}

/// The packages below `runtimes/`, by name.
pub fn packages(workspace: &Path) -> Result<Vec<Package>> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(workspace.join("Cargo.toml"))
        .output()
        .context("cargo could not be started; is the Rust toolchain installed?")?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("cargo does not understand the workspace: {}", words.trim());
    }
    let metadata: CargoMetadata =
        serde_json::from_slice(&output.stdout).context("cargo's metadata cannot be read")?;
    let runtimes = workspace.join("runtimes");
    let mut packages: Vec<Package> = metadata
        .packages
        .into_iter()
        .filter(|package| package.manifest_path.starts_with(&runtimes))
        .map(|package| {
            let role = package.metadata.and_then(|metadata| metadata.quadrant?.role);
            let name = package.name.strip_prefix(PACKAGE_PREFIX).unwrap_or(&package.name);
            Package {
                name: name.to_owned(),
                for_tests: role.as_deref() == Some("test"),
                package: package.name,
            }
        })
        .collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
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
