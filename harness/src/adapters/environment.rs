//! What decides about a build besides the packages themselves: the environment, cargo's configuration
//! files, and the compiler.
//!
//! Never changes any of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use toml::{Table, Value};

use crate::system::child::printed_by;

/// Variables that cargo sets for the program that it runs; they decide nothing about a build.
const LEAKS: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST", "CARGO_BIN_", "CARGO_CRATE_"];
/// What separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\u{1f}";
/// Rustup may look for its toolchain first.
const COMPILER_LIMIT: Duration = Duration::from_secs(10);

/// Cargo, without what a cargo that started this program has set for it.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if is_leak(&name) {
            command.env_remove(&name);
        }
    }
    command
}

fn is_leak(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    LEAKS.iter().any(|prefix| name.starts_with(prefix))
        || name == "CARGO_PRIMARY_PACKAGE"
        || name == "CARGO_TARGET_TMPDIR"
}

/// Everything that decides about builds in a workspace, whatever is built.
pub(super) struct Environment {
    /// What rustc prints about itself, if it does.
    compiler: Option<String>,
    variables: BTreeMap<String, String>,
    configuration: Vec<(PathBuf, String)>,
}

impl Environment {
    pub(super) fn look(workspace: &Path) -> Self {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let variables = std::env::vars_os()
            .filter(|(name, _)| !is_leak(name))
            .map(|(name, value)| (lossless(&name), lossless(&value)))
            .filter(|(name, _)| decides(name))
            .collect();
        Self {
            compiler: printed_by(rustc.arg("-vV").current_dir(workspace), COMPILER_LIMIT),
            variables,
            configuration: configuration(workspace),
        }
    }

    /// All of it as a text that changes when it does. Nothing where this is not known.
    pub(super) fn as_text(&self) -> Option<String> {
        let compiler = self.compiler.as_ref()?;
        let mut all = format!("{compiler}\n{:?}\n", self.variables);
        for (path, text) in &self.configuration {
            let table: Table = text.parse().ok()?;
            let build = table.get("build");
            // An included file or another compiler than the one asked is not looked at here.
            if table.contains_key("include") || build.is_some_and(|it| it.get("rustc").is_some()) {
                return None;
            }
            all.push_str(&format!("{}\n{text}\n", path.display()));
        }
        Some(all)
    }

    /// Adds flags for rustc to a call of cargo, besides those that the user has set: of all places
    /// where flags may be set, cargo reads the first only.
    pub(super) fn add_rustflags(&self, command: &mut Command, flags: &[String]) {
        let given = |name: &str| self.variables.get(name);
        let users: Option<Vec<&str>> = match (given("CARGO_ENCODED_RUSTFLAGS"), given("RUSTFLAGS"))
        {
            (Some(encoded), _) if encoded.is_empty() => Some(Vec::new()),
            (Some(encoded), _) => Some(encoded.split(SEPARATOR).collect()),
            (None, Some(plain)) => Some(plain.split_whitespace().collect()),
            (None, None) => None,
        };
        match users {
            Some(users) => {
                let all: Vec<&str> =
                    users.into_iter().chain(flags.iter().map(String::as_str)).collect();
                command.env("CARGO_ENCODED_RUSTFLAGS", all.join(SEPARATOR));
            }
            None => {
                let key = match self.has_flags_for_targets() {
                    true => "target.'cfg(all())'.rustflags",
                    false => "build.rustflags",
                };
                // A list of plain words: Rust's quotes are TOML's.
                command.arg("--config").arg(format!("{key}={flags:?}"));
            }
        }
    }

    fn has_flags_for_targets(&self) -> bool {
        let is_set =
            |name: &String| name.starts_with("CARGO_TARGET_") && name.ends_with("_RUSTFLAGS");
        self.variables.keys().any(is_set)
            || self.configuration.iter().any(|(_, text)| {
                let table: Table = text.parse().unwrap_or_default();
                let targets = table.get("target").and_then(Value::as_table);
                let mut targets = targets.into_iter().flat_map(Table::values);
                targets.any(|target| target.get("rustflags").is_some())
            })
    }
}

/// Whether a variable may change what is built.
fn decides(name: &str) -> bool {
    // Build scripts of dependencies compile C by these.
    let of_c = ["CC", "CFLAGS", "CXX", "AR", "PKG_CONFIG"];
    name.starts_with("RUSTC")
        || of_c.iter().any(|prefix| name.starts_with(prefix))
        || name == "RUSTFLAGS"
        || name.starts_with("CARGO_") && name != "CARGO_HOME" && !name.starts_with("CARGO_TERM_")
}

