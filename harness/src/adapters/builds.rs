//! Builds of adapters: what is known of one before its library is asked, and libraries built before.
//!
//! Never builds or loads anything.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::version::{MARK, Version};

/// What the names of libraries begin with.
const LIBRARY_PREFIX: &str = "quadrant_";

/// What is known of a build of an adapter before its library is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Build {
    pub adapter: String,
    /// `None` for that of the workspace's lock file.
    pub version: Option<Version>,
    /// `None` for the usual build. A variant is named for its backend, by which its subjects differ.
    pub variant: Option<String>,
    /// What its subjects run on, where that is declared.
    pub backends: Option<Vec<String>>,
}

impl Build {
    /// From the name of a library: `tokio`, `tokio@poll`.
    fn named(name: &str) -> Self {
        match name.split_once(MARK) {
            Some((adapter, variant)) => Self::variant(adapter, variant),
            None => Self::usual(name, None),
        }
    }

    pub fn usual(adapter: &str, backends: Option<Vec<String>>) -> Self {
        Self { adapter: adapter.to_owned(), version: None, variant: None, backends }
    }

    pub fn variant(adapter: &str, variant: &str) -> Self {
        Self {
            adapter: adapter.to_owned(),
            version: None,
            variant: Some(variant.to_owned()),
            backends: Some(vec![variant.to_owned()]),
        }
    }

    /// A runtime's name with the version that this build is of.
    pub fn versioned(&self, runtime: &str) -> String {
        match &self.version {
            Some(version) => format!("{runtime}{MARK}{version}"),
            None => runtime.to_owned(),
        }
    }
}

/// As a pattern that selects it.
impl fmt::Display for Build {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.versioned(&self.adapter))?;
        match &self.variant {
            Some(variant) if self.version.is_some() => write!(formatter, "/*/{variant}"),
            Some(variant) => write!(formatter, "{MARK}{variant}"),
            None => Ok(()),
        }
    }
}

/// How cargo makes a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The package's name, for cargo.
    pub package: String,
    /// The package's manifest, below the workspace.
    pub manifest: PathBuf,
    /// Given to every crate of it, as `--cfg`.
    pub cfg: Vec<String>,
    /// Of the adapter's package.
    pub features: Vec<String>,
}

/// What an adapter is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    #[default]
    Runtime,
    /// A runtime that others are compared with across runs: it is built for every run.
    Reference,
    /// It serves tests only and has no place in a normal run.
    Test,
}

/// A build that a package of the workspace declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    pub build: Build,
    pub role: Role,
    /// Or the error in its declaration.
    pub recipe: Result<Recipe, String>,
}

/// The adapter libraries in a folder, by name.
pub fn libraries(folder: &Path) -> Result<Vec<(Build, PathBuf)>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("the adapters' folder {} cannot be read", folder.display()))?;
    let mut libraries: Vec<(Build, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let file = path.file_name()?.to_str()?;
            let stem = file
                .strip_prefix(std::env::consts::DLL_PREFIX)?
                .strip_suffix(std::env::consts::DLL_SUFFIX)?
                .strip_prefix(LIBRARY_PREFIX)?;
            // A backend is called as it is; cargo writes `_` for the `-` of a package.
            let name = match stem.split_once(MARK) {
                Some((adapter, variant)) => {
                    format!("{}{MARK}{variant}", adapter.replace('_', "-"))
                }
                None => stem.replace('_', "-"),
            };
            Some((Build::named(&name), path))
        })
        .collect();
    libraries.sort();
    Ok(libraries)
}

/// What cargo calls the library of a package.
pub fn library_file(package: &str) -> String {
    let stem = package.replace('-', "_");
    format!("{}{stem}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_named_for_its_adapter_and_variant() {
        let folder = std::env::temp_dir().join(format!("quadrant-found-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for stem in ["async_std", "async_std@io_uring", "tokio@epoll+ring"] {
            let file = format!(
                "{}{LIBRARY_PREFIX}{stem}{}",
                std::env::consts::DLL_PREFIX,
                std::env::consts::DLL_SUFFIX
            );
            std::fs::write(folder.join(file), "").unwrap();
        }
        std::fs::write(folder.join("notes.txt"), "").unwrap();
        let found = libraries(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let names: Vec<String> = found.iter().map(|(build, _)| build.to_string()).collect();
        assert_eq!(names, ["async-std", "async-std@io_uring", "tokio@epoll+ring"]);
        assert_eq!(found[1].0, Build::variant("async-std", "io_uring"));
        assert_eq!(found[0].0.backends, None);
    }
}
