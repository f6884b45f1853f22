//! One case of a scenario: every value put in and checked, every step list flattened.
//!
//! Never keeps what it reads: the same text is read anew for every case, so there is one way to read it.

use quadrant_reports::number::grouped;
use quadrant_suite::peak;
use quadrant_suite::plan::{Group, Pace, Program, Server};

use super::axes::{Axis, CaseValues};
use super::case::{Case, Files, Load, Work};
use super::draft::Runner;
use super::error::{Place, SpecError, error};
use super::expect::{self, Named};
use super::fields::Fields;
use super::limits;
use super::names;
use super::programs::Programs;
use super::quantity::SIZE;

use super::yaml::{Node, Scalar};
use crate::system::allocator::Allocator;

const KEYS: &str = "name question subjects compare axes workers allocator server tasks load files time stall expect";

/// The name of a server's operation in records.
const OPERATION_OF_A_SERVER: &str = "request";

/// The fields of the scenario itself.
pub(super) fn fields_of(root: &Node) -> Result<Fields<'_>, SpecError> {
    Fields::of(root, "", KEYS)
}

/// The fields of a map in the scenario.
fn fields_in<'a>(
    scenario: &Fields<'a>,
    key: &'static str,
    known: &str,
) -> Result<Option<Fields<'a>>, SpecError> {
    scenario.get(key).map(|field| Fields::of(field.node, key, known)).transpose()
}

pub(super) struct Expanded {
    pub(super) case: Case,
    /// Which axes it took a value of.
    pub(super) used: Vec<bool>,
    pub(super) hashes: Vec<(u64, Place)>,
    pub(super) reads_files: bool,
}

pub(super) fn expand(root: &Node, axes: &[Axis], case: usize) -> Result<Expanded, SpecError> {
    let scenario = fields_of(root)?;
    let mut values = CaseValues::of(axes, case);
    let mut work = read_settings(&scenario, &mut values)?;
    let hashes = add_programs(&mut work, &scenario, &mut values)?;
    check_parts(&scenario)?;
    let reads_files = check_together(&work, &scenario, &values)?;
    if !reads_files {
        work.files = None;
    }
    let connections = scenario.get("load").and_then(|load| load.node.find("connections"));
    let connections = connections.and_then(|connections| connections.text().ok());
    work.summary = work.summarized(connections.is_some_and(|text| text.axis().is_some()));

    let names: Vec<&str> = work.groups.iter().map(|group| group.name.as_str()).collect();
    let (operation, groups) = names.split_at(usize::from(work.server.is_none()));
    let named = Named { rows: &work.rows, groups, operation: operation.first().copied() };
    let mut expectations = Vec::new();
    for node in scenario.items("expect")? {
        expectations.extend(expect::read(node, &mut values, &named)?);
    }
    Ok(Expanded {
        case: Case { values: values.list(), work, expectations },
        used: values.used,
        hashes,
        reads_files,
    })
}

/// Everything but the programs.
fn read_settings(scenario: &Fields<'_>, values: &mut CaseValues<'_>) -> Result<Work, SpecError> {
    let workers = values.quantity_if(scenario, "workers", limits::WORKERS)?;
    let allocator = values.one_of(scenario.get("allocator"), Allocator::ALL)?;
    let compared = [("subjects", false), ("backends", true)];
    let compares_backends = values.one_of(scenario.get("compare"), compared)?;
    let files = fields_in(scenario, "files", "count size cache")?;
    let files = files.map(|files| read_files(&files, values)).transpose()?;
    let load = fields_in(scenario, "load", "connections send rate")?;
    let load = load.map(|load| read_load(&load, values)).transpose()?;
    let time = fields_in(scenario, "time", "warmup measure")?;
    let mut time = |key, limit| match &time {
        None => Ok(None),
        Some(time) => values.quantity_if(time, key, limit),
    };
    let warmup_ns = time("warmup", limits::WARMUP)?;
    let measure_ns = time("measure", limits::MEASURE)?;
    let stall_threshold_ns = values.quantity_if(scenario, "stall", limits::STALL)?;
    Ok(Work {
        workers,
        allocator,
        compares_backends: compares_backends.unwrap_or(false),
        files,
        load,
        warmup_ns: warmup_ns.unwrap_or(limits::WARMUP_DEFAULT_NS),
        measure_ns: measure_ns.unwrap_or(limits::MEASURE_DEFAULT_NS),
        stall_threshold_ns: stall_threshold_ns.unwrap_or(limits::STALL_DEFAULT_NS),
        ..Work::default()
    })
}

fn read_files(fields: &Fields<'_>, values: &mut CaseValues<'_>) -> Result<Files, SpecError> {
    let count: u32 = values.quantity(fields, "count", limits::FILES)?;
    let bytes = values.quantity(fields, "size", limits::FILE_SIZE)?;
    let cold = values.one_of(fields.get("cache"), [("hot", false), ("cold", true)])?;
    let total = u64::from(count).saturating_mul(bytes);
    if total > limits::FILES_BYTES {
        return Err(error!(
            fields.need("size")?.node.at,
            "{} files of {} take {}{}; all together can take {}",
            grouped(count.into()),
            SIZE.written(bytes),
            SIZE.written(total),
            values.in_case(),
            SIZE.written(limits::FILES_BYTES)
        ));
    }
    Ok(Files { count, bytes, cold: cold.unwrap_or(false) })
}

