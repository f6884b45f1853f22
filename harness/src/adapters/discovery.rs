//! Discovers subjects: builds the adapters that may have a wanted one, and reads their descriptions.
//!
//! Never loads a library itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use quadrant_suite::description;

use super::build::{self, Builder};
use super::builds::{self, Build, Declared, Recipe, Role};
use super::description::parse;
use super::filter::Filter;
use super::manifest;
use super::subject::{self, Machine, Subject};
use super::version::Version;
use crate::system::{interrupt, orphans};
use crate::terminal::progress::Progress;
use crate::trial::{self, LibraryFile, Limits};

/// Descriptions read at a time: each takes a process, which waits for the disk and then for a CPU.
const ASKED_AT_ONCE: usize = 4;
/// Cargo itself uses all CPUs while it can.
const BUILT_AT_ONCE: usize = 2;

/// Where to look for adapters.
#[derive(Debug, Clone)]
pub enum Source {
    /// The packages of a workspace, built first if `build` is set.
    Workspace { folder: PathBuf, build: bool, with_test_adapters: bool, purpose: Purpose },
    /// Libraries in a folder.
    Folder(PathBuf),
}

/// What libraries are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To know or to measure the subjects that were asked for.
    Subjects,
    /// The same, and to compare them with the references.
    Run,
    /// To ask the behaviour kit, which trials need not compile.
    Checks,
}

/// Compiles the kit into an adapter.
const CHECKS_FEATURE: &str = "quadrant-suite/checks";

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Source::Workspace { folder, .. } | Source::Folder(folder)) = self;
        folder.display().fmt(formatter)
    }
}

/// The subjects for some filters.
#[derive(Default)]
pub struct Discovered {
    /// Those of every build that may have a wanted one, broken builds included.
    pub subjects: Vec<Subject>,
    /// Others of the same builds, which no filter selects.
    pub passed_over: Vec<Subject>,
    /// Builds that have no subject which a filter could select.
    pub left_out: Vec<Build>,
}

/// A build, and its library or the reason why there is none.
type Found = (Build, Result<PathBuf, String>);

/// The subjects of all sources. Where two have the same one, that of the first source is used.
pub fn discover(
    sources: &[Source],
    filters: &[Filter],
    executable: &Path,
    limits: Limits,
    progress: &Progress,
) -> Result<Discovered> {
    // From here on there are processes that must not outlive this one.
    interrupt::listen();
    orphans::adopt();
    let mut discovered = Discovered::default();
    let machine = Machine::look();
    for source in sources {
        let (found, left_out) = look_into(source, filters, progress)?;
        progress.say("reading the adapters' descriptions");
        let described = ask_all(&found, executable, limits);
        orphans::end_all();
        let mut offered: Vec<Subject> = Vec::new();
        for ((build, _), described) in found.into_iter().zip(described) {
            let subjects = described.and_then(|(library, description)| {
                if let Source::Workspace { .. } = source {
                    refuse_other_name(&build, &description.runtime)?;
                }
                let subjects = subject::offered(&build, &library, description, &machine)?;
                refuse_twice(&offered, &subjects, &library).map(|()| subjects)
            });
            match subjects {
                Ok(subjects) => offered.extend(subjects),
                Err(reason) => offered.push(Subject::broken(build, reason)),
            }
        }
        let is_known = |new: &Subject| discovered.subjects.iter().any(|it| it.id == new.id);
        let (known, new): (Vec<_>, Vec<_>) = offered.into_iter().partition(is_known);
        if !known.is_empty() {
            let ids: Vec<&str> = known.iter().map(|subject| &*subject.id).collect();
            progress.warn(format!(
                "{}: not used from {source}, because a folder of --adapters before it has the same",
                ids.join(", ")
            ));
        }
        discovered.subjects.extend(new);
        discovered.left_out.extend(left_out);
    }
    discovered.subjects.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(discovered)
}