/// A text for every value, and no text for two values.
fn lossless(text: &OsStr) -> String {
    text.to_str().map_or_else(|| format!("{text:?}"), str::to_owned)
}

/// The configuration files that there are, in cargo's order: those of the workspace and of all
/// folders above it, then that of the user.
fn configuration(workspace: &Path) -> Vec<(PathBuf, String)> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let folders = workspace.ancestors().map(|folder| folder.join(".cargo")).chain(home);
    let mut found: Vec<(PathBuf, String)> = Vec::new();
    for folder in folders {
        for name in ["config", "config.toml"] {
            let path = folder.join(name);
            if let Ok(text) = std::fs::read_to_string(&path)
                && found.iter().all(|(known, _)| *known != path)
            {
                found.push((path, text));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)], configuration: &str) -> Environment {
        Environment {
            compiler: Some("rustc 1\n".to_owned()),
            variables: variables.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect(),
            configuration: vec![("config.toml".into(), configuration.to_owned())],
        }
    }

    #[track_caller]
    fn check(variables: &[(&str, &str)], configuration: &str, expected: &str) {
        let mut command = Command::new("cargo");
        let flags = ["--cfg".to_owned(), "x".to_owned()];
        environment(variables, configuration).add_rustflags(&mut command, &flags);
        let words: Vec<String> = command
            .get_args()
            .map(lossless)
            .chain(command.get_envs().map(|(name, value)| {
                format!("{}={}", lossless(name), lossless(value.unwrap_or_default()))
            }))
            .collect();
        assert_eq!(words.join(" ").replace(SEPARATOR, "|"), expected);
    }

    #[test]
    fn flags_are_added_to_the_users_own() {
        check(&[], "", "--config build.rustflags=[\"--cfg\", \"x\"]");
        check(&[], "[build]\nrustflags=[\"-O\"]", "--config build.rustflags=[\"--cfg\", \"x\"]");
        let for_targets = "--config target.'cfg(all())'.rustflags=[\"--cfg\", \"x\"]";
        check(&[], "[target.x86_64-unknown-linux-gnu]\nrustflags=[\"-O\"]", for_targets);
        check(&[("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-O")], "", for_targets);
        check(&[("RUSTFLAGS", " -O  -g ")], "", "CARGO_ENCODED_RUSTFLAGS=-O|-g|--cfg|x");
        let encoded = ("CARGO_ENCODED_RUSTFLAGS", "-C\u{1f}a b");
        check(&[encoded, ("RUSTFLAGS", "-O")], "", "CARGO_ENCODED_RUSTFLAGS=-C|a b|--cfg|x");
        check(&[("CARGO_ENCODED_RUSTFLAGS", "")], "", "CARGO_ENCODED_RUSTFLAGS=--cfg|x");
    }

    #[test]
    fn an_unknown_environment_has_no_text() {
        let text_of = |variables: &[(&str, &str)], text| environment(variables, text).as_text();
        assert!(text_of(&[], "").is_some());
        assert_ne!(text_of(&[], ""), text_of(&[], "[build]\njobs = 1"));
        assert_ne!(text_of(&[], ""), text_of(&[("RUSTFLAGS", "-O")], ""));
        assert_eq!(text_of(&[], "include = [\"other.toml\"]"), None);
        assert_eq!(text_of(&[], "[build]\nrustc = \"other\""), None);
        assert_eq!(text_of(&[], "[build"), None);
        let no_compiler = Environment { compiler: None, ..environment(&[], "") };
        assert_eq!(no_compiler.as_text(), None);
    }

    #[test]
    fn variables_of_a_running_program_decide_nothing() {
        for name in ["RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_PROFILE_RELEASE_DEBUG", "CARGO_NET_X"] {
            assert!(decides(name) && !is_leak(name.as_ref()), "{name}");
        }
        for name in ["RUST_BACKTRACE", "RUSTUP_TOOLCHAIN", "CARGO", "CARGO_HOME", "PATH"] {
            assert!(!decides(name), "{name}");
        }
        assert!(is_leak("CARGO_PKG_NAME".as_ref()) && is_leak("CARGO_MANIFEST_DIR".as_ref()));
    }
}
