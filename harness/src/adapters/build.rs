//! Builds adapters: one cargo call for each build, so that no runtime's features reach another and
//! a broken one leaves the others alone. None where a stamp says that it would change nothing.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::environment::{Environment, cargo};
use super::found::{Build, Recipe, library_file};
use super::up_to_date::{BuildBegun, is_up_to_date};
use crate::system::interrupt;
use crate::terminal::progress::Progress;

/// Lines of the compiler's words that go into a reason.
const WORDS_MAX: usize = 400;

/// How far cargo optimises a library; in `run.json`, because it moves figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub opt_level: String,
    pub lto: String,
    pub codegen_units: u32,
}

impl Profile {
    /// That of every adapter that is built here. Optimised as a whole: what the suite adds to a
    /// request must not depend on where the compiler happens to cut the library into pieces.
    pub fn of_adapters() -> Self {
        Self { opt_level: "3".to_owned(), lto: "thin".to_owned(), codegen_units: 1 }
    }
}

/// Where adapters are built; not the workspace's own folder, which cargo may hold locked.
pub fn target_folder(workspace: &Path) -> PathBuf {
    workspace.join("target").join("adapters")
}

/// A folder for each set of flags: those for all crates would make cargo build them anew with
/// every change, and the library bears the same name in all builds of an adapter.
pub fn folder_of(workspace: &Path, recipe: &Recipe) -> PathBuf {
    let cfg = recipe.cfg.iter().map(|name| format!("cfg-{name}"));
    let features = recipe.features.iter().map(|name| format!("feature-{name}"));
    let flags: Vec<String> = cfg.chain(features).collect();
    match flags.is_empty() {
        true => target_folder(workspace),
        false => target_folder(workspace).join(flags.join("-")),
    }
}

/// Where the library lies, once it is built.
pub fn library_path(workspace: &Path, recipe: &Recipe) -> PathBuf {
    folder_of(workspace, recipe).join("release").join(library_file(&recipe.package))
}

fn stamp_path(workspace: &Path, recipe: &Recipe) -> PathBuf {
    folder_of(workspace, recipe).join("release").join(format!("{}.stamp", recipe.package))
}

/// Where builds are made.
pub struct Workshop {
    workspace: PathBuf,
    environment: Environment,
    /// That as a text, where it can be told.
    circumstances: Option<String>,
}

impl Workshop {
    pub fn open(workspace: &Path) -> Self {
        let environment = Environment::look(workspace);
        let circumstances = environment.told();
        Self { workspace: workspace.to_owned(), environment, circumstances }
    }

    /// The library of a build that cargo would leave as it is.
    pub fn up_to_date(&self, recipe: &Recipe) -> Option<PathBuf> {
        let library = library_path(&self.workspace, recipe);
        let asked = self.asked(&self.order(recipe))?;
        let stamp = stamp_path(&self.workspace, recipe);
        is_up_to_date(&stamp, &library, &asked, &self.workspace).then_some(library)
    }

    /// Builds one adapter and returns its library, or the reason why there is none.
    pub fn build(
        &self,
        build: &Build,
        recipe: &Recipe,
        progress: &Progress,
    ) -> Result<PathBuf, String> {
        let order = self.order(recipe);
        let asked = self.asked(&order);
        let stamp = stamp_path(&self.workspace, recipe);
        let begun = BuildBegun::now(&stamp).ok();
        let library = carry_out(order, &recipe.package, |crate_name| {
            progress.say(format!("building adapter {build}: compiling {crate_name}"));
        })?;
        if let (Some(begun), Some(asked)) = (begun, asked) {
            // Without a stamp the next start is slower, and nothing else.
            let _ = begun.finish(&stamp, &library, &asked);
        }
        Ok(library)
    }