/// The libraries of builds that may have a wanted subject, and the other builds.
fn look_into(
    source: &Source,
    filters: &[Filter],
    progress: &Progress,
) -> Result<(Vec<Found>, Vec<Build>)> {
    let is_wanted = |build: &Build| filters.iter().any(|filter| filter.may_select(build));
    match source {
        Source::Folder(folder) => in_folder(folder, is_wanted),
        Source::Workspace { folder, build, with_test_adapters, purpose } => {
            let is_reference = |declared: &Declared| {
                *purpose == Purpose::Run
                    && declared.role == Role::Reference
                    && declared.build.variant.is_none()
                    && declared.build.version.is_none()
            };
            let mut declared = manifest::declared(folder)?;
            let versions: BTreeSet<_> = filters.iter().flat_map(Filter::versions).collect();
            let versions: Vec<Declared> =
                versions.into_iter().flat_map(|version| of_version(&declared, version)).collect();
            declared.extend(versions);
            if *purpose == Purpose::Checks {
                for recipe in declared.iter_mut().filter_map(|it| it.recipe.as_mut().ok()) {
                    recipe.features.push(CHECKS_FEATURE.to_owned());
                }
            }
            let (wanted, left_out): (Vec<Declared>, Vec<Declared>) = declared
                .into_iter()
                .filter(|declared| *with_test_adapters || declared.role != Role::Test)
                .partition(|declared| is_wanted(&declared.build) || is_reference(declared));
            let found = match build {
                true => make(folder, wanted, progress),
                false => wanted.into_iter().map(|declared| as_built(folder, declared)).collect(),
            };
            Ok((found, left_out.into_iter().map(|declared| declared.build).collect()))
        }
    }
}

/// A copied adapter that still describes itself as the one that it was copied from. A filter would
/// choose its build by one name and its subjects by another.
fn refuse_other_name(build: &Build, runtime: &str) -> Result<(), String> {
    let adapter = &build.adapter;
    match adapter == runtime {
        true => Ok(()),
        false => Err(format!(
            "adapter `{adapter}` calls itself `{runtime}`: write `runtime: \"{adapter}\"` in its \
             `describe`, or name its package `quadrant-{runtime}`"
        )),
    }
}

/// The builds of an adapter in another version.
fn of_version<'d>(
    declared: &'d [Declared],
    (adapter, version): &'d (String, Version),
) -> impl Iterator<Item = Declared> + 'd {
    let its = declared.iter().filter(move |declared| declared.build.adapter == *adapter);
    its.cloned().map(|mut declared| {
        declared.build.version = Some(version.clone());
        declared
    })
}

/// Records are identified by the subject's id.
fn refuse_twice(
    known: &[Subject],
    offered: &[Subject],
    library: &LibraryFile,
) -> Result<(), String> {
    match offered.iter().find(|new| known.iter().any(|known| known.id == new.id)) {
        None => Ok(()),
        Some(twice) => Err(format!(
            "{} offers {}, which another adapter offers already: one of them has to go, or needs \
             a name of its own in `runtime` of its `describe`",
            library.path().display(),
            twice.id
        )),
    }
}

/// A library's file name need not be its runtime's name, so all are asked except variants that are not
/// wanted: these are named for their backend.
fn in_folder(
    folder: &Path,
    is_wanted: impl Fn(&Build) -> bool,
) -> Result<(Vec<Found>, Vec<Build>)> {
    let libraries = builds::libraries(folder)?;
    if libraries.is_empty() {
        bail!(
            "there is no adapter library in {}: one is called {}, built from a package \
             `quadrant-NAME` with `crate-type = [\"cdylib\"]`",
            folder.display(),
            builds::library_file("quadrant-NAME")
        );
    }
    let is_asked = |build: &Build| build.variant.is_none() || is_wanted(build);
    let (asked, left_out): (Vec<_>, Vec<_>) =
        libraries.into_iter().partition(|(build, _)| is_asked(build));
    let asked = asked.into_iter().map(|(build, path)| (build, Ok(path))).collect();
    Ok((asked, left_out.into_iter().map(|(build, _)| build).collect()))
}

fn as_built(workspace: &Path, declared: Declared) -> Found {
    let library = declared.recipe.and_then(|recipe| {
        let library = build::library_path(workspace, &declared.build, &recipe);
        let reason = || "it was not built yet; leave out --no-build".to_owned();
        library.exists().then_some(library).ok_or_else(reason)
    });
    (declared.build, library)
}

