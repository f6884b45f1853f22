//! Builds adapters: one cargo call for each build, so that no runtime's features reach another and a
//! broken one leaves the others alone.
//!
//! Never calls cargo for a library that is up to date.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::builds::{Build, Recipe, library_file};
use super::environment::{Environment, cargo};
use super::up_to_date::{BuildBegun, is_up_to_date};
use super::version_workspace::{self, VersionWorkspace};
use crate::system::child::{ChildGroup, Keep, Output, wait_for_output};
use crate::system::interrupt;
use crate::terminal::progress::Progress;

/// Lines of cargo's standard error that the reason of a failure is looked for in.
const LINES_MAX: usize = 400;
const LINE_BYTES_MAX: usize = 16 << 20;
/// How often it is looked for an interruption.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long cargo's end may take to follow that of its output.
const EXIT_LIMIT: Duration = Duration::from_secs(10);

/// How far cargo optimises a library; in `run.json`, because it moves figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub opt_level: String,
    pub lto: String,
    pub codegen_units: u32,
}

impl Profile {
    /// The profile of every adapter that is built here. Optimised as a whole: what the suite adds to a
    /// request must not depend on how the compiler splits the library into units.
    pub fn of_adapters() -> Self {
        Self { opt_level: "3".to_owned(), lto: "thin".to_owned(), codegen_units: 1 }
    }
}

/// Where adapters are built. Not the workspace's own folder, which another cargo may have locked.
pub fn target_folder(workspace: &Path) -> PathBuf {
    workspace.join("target").join("adapters")
}

/// A folder for each set of flags: otherwise cargo would build everything again whenever they change,
/// and the library has the same name in all builds of an adapter.
pub fn folder_of(workspace: &Path, recipe: &Recipe) -> PathBuf {
    let cfg = recipe.cfg.iter().map(|name| format!("cfg-{name}"));
    let features = recipe.features.iter().map(|name| format!("feature-{}", name.replace('/', "-")));
    let flags: Vec<String> = cfg.chain(features).collect();
    match flags.is_empty() {
        true => target_folder(workspace),
        false => target_folder(workspace).join(flags.join("-")),
    }
}

/// Where the library lies, once it is built.
pub fn library_path(workspace: &Path, build: &Build, recipe: &Recipe) -> PathBuf {
    let file = library_file(&library_package(build, recipe));
    folder_of(workspace, recipe).join("release").join(file)
}

fn stamp_path(workspace: &Path, build: &Build, recipe: &Recipe) -> PathBuf {
    let file = format!("{}.stamp", library_package(build, recipe));
    folder_of(workspace, recipe).join("release").join(file)
}

/// The package that the library is named for.
fn library_package(build: &Build, recipe: &Recipe) -> String {
    match &build.version {
        Some(version) => version_workspace::library_package(&build.adapter, version),
        None => recipe.package.clone(),
    }
}

/// Builds the adapters of a workspace.
pub struct Builder {
    workspace: PathBuf,
    environment: Environment,
    /// The same as a text, where that is known.
    circumstances: Option<String>,
    /// Two builds of one version share its workspace.
    making: Mutex<()>,
}

impl Builder {
    pub fn open(workspace: &Path) -> Self {
        let environment = Environment::look(workspace);
        let circumstances = environment.as_text();
        Self { workspace: workspace.to_owned(), environment, circumstances, making: Mutex::new(()) }
    }

    /// The library of a build that cargo would leave as it is.
    pub fn up_to_date(&self, build: &Build, recipe: &Recipe) -> Option<PathBuf> {
        if let Some(planned) = self.planned(build, recipe)
            && !planned.ok()?.is_made()
        {
            return None;
        }
        let library = library_path(&self.workspace, build, recipe);
        let asked = self.asked(&self.order(build, recipe))?;
        let stamp = stamp_path(&self.workspace, build, recipe);
        is_up_to_date(&stamp, &library, &asked, &self.workspace_of(build)).then_some(library)
    }

