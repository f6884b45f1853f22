//! Subjects: what the adapters offer, and whether it can run on this machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use globset::{GlobBuilder, GlobMatcher};
use quadrant_reports::record;
use quadrant_suite::description::{Capability, Description, Executor, Topology, Workers};
use quadrant_suite::plan::Plan;
use serde::Serialize;

use super::{build, found};
use crate::machine::{io_uring, limits, threads_allowed};
use crate::progress::Progress;
use crate::trial::{self, Limits};

/// What a subject and the driver open beside their connections.
const FILES_BESIDE_CONNECTIONS: u64 = 64;
/// What a subject with a thread for each task and the driver start beside those.
const THREADS_BESIDE_TASKS: u64 = 16;

/// One thing that can be compared, or one adapter that could not even be asked.
#[derive(Debug, Clone)]
pub struct Subject {
    /// `runtime/executor/backend`; only the adapter's name when it could not be asked.
    pub id: String,
    pub runtime: String,
    pub version: String,
    pub note: Option<String>,
    pub state: State,
}

#[derive(Debug, Clone)]
pub enum State {
    Loadable {
        library: PathBuf,
        executor: Executor,
        /// Why it cannot run on this machine, if it cannot.
        obstacle: Option<String>,
    },
    /// It did not build, load or describe itself.
    Broken { reason: String },
}

/// Where to look for adapters.
#[derive(Debug, Clone)]
pub enum Source {
    /// The packages of a workspace, built first where `build` says so.
    Workspace { folder: PathBuf, build: bool, with_test_adapters: bool },
    /// Libraries in a folder.
    Folder(PathBuf),
}

/// All subjects of a source, those that do not work included.
pub fn discover(
    source: &Source,
    filter: &Filter,
    executable: &Path,
    trial_limits: Limits,
    progress: &Progress,
) -> Result<Vec<Subject>> {
    let libraries = match source {
        Source::Folder(folder) => {
            let libraries = found::libraries(folder)?;
            if libraries.is_empty() {
                bail!(
                    "there is no adapter library in {}: one is called {}, built from a package \
                     `quadrant-NAME` with `crate-type = [\"cdylib\"]`",
                    folder.display(),
                    found::library_file("NAME")
                );
            }
            libraries.into_iter().map(|(name, path)| (name, Ok(path))).collect()
        }
        Source::Workspace { folder, build, with_test_adapters } => {
            from_workspace(folder, *build, *with_test_adapters, filter, progress)?
        }
    };
    let machine = Machine::look();
    let mut subjects: Vec<Subject> = Vec::new();
    for (name, library) in libraries {
        progress.say(format!("asking adapter {name} what it offers"));
        let offered = library.and_then(|library| {
            let text = trial::describe(executable, &library, trial_limits)?;
            let description: Description = serde_json::from_str(&text).map_err(|error| {
                format!("what {} says about itself is not understood: {error}", library.display())
            })?;
            let offered = of(&library, description, &machine);
            // Records are told apart by the subject's id.
            match offered.iter().find(|new| subjects.iter().any(|known| known.id == new.id)) {
                Some(twice) => Err(format!(
                    "{} offers {}, which another adapter offers already: one of them has to go",
                    library.display(),
                    twice.id
                )),
                None => Ok(offered),
            }
        });
        match offered {
            Ok(offered) => subjects.extend(offered),
            Err(reason) => subjects.push(Subject {
                id: name.clone(),
                runtime: name,
                version: "unknown".to_owned(),
                note: None,
                state: State::Broken { reason },
            }),
        }
    }
    subjects.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(subjects)
}

type Found = Vec<(String, Result<PathBuf, String>)>;

fn from_workspace(
    folder: &Path,
    build: bool,
    with_test_adapters: bool,
    filter: &Filter,
    progress: &Progress,
) -> Result<Found> {
    let packages: Vec<_> = found::packages(folder)?
        .into_iter()
        .filter(|package| with_test_adapters || !package.for_tests)
        .filter(|package| filter.may_select_runtime(&package.name))
        .collect();
    if !build {
        let built = build::target_folder(folder).join("release");
        let libraries = found::libraries(&built).unwrap_or_default();
        return Ok(packages
            .into_iter()
            .map(|package| {
                let library = libraries.iter().find(|(name, _)| *name == package.name);
                let reason = || "it was not built yet; leave out --no-build".to_owned();
                (package.name, library.map(|(_, path)| path.clone()).ok_or_else(reason))
            })
            .collect());
    }
    let count = packages.len();
    if !build::target_folder(folder).exists() {
        progress.warn(format!("building {count} adapters; the first time takes a few minutes"));
    }
    let mut found = Vec::new();
    for (index, package) in packages.into_iter().enumerate() {
        progress.part(index, count, format!("building adapter {}", package.name));
        let library = build::build(folder, &package, progress);
        if crate::interrupt::requested() {
            break;
        }
        if let Err(reason) = &library {
            progress.warn(format!("adapter {} is left out: {reason}", package.name));
        }
        found.push((package.name, library));
    }
    Ok(found)
}