/// Builds what is not up to date.
fn make(workspace: &Path, wanted: Vec<Declared>, progress: &Progress) -> Vec<Found> {
    let builder = Builder::open(workspace);
    let is_first = !build::target_folder(workspace).exists();
    let mut found = Vec::new();
    let mut to_build = Vec::new();
    for Declared { build, recipe, .. } in wanted {
        match recipe {
            Err(reason) => found.push((build, Err(reason))),
            Ok(recipe) => match builder.up_to_date(&build, &recipe) {
                Some(library) => found.push((build, Ok(library))),
                None => to_build.push((build, recipe)),
            },
        }
    }
    let count = to_build.len();
    if is_first && count > 0 {
        progress.warn(format!("building {count} adapters; the first time takes a few minutes"));
    }
    found.extend(build_all(workspace, &builder, to_build, progress));
    for (build, library) in &found {
        if let Err(reason) = library {
            progress.warn(format!("adapter {build} is left out: {reason}"));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Several at once: the last step of a build, which takes long, uses one thread. Never two in one
/// folder, which cargo locks.
fn build_all(
    workspace: &Path,
    builder: &Builder,
    wanted: Vec<(Build, Recipe)>,
    progress: &Progress,
) -> Vec<Found> {
    let (count, begun) = (wanted.len(), AtomicUsize::new(0));
    let mut folders: BTreeMap<PathBuf, Vec<(Build, Recipe)>> = BTreeMap::new();
    for (build, recipe) in wanted {
        folders.entry(build::folder_of(workspace, &recipe)).or_default().push((build, recipe));
    }
    // The first folder is that of the usual builds, which are the most.
    let folders = Mutex::new(folders.into_values());
    let next = || folders.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut found = Vec::new();
        while let Some(folder) = next() {
            for (build, recipe) in folder {
                let index = begun.fetch_add(1, Ordering::Relaxed);
                progress.part(index, count, format!("building adapter {build}"));
                let library = builder.build(&build, &recipe, progress);
                if interrupt::requested() {
                    return found;
                }
                found.push((build, library));
            }
        }
        found
    };
    side_by_side(BUILT_AT_ONCE, work)
}

/// Does the work on this number of threads, the calling one included; on fewer if some cannot start.
fn side_by_side<T: Send>(count: usize, work: impl Fn() -> Vec<T> + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let start = |_| std::thread::Builder::new().spawn_scoped(scope, &work).ok();
        let others: Vec<_> = (1..count).filter_map(start).collect();
        let mut done = work();
        for other in others {
            done.extend(other.join().expect("such work does not panic"));
        }
        done
    })
}

/// An open library with its description, or the reason why there is none.
type Described = Result<(Arc<LibraryFile>, description::Described), String>;

/// The libraries in their order.
fn ask_all(found: &[Found], executable: &Path, limits: Limits) -> Vec<Described> {
    let next = AtomicUsize::new(0);
    let ask_on = || {
        let mut answers = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((_, library)) = found.get(index) else { return answers };
            let answer = library.as_ref().map_err(Clone::clone);
            answers.push((index, answer.and_then(|library| ask(library, executable, limits))));
        }
    };
    let mut answers = side_by_side(ASKED_AT_ONCE.min(found.len()), ask_on);
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn ask(library: &Path, executable: &Path, limits: Limits) -> Described {
    let library = LibraryFile::open(library)?;
    let text = trial::describe(executable, &library, limits)?;
    let description = parse(&text).map_err(|error| {
        format!("the description of {} is not understood: {error}", library.path().display())
    })?;
    Ok((Arc::new(library), description))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_adapter_needs_a_name_of_its_own() {
        let build = Build::usual("mine", None);
        assert!(refuse_other_name(&build, "mine").is_ok());
        let reason = refuse_other_name(&build, "smol").unwrap_err();
        assert!(reason.starts_with("adapter `mine` calls itself `smol`: write"), "{reason}");
    }
}
