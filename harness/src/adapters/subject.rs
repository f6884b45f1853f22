//! Subjects: what the adapters offer, and whether it can run on this machine.
//!
//! Never loads or starts one.

use std::collections::BTreeSet;
use std::sync::Arc;

use quadrant_reports::record::{self, evidence};
use quadrant_suite::description::{
    Capability, Described, Executor, RuntimeOption, Topology, Workers,
};
use quadrant_suite::plan::{Plan, SetOption};
use serde::Serialize;

use super::builds::Build;
use super::version::OPTIONS_MARK;
use crate::system::{features, limits};
use crate::trial::LibraryFile;

/// Files that a subject and the driver open besides their connections.
const FILES_BESIDE_CONNECTIONS: u64 = 64;
/// Threads that a subject with one for each task, and the driver, start besides those.
const THREADS_BESIDE_TASKS: u64 = 16;

/// One runtime, executor and backend to compare, or an adapter that cannot be described.
#[derive(Debug, Clone)]
pub struct Subject {
    /// `runtime[@version]/executor/backend?option=value`; the build's name if it is broken.
    pub id: String,
    pub runtime: String,
    pub version: String,
    pub note: Option<String>,
    /// The build that it is in.
    pub build: Build,
    /// Options that are set.
    pub options: Vec<SetOption>,
    /// Options that its executor has.
    pub possible: Vec<RuntimeOption>,
    pub state: State,
}

#[derive(Debug, Clone)]
pub enum State {
    Loadable {
        library: Arc<LibraryFile>,
        executor: Executor,
        /// Why it cannot run on this machine, if so.
        unsupported: Option<String>,
    },
    /// It could not be built, loaded or described.
    Broken { reason: String },
}

/// What this machine has that a subject may need.
pub(super) struct Machine {
    io_uring: Result<(), String>,
    locked_memory_max: Option<u64>,
}

impl Machine {
    pub(super) fn look() -> Self {
        Self {
            io_uring: features::io_uring_works(),
            locked_memory_max: limits::locked_memory_max(),
        }
    }