fn read_load(fields: &Fields<'_>, values: &mut CaseValues<'_>) -> Result<Load, SpecError> {
    let connections: u32 = values.quantity(fields, "connections", limits::CONNECTIONS)?;
    let bytes: u64 = values.quantity(fields, "send", limits::MESSAGE)?;
    let rate_per_second = values.quantity_if(fields, "rate", limits::LOAD_RATE)?;
    let in_flight = u64::from(connections) * bytes;
    if in_flight > limits::IN_FLIGHT_BYTES {
        return Err(error!(
            fields.need("send")?.node.at,
            "{} connections with {} each put {} in flight{}; {} is possible",
            grouped(connections.into()),
            SIZE.written(bytes),
            SIZE.written(in_flight),
            values.in_case(),
            SIZE.written(limits::IN_FLIGHT_BYTES)
        ));
    }
    Ok(Load { connections, message_bytes: bytes as usize, rate_per_second })
}

/// The steps of the server and of every group of tasks. Returns the rounds of all hashes.
fn add_programs<'a>(
    work: &mut Work,
    scenario: &Fields<'a>,
    values: &mut CaseValues<'a>,
) -> Result<Vec<(u64, Place)>, SpecError> {
    let mut groups = Vec::new();
    let mut names: Vec<&Scalar> = Vec::new();
    for node in scenario.items("tasks")? {
        let fields = Fields::of(node, "tasks", "name count every repeat steps")?;
        let name = fields.need("name")?.node.text()?;
        check_group_name(name, &names)?;
        names.push(name);
        groups.push((name, read_pace(&fields, values)?, fields.need("steps")?.node));
    }
    let mut programs = Programs::new(values, work.files.map(|files| files.count));
    if let Some(server) = fields_in(scenario, "server", "steps")? {
        let program = programs.add(server.need("steps")?.node, Runner::Connection, server.at)?;
        work.server = work.load.map(|Load { connections, message_bytes, .. }| Server {
            program,
            message_bytes,
            connections,
        });
    }
    for (name, (count, pace), steps) in groups {
        let program = programs.add(steps, Runner::Task, name.at)?;
        work.groups.push(Group { name: name.text.clone(), count, program, pace });
    }
    work.programs = programs.programs;
    work.rows = programs.rows;
    Ok(programs.hashes)
}

fn check_group_name(name: &Scalar, before: &[&Scalar]) -> Result<(), SpecError> {
    names::check(name)?;
    if name.text == OPERATION_OF_A_SERVER {
        return Err(error!(
            name.at,
            "`request` is the name of a server's operation; take another name"
        ));
    }
    if let Some(first) = before.iter().find(|before| before.text == name.text) {
        return Err(error!(
            name.at,
            "the tasks in line {} already have the name `{}`", first.at.line, name.text
        ));
    }
    Ok(())
}

/// How many tasks a group has, and when each begins an operation.
fn read_pace(fields: &Fields<'_>, values: &mut CaseValues<'_>) -> Result<(u32, Pace), SpecError> {
    let count = values.quantity_if(fields, "count", limits::GROUP_TASKS)?;
    let every = values.quantity_if(fields, "every", limits::EVERY)?;
    let pace = match (every, fields.get("repeat")) {
        (Some(_), Some(repeat)) => {
            return Err(error!(
                repeat.node.at,
                "tasks have either `every` (on a schedule) or `repeat` (so many times), not both"
            ));
        }
        (Some(ns), None) => Pace::Every { ns },
        (None, Some(_)) => {
            Pace::Repeat { times: values.quantity(fields, "repeat", limits::TIMES)? }
        }
        (None, None) => Pace::BackToBack,
    };
    Ok((count.unwrap_or(1), pace))
}

fn check_parts(scenario: &Fields<'_>) -> Result<(), SpecError> {
    let at = |key| scenario.get(key).map(|field| field.node.at);
    match (at("server"), at("load")) {
        (Some(server), None) => Err(error!(server, "a server without `load` never gets a request")
            .help("add `load: { connections: 50, send: 64B }`")),
        (None, Some(load)) => Err(error!(load, "there is no `server` for this load")
            .help("add `server: { steps: [echo] }`")),
        (None, None) if scenario.items("tasks")?.is_empty() => Err(error!(
            at("name").unwrap_or(scenario.at),
            "this scenario does nothing: it has neither `server` nor `tasks`"
        )),
        _ => Ok(()),
    }
}

/// The limits that bind several values together. Returns whether any task reads files.
fn check_together(
    work: &Work,
    scenario: &Fields<'_>,
    values: &CaseValues<'_>,
) -> Result<bool, SpecError> {
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
    Ok(readers > 0)
}