/// What this machine offers that a subject may need.
struct Machine {
    io_uring: Result<(), String>,
    locked_memory_max: Option<u64>,
}

impl Machine {
    fn look() -> Self {
        Self { io_uring: io_uring::works(), locked_memory_max: limits::locked_memory_max() }
    }

    fn obstacle(&self, executor: &Executor) -> Option<String> {
        if io_uring::is_needed_by(&executor.backend)
            && let Err(reason) = &self.io_uring
        {
            return Some(reason.clone());
        }
        let needed = executor.memlock_bytes_min;
        match self.locked_memory_max {
            Some(limit) if limit < needed => Some(format!(
                "it needs {} KiB of locked memory and may have {} KiB; \
                 `ulimit -l {}` (or LimitMEMLOCK in the service) allows it",
                needed >> 10,
                limit >> 10,
                needed >> 10
            )),
            _ => None,
        }
    }
}

fn of(library: &Path, description: Description, machine: &Machine) -> Vec<Subject> {
    let Description { runtime, version, note, executors } = description;
    executors
        .into_iter()
        .map(|executor| Subject {
            id: format!("{runtime}/{}/{}", executor.executor, executor.backend),
            runtime: runtime.clone(),
            version: version.clone(),
            note: note.clone(),
            state: State::Loadable {
                library: library.to_owned(),
                obstacle: machine.obstacle(&executor),
                executor,
            },
        })
        .collect()
}

impl Subject {
    /// Why it cannot run such a plan here, if it cannot.
    pub fn unsupported(&self, plan: &Plan) -> Option<String> {
        let State::Loadable { executor, obstacle, .. } = &self.state else { return None };
        if let Some(obstacle) = obstacle {
            return Some(obstacle.clone());
        }
        let needs = plan.needs();
        let lacking = needs.iter().find(|need| !offers(&executor.capabilities, **need));
        if let Some(lacking) = lacking {
            return Some(format!("this executor has no {}", lacking.lacking()));
        }
        let connections = plan.server.as_ref().map_or(0, |server| u64::from(server.connections));
        if let Some(files_max) = limits::open_files_max()
            && connections + FILES_BESIDE_CONNECTIONS > files_max
        {
            return Some(format!(
                "{connections} connections need more open files than the {files_max} that are \
                 allowed here; `ulimit -Hn {}`, as root, allows them",
                connections + FILES_BESIDE_CONNECTIONS
            ));
        }
        let tasks = plan.tasks_peak();
        if let Some(tasks_max) = executor.tasks_max
            && tasks > tasks_max
        {
            return Some(format!(
                "this case may have {tasks} tasks at once and this executor holds {tasks_max}"
            ));
        }
        let threads = tasks.saturating_add(THREADS_BESIDE_TASKS);
        match threads_allowed::look() {
            Some(allowed) if executor.workers == Workers::PerTask && threads > allowed.more => {
                Some(format!(
                    "{tasks} tasks need as many threads, and {} more may be started here: {}",
                    allowed.more, allowed.by
                ))
            }
            _ => None,
        }
    }

    /// Whether its executor has workers of this kind.
    pub fn has_workers(&self, workers: Workers) -> bool {
        match &self.state {
            State::Loadable { executor, .. } => executor.workers == workers,
            State::Broken { .. } => false,
        }
    }

    /// Workers it is told to use, out of what the plan would give; 0 for one for each task.
    pub fn workers(&self, planned: u32) -> u32 {
        match &self.state {
            State::Loadable { executor, .. } => match executor.workers {
                Workers::One => 1,
                Workers::Many => planned,
                Workers::PerTask => 0,
            },
            State::Broken { .. } => 0,
        }
    }

    pub fn for_record(&self, planned_workers: u32) -> record::Subject {
        let (executor, backend) = match &self.state {
            State::Loadable { executor, .. } => (&*executor.executor, &*executor.backend),
            State::Broken { .. } => ("", ""),
        };
        record::Subject {
            id: self.id.clone(),
            runtime: self.runtime.clone(),
            version: self.version.clone(),
            executor: executor.to_owned(),
            backend: backend.to_owned(),
            workers: self.workers(planned_workers),
            note: self.note.clone(),
        }
    }

    pub fn listed(&self) -> Listed {
        let record::Subject { executor, backend, .. } = self.for_record(0);
        let (capabilities, topology, reason) = match &self.state {
            State::Loadable { executor, obstacle, .. } => {
                (executor.capabilities.clone(), Some(executor.topology), obstacle.clone())
            }
            State::Broken { reason } => (BTreeSet::new(), None, Some(reason.clone())),
        };
        Listed {
            id: self.id.clone(),
            runtime: self.runtime.clone(),
            version: self.version.clone(),
            executor,
            backend,
            topology,
            capabilities,
            available: reason.is_none(),
            reason,
            note: self.note.clone(),
        }
    }
}