    fn unsupported(&self, executor: &Executor) -> Option<String> {
        if evidence::needs_ring(&executor.backend)
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

/// The subjects of a library by its description, or why that cannot be right.
pub(super) fn offered(
    build: &Build,
    library: &Arc<LibraryFile>,
    description: Described,
    machine: &Machine,
) -> Result<Vec<Subject>, String> {
    let Described { runtime, version, note, executors, options } = description;
    if let Some(declared) = &build.backends
        && let Some(other) = executors.iter().find(|it| !declared.contains(&it.backend))
    {
        return Err(format!(
            "{} describes {runtime}/{}/{}, and {build} is declared to run on {}: either the \
             declaration is wrong or its flags do not reach the crate they are for",
            library.path().display(),
            other.executor,
            other.backend,
            declared.join(" or ")
        ));
    }
    let runtime = build.versioned(&runtime);
    let subjects = executors
        .into_iter()
        .map(|executor| Subject {
            id: format!("{runtime}/{}/{}", executor.executor, executor.backend),
            runtime: runtime.clone(),
            version: version.clone(),
            note: note.clone(),
            build: build.clone(),
            options: Vec::new(),
            possible: of_executor(&options, &executor.executor),
            state: State::Loadable {
                library: Arc::clone(library),
                unsupported: machine.unsupported(&executor),
                executor,
            },
        })
        .collect();
    Ok(subjects)
}

fn of_executor(options: &[RuntimeOption], executor: &str) -> Vec<RuntimeOption> {
    let has_it = |option: &&RuntimeOption| {
        option.executors.is_empty() || option.executors.iter().any(|name| name == executor)
    };
    options.iter().filter(has_it).cloned().collect()
}

impl Subject {
    pub fn broken(build: Build, reason: String) -> Self {
        Self {
            id: build.to_string(),
            runtime: build.versioned(&build.adapter),
            version: "unknown".to_owned(),
            note: None,
            build,
            options: Vec::new(),
            possible: Vec::new(),
            state: State::Broken { reason },
        }
    }

    /// Why it cannot run this plan here, if so.
    pub fn unsupported(&self, plan: &Plan) -> Option<String> {
        let State::Loadable { executor, unsupported, .. } = &self.state else { return None };
        if let Some(unsupported) = unsupported {
            return Some(unsupported.clone());
        }
        let needs = plan.needs();
        let lacking = needs.iter().find(|need| !offers(&executor.capabilities, **need));
        if let Some(lacking) = lacking {
            return Some(format!("this executor has no {}", lacking.lacking()));
        }
        if plan.cancels() && executor.workers == Workers::PerTask {
            return Some(
                "its calls block, so `timeout` and `race` could not end them before their time"
                    .to_owned(),
            );
        }
        let connections = plan.server.as_ref().map_or(0, |server| u64::from(server.connections));
        // A thread that runs tasks holds a file open, from which it reads its time in the run queue.
        let (threads_too, files) = match executor.workers {
            Workers::PerTask => (" and a thread for each", 2 * connections),
            _ => ("", connections),
        };
        let files = files + FILES_BESIDE_CONNECTIONS;
        if let Some(files_max) = limits::open_files_max()
            && files > files_max
        {
            if connections == 0 {
                return Some(format!(
                    "the {files_max} open files that are allowed here are too few to run anything; \
                     raise the hard limit (`ulimit -Hn`)"
                ));
            }
            return Some(format!(
                "{connections} connections{threads_too} need more open files than the {files_max} \
                 that are allowed here; `ulimit -Hn {files}`, as root, allows them"
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
        match limits::threads_allowed() {
            Some(allowed) if executor.workers == Workers::PerTask && threads > allowed.more => {
                Some(format!(
                    "{tasks} tasks need as many threads, and {} more may be started here: {}",
                    allowed.more, allowed.by
                ))
            }
            _ => None,
        }
    }

    /// Its executor, unless it is broken.
    fn executor(&self) -> Option<&Executor> {
        match &self.state {
            State::Loadable { executor, .. } => Some(executor),
            State::Broken { .. } => None,
        }
    }

    pub fn id_without_options(&self) -> &str {
        self.id.split(OPTIONS_MARK).next().unwrap_or(&self.id)
    }

    /// The option of this name that its executor has.
    pub fn option(&self, name: &str) -> Option<&RuntimeOption> {
        self.possible.iter().find(|option| option.name == name)
    }

    /// Whether the figures of other subjects may be given as ratios to its own.
    pub fn is_reference(&self) -> bool {
        self.options.is_empty()
            && self.executor().is_some_and(|it| it.capabilities.contains(&Capability::Reference))
    }

    /// Whether its executor has workers of this kind.
    pub fn has_workers(&self, workers: Workers) -> bool {
        self.executor().is_some_and(|executor| executor.workers == workers)
    }

    /// Workers it is to use of those planned; 0 for one for each task.
    pub fn workers(&self, planned: u32) -> u32 {
        match self.executor().map(|executor| executor.workers) {
            Some(Workers::One) => 1,
            Some(Workers::Many) => planned,
            Some(Workers::PerTask) | None => 0,
        }
    }

    pub fn for_record(&self, planned_workers: u32) -> record::Subject {
        let executor = self.executor();
        record::Subject {
            id: self.id.clone(),
            runtime: self.runtime.clone(),
            version: self.version.clone(),
            executor: executor.map_or_else(String::new, |it| it.executor.clone()),
            backend: executor.map_or_else(String::new, |it| it.backend.clone()),
            workers: self.workers(planned_workers),
            note: self.note.clone(),
        }
    }

    pub fn listed(&self) -> Listed {
        let record::Subject { executor, backend, .. } = self.for_record(0);
        let reason = match &self.state {
            State::Loadable { unsupported, .. } => unsupported.clone(),
            State::Broken { reason } => Some(reason.clone()),
        };
        let offered = self.executor();
        Listed {
            id: self.id.clone(),
            runtime: self.runtime.clone(),
            version: self.version.clone(),
            executor,
            backend,
            topology: offered.map(|it| it.topology),
            capabilities: offered.map_or_else(BTreeSet::new, |it| it.capabilities.clone()),
            options: self.possible.clone(),
            variant: self.build.variant.is_some(),
            available: reason.is_none(),
            reason,
            note: self.note.clone(),
        }
    }
}

/// An executor that can serve any steps can serve the plain echo too.
fn offers(capabilities: &BTreeSet<Capability>, need: Capability) -> bool {
    capabilities.contains(&need)
        || need == Capability::Echo && capabilities.contains(&Capability::Tcp)
}

/// A subject as `quadrant list subjects` prints it.
#[derive(Debug, Serialize)]
pub struct Listed {
    pub id: String,
    pub runtime: String,
    pub version: String,
    pub executor: String,
    pub backend: String,
    pub topology: Option<Topology>,
    pub capabilities: BTreeSet<Capability>,
    /// What can be set about it, as in `-r 'runtime/executor?name=value'`.
    pub options: Vec<RuntimeOption>,
    /// Whether it is in another build than its runtime's usual one.
    pub variant: bool,
    pub available: bool,
    pub reason: Option<String>,
    pub note: Option<String>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One that could be run, of this id.
    pub(crate) fn subject(id: &str, is_variant: bool) -> Subject {
        let parts: Vec<&str> = id.split('/').collect();
        let [runtime, name, backend] = parts[..] else { panic!("{id} is no id") };
        let executor = Executor {
            executor: name.to_owned(),
            backend: backend.to_owned(),
            topology: Topology::Shared,
            workers: Workers::One,
            capabilities: BTreeSet::new(),
            tasks_max: None,
            memlock_bytes_min: 0,
        };
        let program = std::env::current_exe().unwrap();
        let library = Arc::new(LibraryFile::open(&program).unwrap());
        let usual = Build::usual(runtime, None);
        Subject {
            id: id.to_owned(),
            runtime: runtime.to_owned(),
            version: String::new(),
            note: None,
            options: Vec::new(),
            possible: Vec::new(),
            build: if is_variant { Build::variant(runtime, backend) } else { usual },
            state: State::Loadable { library, executor, unsupported: None },
        }
    }

    #[test]
    fn a_library_with_an_undeclared_backend_is_refused() {
        let State::Loadable { executor, library, .. } = subject("x/y/epoll", false).state else {
            unreachable!()
        };
        let description = Described {
            runtime: "x".to_owned(),
            version: String::new(),
            note: None,
            executors: vec![executor],
            options: Vec::new(),
        };
        let machine = Machine { io_uring: Ok(()), locked_memory_max: None };
        let ask = |backends: Option<&[&str]>| {
            let backends = backends.map(|list| list.iter().map(|it| (*it).to_owned()).collect());
            let build = Build::usual("x", backends);
            offered(&build, &library, description.clone(), &machine)
        };
        assert_eq!(ask(None).unwrap().len(), 1);
        assert_eq!(ask(Some(&["io_uring", "epoll"])).unwrap().len(), 1);
        let reason = ask(Some(&["poll"])).unwrap_err();
        assert!(reason.contains(" describes x/y/epoll, and x is declared"), "{reason}");
    }
}