    /// Builds one adapter and returns its library, or the reason why there is none.
    pub fn build(
        &self,
        build: &Build,
        recipe: &Recipe,
        progress: &Progress,
    ) -> Result<PathBuf, String> {
        let planned = self.planned(build, recipe).transpose()?;
        if let Some(planned) = &planned {
            let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
            if !planned.is_made() {
                progress.say(format!("building adapter {build}: making its lock file"));
                planned.make(|arguments| self.change_lock(build, arguments))?;
            }
        }
        let order = self.order(build, recipe);
        let asked = self.asked(&order);
        let stamp = stamp_path(&self.workspace, build, recipe);
        let begun = BuildBegun::now(&stamp).ok();
        let library = carry_out(order, &recipe.package, |crate_name| {
            progress.say(format!("building adapter {build}: compiling {crate_name}"));
        })
        .map_err(|error| match &build.version {
            Some(_) => format!(
                "{error}; where the adapter's code does not fit this version, choose one nearer to \
                 the locked one, or change the code below runtimes/"
            ),
            None => error,
        })?;
        planned.map_or(Ok(()), |planned| planned.check_use())?;
        if let (Some(begun), Some(asked)) = (begun, asked) {
            // Without a stamp the next start is slower, and nothing else.
            let _ = begun.finish(&stamp, &library, &asked);
        }
        Ok(library)
    }

