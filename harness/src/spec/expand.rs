//! One case of a scenario: every value put in and checked, every step list flattened.
//!
//! Never keeps what it reads: the same text is read anew for every case, so there is one way to read it.

use std::time::Duration;

use quadrant_reports::number::grouped;
use quadrant_suite::hash::Hash;
use quadrant_suite::peak;
use quadrant_suite::plan::{Group, Pace, Program, Server};

use super::axes::{Axis, CaseValues};
use super::backends;
use super::case::{Case, Files, Work};
use super::claim;
use super::draft::Runner;
use super::error::{Place, SpecError, error};
use super::expect::{self, Named};
use super::fields::Fields;
use super::limits;
use super::load;
use super::mistakes::Mistakes;
use super::names;
use super::programs::Programs;
use super::quantity::SIZE;
use super::yaml::{Node, Scalar};
use crate::driver::order::{connections, need_lengths};
use crate::system::allocator::Allocator;

pub(super) const KEYS: &str = "name question subjects compare axes table workers allocator server tasks load files backends time stall expect claim behaviours";

/// The fields of a map in the scenario.
fn fields_in<'a>(
    scenario: &Fields<'a>,
    key: &'static str,
    known: &str,
    values: &mut CaseValues<'_>,
) -> Option<Fields<'a>> {
    let node = scenario.get(key)?.node;
    let fields = Fields::of(node, key, known, &mut values.mistakes);
    values.mistakes.keep(fields)
}

pub(super) struct Expanded {
    /// Of no meaning where there are mistakes.
    pub(super) case: Case,
    /// Which axes it took a value of.
    pub(super) used: Vec<bool>,
    pub(super) hashes: Vec<(Hash, Place)>,
    pub(super) reads_files: bool,
    /// Which of its backends it queries.
    pub(super) queried: Vec<bool>,
    pub(super) mistakes: Mistakes,
}

/// `axes` may be nothing, if there is a mistake in them.
pub(super) fn expand(scenario: &Fields<'_>, axes: Option<&[Axis]>, case: usize) -> Expanded {
    let mut values = CaseValues::of(axes.unwrap_or_default(), case);
    values.lacks_axes = axes.is_none();
    let mut work = read_settings(scenario, &mut values);
    let (hashes, queried) = add_programs(&mut work, scenario, &mut values);
    values.mistakes.keep(check_parts(scenario));
    let mut together = Together::default();
    let is_whole = values.mistakes.is_empty();
    if is_whole {
        let checked = check_together(&work, scenario, &values);
        together = values.mistakes.keep(checked).unwrap_or_default();
    }
    let Together { reads_files, written_bytes } = together;
    work.written_bytes = written_bytes;
    if !reads_files {
        work.files = None;
    }
    if !queried.contains(&true) {
        work.backends.clear();
    }
    let connections = scenario.get("load").and_then(|load| load.node.find("connections"));
    let connections = connections.and_then(|connections| connections.text().ok());
    work.summary = work.summarized(connections.is_some_and(|text| text.axis().is_some()));

    let clients = work.load.iter().map(|group| group.name.as_str()).filter(|it| !it.is_empty());
    let names: Vec<&str> =
        clients.chain(work.groups.iter().map(|group| group.name.as_str())).collect();
    let (operation, groups) = names.split_at(usize::from(work.server.is_none()).min(names.len()));
    let operation = operation.first().copied();
    let named = Named { rows: &work.rows, groups, operation, is_whole };
    let mut expectations = Vec::new();
    let entries = scenario.items("expect");
    for node in values.mistakes.keep(entries).unwrap_or_default() {
        if claim::is_ratio(node) {
            continue;
        }
        let read = expect::read(node, &mut values, &named);
        expectations.extend(values.mistakes.keep(read).unwrap_or_default());
        if values.mistakes.is_full() {
            break;
        }
    }
    let case = Case { values: values.list(), work, expectations };
    let CaseValues { used, mistakes, .. } = values;
    Expanded { case, used, hashes, reads_files, queried, mistakes }
}

/// Everything but the programs.
fn read_settings(scenario: &Fields<'_>, values: &mut CaseValues<'_>) -> Work {
    let workers = values.quantity_if(scenario, "workers", limits::WORKERS);
    let allocator = values.one_of(scenario.get("allocator"), Allocator::ALL);
    let compared = [("subjects", false), ("backends", true)];
    let compares_backends = values.one_of(scenario.get("compare"), compared);
    let files = fields_in(scenario, "files", "count size cache latency", values);
    let files = files.map(|files| read_files(&files, values));
    let backends = backends::read(scenario, values);
    let time = fields_in(scenario, "time", "warmup measure", values);
    let mut time = |key, limit| values.quantity_if(time.as_ref()?, key, limit);
    let warmup_ns = time("warmup", limits::WARMUP);
    let measure_ns = time("measure", limits::MEASURE).unwrap_or(limits::MEASURE_DEFAULT_NS);
    let load = scenario.get("load").map(|load| load::read(load.node, measure_ns, values));
    let stall_threshold_ns = values.quantity_if(scenario, "stall", limits::STALL);
    Work {
        workers,
        allocator,
        compares_backends: compares_backends.unwrap_or(false),
        files,
        backends,
        load: load.unwrap_or_default(),
        warmup_ns: warmup_ns.unwrap_or(limits::WARMUP_DEFAULT_NS),
        measure_ns,
        stall_threshold_ns: stall_threshold_ns.unwrap_or(limits::STALL_DEFAULT_NS),
        ..Work::default()
    }
}