    fn order(&self, recipe: &Recipe) -> Command {
        let mut order = cargo();
        let profile = Profile::of_adapters();
        order
            .args(["build", "--release", "--message-format", "json-render-diagnostics"])
            .args(["--package", &recipe.package, "--manifest-path"])
            .arg(self.workspace.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(folder_of(&self.workspace, recipe))
            // From wherever this is called, the same configuration and toolchain decide.
            .current_dir(&self.workspace)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", profile.opt_level)
            .env("CARGO_PROFILE_RELEASE_LTO", profile.lto)
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", profile.codegen_units.to_string());
        if !recipe.features.is_empty() {
            order.arg("--features").arg(recipe.features.join(","));
        }
        if !recipe.cfg.is_empty() {
            let flags = recipe.cfg.iter().flat_map(|name| ["--cfg".to_owned(), name.clone()]);
            self.environment.add_rustflags(&mut order, &flags.collect::<Vec<_>>());
        }
        order
    }

    /// An order with everything else that cargo goes by, as a text.
    fn asked(&self, order: &Command) -> Option<String> {
        let words: Vec<_> = order.get_args().collect();
        let set: Vec<_> = order.get_envs().filter(|(_, value)| value.is_some()).collect();
        Some(format!("{words:?}\n{set:?}\n{}", self.circumstances.as_ref()?))
    }
}

fn carry_out(
    mut order: Command,
    package: &str,
    compiling: impl FnMut(&str) + Send,
) -> Result<PathBuf, String> {
    let mut child = order
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    let stdout = child.stdout.take().expect("standard output was asked for");
    let stderr = child.stderr.take().expect("standard error was asked for");

    let (library, words) = std::thread::scope(|scope| {
        let library = scope.spawn(|| find_library(stdout, package));
        let words = scope.spawn(|| hear_compiler(stderr, compiling));
        // Cargo gets the terminal's ^C itself; a signal to this process alone it would miss.
        while !library.is_finished() {
            if interrupt::requested() {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        (library.join(), words.join().unwrap_or_default())
    });
    let status = child.wait().map_err(|error| format!("cargo could not be waited for: {error}"))?;
    match library {
        Ok(Some(library)) if status.success() => Ok(library),
        Ok(None) if status.success() => Err(format!(
            "{package} builds no library that can be loaded: it needs `crate-type = [\"cdylib\"]`"
        )),
        _ if interrupt::requested() => Err("interrupted".to_owned()),
        _ => Err(format!("it does not build: {}", essence(&words))),
    }
}

#[derive(Deserialize)]
struct CargoMessage {
    reason: String,
    package_id: Option<String>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The library's path in cargo's messages.
fn find_library(stdout: impl Read, package: &str) -> Option<PathBuf> {
    let mut found = None;
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let Ok(message) = serde_json::from_str::<CargoMessage>(&line) else { continue };
        let id = message.package_id.unwrap_or_default();
        let is_it = id.contains(&format!("#{package}@")) || id.contains(&format!("/{package}#"));
        if message.reason == "compiler-artifact" && is_it {
            let suffix = std::env::consts::DLL_EXTENSION;
            let library = |path: &PathBuf| path.extension().is_some_and(|ext| ext == suffix);
            found = message.filenames.into_iter().find(library).or(found);
        }
    }
    found
}

/// Reads the compiler's words to their end, tells what is compiled, and keeps the latest.
fn hear_compiler(stderr: impl Read, mut compiling: impl FnMut(&str)) -> VecDeque<String> {
    let mut words = VecDeque::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Some(name) = line.trim_start().strip_prefix("Compiling ") {
            compiling(name.split(' ').next().unwrap_or(name));
        }
        if words.len() == WORDS_MAX {
            words.pop_front();
        }
        words.push_back(line);
    }
    words
}

/// The first error and where it is.
fn essence(words: &VecDeque<String>) -> String {
    let mut lines = words.iter().skip_while(|line| !line.starts_with("error"));
    let Some(error) = lines.next() else {
        return words.back().cloned().unwrap_or_else(|| "cargo said nothing".to_owned());
    };
    let place = lines.next().map(|line| line.trim()).filter(|line| line.starts_with("-->"));
    match place {
        Some(place) => format!("{error} ({})", place.trim_start_matches("--> ")),
        None => error.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_essence_is_the_first_error_with_its_place() {
        let words = [
            "   Compiling x v0.1.0",
            "error[E0425]: cannot find value `y` in this scope",
            " --> runtimes/x/src/lib.rs:3:5",
            "  |",
            "error: could not compile `x`",
        ];
        let words = words.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(
            essence(&words),
            "error[E0425]: cannot find value `y` in this scope (runtimes/x/src/lib.rs:3:5)"
        );
        assert_eq!(essence(&VecDeque::new()), "cargo said nothing");
    }

    #[test]
    fn finds_the_library_among_cargos_messages() {
        let suffix = std::env::consts::DLL_SUFFIX;
        let messages = format!(
            "{{\"reason\":\"compiler-artifact\",\"package_id\":\"path+file:///w/suite#quadrant-suite@0.1.0\",\"filenames\":[\"/t/libquadrant_suite.rlib\"]}}\n\
             {{\"reason\":\"compiler-artifact\",\"package_id\":\"path+file:///w/runtimes/x#quadrant-x@0.1.0\",\"filenames\":[\"/t/libquadrant_x{suffix}\"]}}\n\
             not json\n{{\"reason\":\"build-finished\",\"success\":true}}\n"
        );
        let found = find_library(messages.as_bytes(), "quadrant-x");
        assert_eq!(found, Some(PathBuf::from(format!("/t/libquadrant_x{suffix}"))));
    }
}