    /// The workspace's files for a version; `None` for the workspace itself.
    fn planned<'b>(
        &self,
        build: &'b Build,
        recipe: &'b Recipe,
    ) -> Option<Result<VersionWorkspace<'b>, String>> {
        let version = build.version.as_ref()?;
        Some(VersionWorkspace::plan(&self.workspace, &build.adapter, recipe, version))
    }

    fn workspace_of(&self, build: &Build) -> PathBuf {
        match &build.version {
            Some(version) => version_workspace::folder(&self.workspace, &build.adapter, version),
            None => self.workspace.clone(),
        }
    }

    fn change_lock(&self, build: &Build, arguments: &[String]) -> Result<(), String> {
        let mut order = cargo();
        order
            .args(arguments)
            .arg("--manifest-path")
            .arg(self.workspace_of(build).join("Cargo.toml"));
        listen(order.current_dir(&self.workspace), |_| (), |_| ())
    }

    fn order(&self, build: &Build, recipe: &Recipe) -> Command {
        let mut order = cargo();
        let profile = Profile::of_adapters();
        order
            .args(["build", "--release", "--message-format", "json-render-diagnostics"])
            .args(["--package", &recipe.package, "--manifest-path"])
            .arg(self.workspace_of(build).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(folder_of(&self.workspace, recipe))
            // The workspace's configuration and toolchain decide, wherever this is called.
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

    /// An order with everything else that decides about the build, as a text.
    fn asked(&self, order: &Command) -> Option<String> {
        let arguments: Vec<_> = order.get_args().collect();
        let set: Vec<_> = order.get_envs().filter(|(_, value)| value.is_some()).collect();
        Some(format!("{arguments:?}\n{set:?}\n{}", self.circumstances.as_ref()?))
    }
}

fn carry_out(
    mut order: Command,
    package: &str,
    mut compiling: impl FnMut(&str),
) -> Result<PathBuf, String> {
    let mut library = None;
    let is_built = listen(
        &mut order,
        |message| library = library_in(message, package).or(library.take()),
        |line| {
            if let Some(name) = line.trim_start().strip_prefix("Compiling ") {
                compiling(name.split(' ').next().unwrap_or(name));
            }
        },
    );
    is_built.map_err(|error| format!("it does not build: {error}"))?;
    library.ok_or_else(|| {
        format!(
            "{package} builds no library that can be loaded: it needs `crate-type = [\"cdylib\"]`"
        )
    })
}

/// Runs cargo to its end, and returns its first error.
fn listen(
    order: &mut Command,
    mut printed: impl FnMut(&str),
    mut reported: impl FnMut(&str),
) -> Result<(), String> {
    let not_started = |error| format!("cargo could not be started: {error}");
    let keep = Keep::Head { bytes_max: LINE_BYTES_MAX };
    order.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = ChildGroup::spawn(order).map_err(not_started)?;
    let stdout = child.take_stdout().expect("standard output was asked for");
    let stderr = child.take_stderr().expect("standard error was asked for");
    let mut stdout = Output::new(stdout, keep).map_err(not_started)?;
    let mut stderr = Output::new(stderr, keep).map_err(not_started)?;

    let mut errors = VecDeque::new();
    while stdout.source().or(stderr.source()).is_some() {
        if interrupt::requested() {
            return Err("interrupted".to_owned());
        }
        wait_for_output([stdout.source(), stderr.source()], LOOK_EVERY);
        stdout.read();
        stderr.read();
        while let Some(message) = stdout.take_line() {
            printed(&message);
        }
        while let Some(line) = stderr.take_line() {
            reported(&line);
            if errors.len() == LINES_MAX {
                errors.pop_front();
            }
            errors.push_back(line);
        }
    }
    let status = child.wait_within(EXIT_LIMIT);
    let status = status.map_err(|error| format!("cargo could not be waited for: {error}"))?;
    match status.is_some_and(|status| status.success()) {
        true => Ok(()),
        false => Err(first_error(&errors)),
    }
}

#[derive(Deserialize)]
struct CargoMessage {
    reason: String,
    package_id: Option<String>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The path of the package's library, if this message of cargo's is about it.
fn library_in(message: &str, package: &str) -> Option<PathBuf> {
    let message: CargoMessage = serde_json::from_str(message).ok()?;
    let id = message.package_id?;
    let is_it = id.contains(&format!("#{package}@")) || id.contains(&format!("/{package}#"));
    let suffix = std::env::consts::DLL_EXTENSION;
    let is_library = |path: &PathBuf| path.extension().is_some_and(|ext| ext == suffix);
    (message.reason == "compiler-artifact" && is_it)
        .then(|| message.filenames.into_iter().find(is_library))?
}

/// The first error and where it is.
fn first_error(lines: &VecDeque<String>) -> String {
    let mut after = lines.iter().skip_while(|line| !line.starts_with("error"));
    let Some(error) = after.next() else {
        return lines.back().cloned().unwrap_or_else(|| "cargo printed nothing".to_owned());
    };
    let place = after.next().map(|line| line.trim()).filter(|line| line.starts_with("-->"));
    match place {
        Some(place) => format!("{error} ({})", place.trim_start_matches("--> ")),
        None => error.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_first_error_with_its_place() {
        let lines = [
            "   Compiling x v0.1.0",
            "error[E0425]: cannot find value `y` in this scope",
            " --> runtimes/x/src/lib.rs:3:5",
            "  |",
            "error: could not compile `x`",
        ];
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(
            first_error(&lines),
            "error[E0425]: cannot find value `y` in this scope (runtimes/x/src/lib.rs:3:5)"
        );
        assert_eq!(first_error(&VecDeque::new()), "cargo printed nothing");
    }

    #[test]
    fn finds_the_library_among_cargos_messages() {
        let suffix = std::env::consts::DLL_SUFFIX;
        let messages = format!(
            "{{\"reason\":\"compiler-artifact\",\"package_id\":\"path+file:///w/suite#quadrant-suite@0.1.0\",\"filenames\":[\"/t/libquadrant_suite.rlib\"]}}\n\
             {{\"reason\":\"compiler-artifact\",\"package_id\":\"path+file:///w/runtimes/x#quadrant-x@0.1.0\",\"filenames\":[\"/t/libquadrant_x{suffix}\"]}}\n\
             not json\n{{\"reason\":\"build-finished\",\"success\":true}}\n"
        );
        let found = messages.lines().find_map(|message| library_in(message, "quadrant-x"));
        assert_eq!(found, Some(PathBuf::from(format!("/t/libquadrant_x{suffix}"))));
    }
}