fn read_files(fields: &Fields<'_>, values: &mut CaseValues<'_>) -> Files {
    let count: u32 = values.quantity(fields, "count", limits::FILES);
    let bytes = values.quantity(fields, "size", limits::FILE_SIZE);
    let cold = values.one_of(fields.get("cache"), [("hot", false), ("cold", true)]);
    let latency = values.quantity_if(fields, "latency", limits::LATENCY);
    if let (Some(cache), Some(_)) = (fields.get("cache"), latency) {
        values.mistakes.add(
            error!(cache.node.at, "files with a `latency` are in no cache: each read is slow")
                .help("leave out `cache`"),
        );
    }
    let total = u64::from(count).saturating_mul(bytes);
    if total > limits::FILES_BYTES {
        let at = fields.get("size").map_or(fields.at, |size| size.node.at);
        values.mistakes.add(error!(
            at,
            "{} files of {} take {}{}; all together can take {}",
            grouped(count.into()),
            SIZE.written(bytes),
            SIZE.written(total),
            values.in_case(),
            SIZE.written(limits::FILES_BYTES)
        ));
    }
    Files { count, bytes, cold: cold.unwrap_or(false), latency: latency.map(Duration::from_nanos) }
}

/// The steps of the server and of every group of tasks. Returns all hashes, and which backends are
/// queried.
fn add_programs<'a>(
    work: &mut Work,
    scenario: &Fields<'a>,
    values: &mut CaseValues<'a>,
) -> (Vec<(Hash, Place)>, Vec<bool>) {
    let server = fields_in(scenario, "server", "steps", values);
    let groups = read_groups(scenario, values);
    // Where their number cannot be read, any file can be.
    let has_files = scenario.has_unknown || scenario.get("files").is_some();
    let any = has_files.then_some(limits::FILES.most as u32);
    let mut programs = Programs::new(
        values,
        work.files.map(|files| files.count).or(any),
        std::mem::take(&mut work.backends),
    );
    if let Some(server) = server {
        let steps = server.need("steps").map(|steps| steps.node);
        let program = programs.add(steps, Runner::Connection, server.at);
        let largest = work.load.iter().map(|group| group.message_bytes).max();
        work.server = largest.map(|largest| Server {
            program,
            message_bytes: largest,
            connections: connections(&work.load),
            with_lengths: need_lengths(&work.load),
            reconnects: work.load.iter().any(|group| group.habits.requests.is_some()),
        });
    }
    for (name, count, pace, steps) in groups {
        programs.shared.begin_group(count);
        let program = programs.add(steps, Runner::Task, name.at);
        work.groups.push(Group { name: name.text.clone(), count, program, pace });
    }
    let (channels, wrong) = programs.shared.channels();
    work.programs = programs.programs;
    work.rows = programs.rows;
    work.backends = programs.backends;
    work.locks = programs.shared.locks;
    work.barriers = programs.shared.barriers;
    work.channels = channels;
    let (hashes, queried) = (programs.hashes, programs.queried);
    // A channel lacks a side where the step of that side has a mistake.
    let is_whole = values.mistakes.is_empty();
    for mistake in wrong {
        values.mistakes.add(mistake.consequence_if(!is_whole));
    }
    (hashes, queried)
}

/// Name, number of tasks, pace and steps of each group that has a name.
type WrittenGroup<'a> = (&'a Scalar, u32, Pace, Result<&'a Node, SpecError>);

fn read_groups<'a>(scenario: &Fields<'a>, values: &mut CaseValues<'_>) -> Vec<WrittenGroup<'a>> {
    let mut groups: Vec<WrittenGroup<'a>> = Vec::new();
    let clients = scenario.get("load").map_or_else(Vec::new, |load| load::names(load.node));
    let nodes = scenario.items("tasks");
    for node in values.mistakes.keep(nodes).unwrap_or_default() {
        if values.mistakes.is_full() {
            break;
        }
        let known = "name count every repeat steps";
        let fields = Fields::of(node, "tasks", known, &mut values.mistakes);
        let Some(fields) = values.mistakes.keep(fields) else { continue };
        let name = fields.need("name").and_then(|name| name.node.text());
        let (count, pace) = read_pace(&fields, values);
        let Some(name) = values.mistakes.keep(name) else { continue };
        let clients = clients.iter().copied();
        let checked = names::check_group(name, clients.chain(groups.iter().map(|it| it.0)));
        values.mistakes.keep(checked);
        groups.push((name, count, pace, fields.need("steps").map(|steps| steps.node)));
    }
    groups
}