/// Who can serve any steps can serve the plain echo, too.
fn offers(capabilities: &BTreeSet<Capability>, need: Capability) -> bool {
    capabilities.contains(&need)
        || need == Capability::Echo && capabilities.contains(&Capability::Tcp)
}

/// A subject as `quadrant list subjects` tells it.
#[derive(Debug, Serialize)]
pub struct Listed {
    pub id: String,
    pub runtime: String,
    pub version: String,
    pub executor: String,
    pub backend: String,
    pub topology: Option<Topology>,
    pub capabilities: BTreeSet<Capability>,
    pub available: bool,
    pub reason: Option<String>,
    pub note: Option<String>,
}

/// Which subjects are wanted: globs over their ids.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    include: Vec<GlobMatcher>,
    exclude: Vec<GlobMatcher>,
    runtimes: Vec<GlobMatcher>,
}

impl Filter {
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self> {
        // `tokio` means `tokio/**`, and `**/epoll` is an id's end.
        let compile = |patterns: &[String]| -> Result<Vec<GlobMatcher>> {
            let whole = patterns.iter().map(|pattern| glob(pattern));
            let begun = patterns.iter().map(|pattern| glob(&format!("{pattern}/**")));
            whole.chain(begun).collect()
        };
        let runtimes = include.iter().map(|pattern| {
            let runtime = pattern.split('/').next().unwrap_or(pattern);
            // A pattern like `**` says nothing about the runtime.
            glob(if runtime.contains("**") { "*" } else { runtime })
        });
        Ok(Self {
            include: compile(include)?,
            exclude: compile(exclude)?,
            runtimes: runtimes.collect::<Result<_>>()?,
        })
    }

    pub fn selects(&self, subject: &Subject) -> bool {
        if let State::Broken { .. } = subject.state {
            return self.may_select_runtime(&subject.runtime);
        }
        let matches = |globs: &[GlobMatcher]| globs.iter().any(|glob| glob.is_match(&subject.id));
        (self.include.is_empty() || matches(&self.include)) && !matches(&self.exclude)
    }

    /// Whether building this runtime's adapter can be of use.
    fn may_select_runtime(&self, runtime: &str) -> bool {
        let wanted =
            self.runtimes.is_empty() || self.runtimes.iter().any(|glob| glob.is_match(runtime));
        // Excluded as a whole only if every id of it would be.
        let excluded =
            self.exclude.iter().any(|glob| glob.is_match(format!("{runtime}/\u{0}/\u{0}")));
        wanted && !excluded
    }
}

fn glob(pattern: &str) -> Result<GlobMatcher> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build().with_context(|| {
        format!("`{pattern}` is no pattern for subjects such as `tokio/*/epoll`")
    })?;
    Ok(glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(id: &str) -> Subject {
        let mut parts = id.split('/').map(str::to_owned);
        let runtime = parts.next().unwrap();
        let executor = Executor {
            executor: parts.next().unwrap(),
            backend: parts.next().unwrap(),
            topology: Topology::Shared,
            workers: Workers::One,
            capabilities: BTreeSet::new(),
            tasks_max: None,
            memlock_bytes_min: 0,
        };
        Subject {
            id: id.to_owned(),
            runtime,
            version: String::new(),
            note: None,
            state: State::Loadable { library: PathBuf::new(), executor, obstacle: None },
        }
    }

    #[track_caller]
    fn check(include: &[&str], exclude: &[&str], expected: &[&str]) {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let filter = Filter::new(&owned(include), &owned(exclude)).unwrap();
        let all =
            ["smol/single-thread/epoll", "tokio/current-thread/epoll", "tokio/multi-thread/epoll"];
        let selected: Vec<&str> =
            all.into_iter().filter(|id| filter.selects(&subject(id))).collect();
        assert_eq!(selected, expected);
    }

    #[test]
    fn a_runtimes_name_stands_for_all_its_subjects() {
        let tokio = ["tokio/current-thread/epoll", "tokio/multi-thread/epoll"];
        check(&["tokio"], &[], &tokio);
        check(&["tok*"], &[], &tokio);
        check(&["tokio/**"], &[], &tokio);
        check(&["tokio/multi-thread"], &[], &tokio[1..]);
        check(&["*/multi-thread"], &[], &tokio[1..]);
        check(&["**/epoll"], &["smol"], &tokio);
        check(&[], &["tokio/current-thread", "smol"], &tokio[1..]);
    }

    #[test]
    fn a_broken_pattern_is_told() {
        assert!(Filter::new(&["tokio/[".to_owned()], &[]).is_err());
    }
}