/// How many tasks a group has, and when each begins an operation.
fn read_pace(fields: &Fields<'_>, values: &mut CaseValues<'_>) -> (u32, Pace) {
    let count = values.quantity_if(fields, "count", limits::GROUP_TASKS);
    let every = values.quantity_if(fields, "every", limits::EVERY);
    let times = values.quantity_if(fields, "repeat", limits::TIMES);
    if let (Some(_), Some(repeat)) = (every, fields.get("repeat")) {
        values.mistakes.add(error!(
            repeat.node.at,
            "tasks have either `every` (on a schedule) or `repeat` (a fixed number of times), not both"
        ));
    }
    let every = every.map(|ns| Pace::Every { ns });
    let pace = every.or(times.map(|times| Pace::Repeat { times })).unwrap_or(Pace::BackToBack);
    (count.unwrap_or(1), pace)
}

fn check_parts(scenario: &Fields<'_>) -> Result<(), SpecError> {
    let at = |key| scenario.get(key).map(|field| field.node.at);
    let checked = match (at("server"), at("load")) {
        (Some(server), None) => Err(error!(server, "a server without `load` never gets a request")
            .help("add `load: { connections: 50, send: 64B }`")),
        (None, Some(load)) => Err(error!(load, "there is no `server` for this load")
            .help("add `server: { steps: [echo] }`")),
        (None, None) if scenario.items("tasks")?.is_empty() => Err(error!(
            at("name").unwrap_or(scenario.at),
            "this scenario does nothing: it has neither `server` nor `tasks`"
        )),
        _ => Ok(()),
    };
    checked.map_err(|error| error.consequence_if(scenario.has_unknown))
}

/// What all tasks of a case do with files.
#[derive(Default)]
struct Together {
    reads_files: bool,
    written_bytes: u64,
}

/// The limits that bind several values together.
fn check_together(
    work: &Work,
    scenario: &Fields<'_>,
    values: &CaseValues<'_>,
) -> Result<Together, SpecError> {
    let server = work.server.iter().map(|server| (u64::from(server.connections), server.program));
    let groups = work.groups.iter().map(|group| (u64::from(group.count), group.program));
    let roots: Vec<(u64, usize)> = server.chain(groups).collect();
    let together = |peak: fn(&[Program], usize) -> u64| {
        roots.iter().fold(0_u64, |sum, (count, program)| {
            sum.saturating_add(peak(&work.programs, *program).saturating_mul(*count))
        })
    };
    let tasks = together(peak::tasks);
    if tasks > limits::TASKS {
        let last = scenario.items("tasks")?.last().and_then(|group| group.find("name"));
        let at = last.map_or(scenario.at, |name| name.at);
        let tasks = if tasks == u64::MAX { "far too many".to_owned() } else { grouped(tasks) };
        return Err(error!(
            at,
            "{tasks} tasks could be alive at once{}, spawned ones and branches included; {} are possible",
            values.in_case(),
            grouped(limits::TASKS)
        ));
    }
    let unpooled = |backend: usize| work.backends[backend].pool.is_none();
    let connections = roots.iter().fold(0_u64, |sum, (count, program)| {
        let connecting = peak::connecting(&work.programs, *program, unpooled);
        sum.saturating_add(connecting.saturating_mul(*count))
    });
    if connections > limits::QUERIES {
        let at = scenario.get("backends").map_or(scenario.at, |backends| backends.node.at);
        return Err(error!(
            at,
            "{} connections to backends could be open at once{}; {} are possible",
            grouped(connections),
            values.in_case(),
            grouped(limits::QUERIES)
        )
        .help("use them in fewer tasks, or limit the connections of queries: `pool: 100`"));
    }
    let readers = together(peak::readers);
    let buffers = readers.saturating_mul(work.files.map_or(0, |files| files.bytes));
    if let Some(files) = work.files.filter(|_| buffers > limits::FILES_BYTES) {
        let size = scenario.get("files").and_then(|files| files.node.find("size"));
        return Err(error!(
            size.map_or(scenario.at, |size| size.at),
            "{} tasks that read {} each need {} of memory{}; {} is possible",
            grouped(readers),
            SIZE.written(files.bytes),
            SIZE.written(buffers),
            values.in_case(),
            SIZE.written(limits::FILES_BYTES)
        ));
    }
    let written = together(peak::written_bytes);
    if written > limits::FILES_BYTES {
        return Err(error!(
            scenario.at,
            "files of {} could be written at once{}; {} is possible",
            SIZE.written(written),
            values.in_case(),
            SIZE.written(limits::FILES_BYTES)
        ));
    }
    Ok(Together { reads_files: readers > 0, written_bytes: written })
}
