//! One case of a scenario: every value put in and checked, every step list flattened.
//!
//! Never knows the subject; what depends on runtime or machine is added when a plan is made.

use quadrant_suite::peak;
use quadrant_suite::plan::{Group, Pace, Server};

use super::axes::Axes;
use super::document::{self, Document};
use super::draft::Runner;
use super::error::{Place, Problem};
use super::expect::{self, Named};
use super::flatten::Flattener;
use super::limits;
use super::quantity::Kind;
use super::scenario::{Case, Files, Load, Work};
use super::summary;
use super::values::{Values, one_of};
use crate::system::allocator::Allocator;
use quadrant_reports::number::grouped;

pub(super) struct Expanded {
    pub(super) case: Case,
    /// Which axes it took a value of.
    pub(super) used: Vec<bool>,
    pub(super) hashes: Vec<(u64, Place)>,
    pub(super) reads_files: bool,
}

pub(super) fn expand(document: &Document, axes: &Axes, case: usize) -> Result<Expanded, Problem> {
    let mut values = Values::of_case(axes, case);
    let workers = match &document.workers {
        None => None,
        Some(workers) => Some(values.quantity_u32(workers, "`workers`", limits::WORKERS)?),
    };
    let allocator = match &document.allocator {
        None => None,
        Some(allocator) => {
            Some(values.read(allocator, "`allocator`", |text| one_of(text, &Allocator::ALL))?)
        }
    };
    let files = read_files(document, &mut values)?;
    let load = read_load(document, &mut values)?;
    let warmup = document.time.warmup.as_ref();
    let measure = document.time.measure.as_ref();
    let stall = document.stall.as_ref();
    let warmup_ns =
        values.quantity_or(warmup, "`warmup`", limits::WARMUP, limits::WARMUP_DEFAULT_NS)?;
    let measure_ns =
        values.quantity_or(measure, "`measure`", limits::MEASURE, limits::MEASURE_DEFAULT_NS)?;
    let stall_threshold_ns =
        values.quantity_or(stall, "`stall`", limits::STALL, limits::STALL_DEFAULT_NS)?;
    let heads = read_heads(document, &mut values)?;

    let mut flattener = Flattener::new(&mut values, files.as_ref().map(|files| files.count));
    let server = match (&document.server, &load) {
        (Some(server), Some(load)) => Some(Server {
            program: flattener.program(
                &server.value.steps,
                Runner::Connection,
                server.referenced.into(),
            )?,
            message_bytes: load.message_bytes,
            connections: load.connections,
        }),
        _ => None,
    };
    let mut groups = Vec::new();
    for (group, (count, pace)) in document.tasks.iter().zip(heads) {
        let at = group.value.name.at;
        groups.push(Group {
            name: group.value.name.text.clone(),
            count,
            program: flattener.program(&group.value.steps, Runner::Task, at)?,
            pace,
        });
    }
    let Flattener { programs, rows, hashes, .. } = flattener;

    let mut work = Work {
        workers,
        allocator,
        rows,
        programs,
        server,
        groups,
        files,
        load,
        warmup_ns,
        measure_ns,
        stall_threshold_ns,
        summary: String::new(),
    };
    let reads_files = check_together(&work, document, &values)?;
    if !reads_files {
        work.files = None;
    }
    work.summary = summary::of(&work, document);

    let names: Vec<String> = work.groups.iter().map(|group| group.name.clone()).collect();
    let first = if work.server.is_some() { 0 } else { 1 };
    let named = Named {
        rows: &work.rows,
        groups: &names[first..],
        operation: names[..first].first().map(String::as_str),
    };
    let mut expectations = Vec::new();
    for expect in &document.expect {
        expect::read(&expect.value, &mut values, &named, &mut expectations)?;
    }
    Ok(Expanded {
        used: values.used().to_vec(),
        case: Case { values: values.list(), work, expectations },
        hashes,
        reads_files,
    })
}

fn read_files(document: &Document, values: &mut Values<'_>) -> Result<Option<Files>, Problem> {
    let Some(files) = &document.files else {
        return Ok(None);
    };
    let files = &files.value;
    let count = values.quantity_u32(&files.count, "the `count` of `files`", limits::FILES)?;
    let bytes = values.quantity(&files.size, "the `size` of `files`", limits::FILE_SIZE)?;
    let cold = match &files.cache {
        None => false,
        Some(cache) => values.read(cache, "the `cache` of `files`", |text| {
            one_of(text, &[("hot", false), ("cold", true)])
        })?,
    };
    let total = u64::from(count).saturating_mul(bytes);
    if total > limits::FILES_BYTES {
        return Err(Problem::new(
            files.size.at,
            format!(
                "{} files of {} take {}{}; all together can take {}",
                grouped(count.into()),
                Kind::Size.written(bytes),
                Kind::Size.written(total),
                values.in_case(),
                Kind::Size.written(limits::FILES_BYTES),
            ),
        ));
    }
    Ok(Some(Files { count, bytes, cold }))
}

fn read_load(document: &Document, values: &mut Values<'_>) -> Result<Option<Load>, Problem> {
    let Some(load) = &document.load else {
        return Ok(None);
    };
    let load = &load.value;
    let usage = "the `connections` of `load`";
    let connections = values.quantity_u32(&load.connections, usage, limits::CONNECTIONS)?;
    let bytes = values.quantity(&load.send, "the `send` of `load`", limits::MESSAGE)?;
    let rate_per_second = match &load.rate {
        None => None,
        Some(rate) => Some(values.quantity_u32(rate, "the `rate` of `load`", limits::RATE)?),
    };
    let in_flight = u64::from(connections) * bytes;
    if in_flight > limits::IN_FLIGHT_BYTES {
        return Err(Problem::new(
            load.send.at,
            format!(
                "{} connections with {} each put {} in flight{}; {} is possible",
                grouped(connections.into()),
                Kind::Size.written(bytes),
                Kind::Size.written(in_flight),
                values.in_case(),
                Kind::Size.written(limits::IN_FLIGHT_BYTES),
            ),
        ));
    }
    Ok(Some(Load { connections, message_bytes: bytes as usize, rate_per_second }))
}

/// Everything of the groups but their steps.
fn read_heads(document: &Document, values: &mut Values<'_>) -> Result<Vec<(u32, Pace)>, Problem> {
    let groups = document.tasks.iter().map(|group| &group.value);
    groups
        .map(|group: &document::Group| {
            let count = match &group.count {
                None => 1,
                Some(count) => {
                    values.quantity_u32(count, "the `count` of `tasks`", limits::GROUP_TASKS)?
                }
            };
            let pace = match (&group.every, &group.repeat) {
                (Some(every), _) => Pace::Every {
                    ns: values.quantity(every, "the `every` of `tasks`", limits::EVERY)?,
                },
                (None, Some(repeat)) => Pace::Repeat {
                    times: values.quantity(repeat, "the `repeat` of `tasks`", limits::TIMES)?,
                },
                (None, None) => Pace::BackToBack,
            };
            Ok((count, pace))
        })
        .collect()
}

/// The limits that bind several values together. Whether any task reads files.
fn check_together(work: &Work, document: &Document, values: &Values<'_>) -> Result<bool, Problem> {
    let server = work.server.iter().map(|server| (u64::from(server.connections), server.program));
    let groups = work.groups.iter().map(|group| (u64::from(group.count), group.program));
    let roots: Vec<(u64, usize)> = server.chain(groups).collect();
    let together = |peak: fn(&[quadrant_suite::plan::Program], usize) -> u64| {
        roots.iter().fold(0_u64, |sum, (count, program)| {
            sum.saturating_add(peak(&work.programs, *program).saturating_mul(*count))
        })
    };
    let at = document.tasks.last().map_or_else(|| document.name.at, |group| group.value.name.at);
    let tasks = together(peak::tasks);
    if tasks > limits::TASKS {
        let tasks = if tasks == u64::MAX { "far too many".to_owned() } else { grouped(tasks) };
        return Err(Problem::new(
            at,
            format!(
                "{tasks} tasks could be alive at once{}, spawned ones and branches included; {} are possible",
                values.in_case(),
                grouped(limits::TASKS),
            ),
        ));
    }
    let readers = together(peak::readers);
    if let (Some(files), Some(wire)) = (&work.files, &document.files) {
        let buffers = readers.saturating_mul(files.bytes);
        if buffers > limits::FILES_BYTES {
            return Err(Problem::new(
                wire.value.size.at,
                format!(
                    "{} tasks that read {} each need {} of memory{}; {} is possible",
                    grouped(readers),
                    Kind::Size.written(files.bytes),
                    Kind::Size.written(buffers),
                    values.in_case(),
                    Kind::Size.written(limits::FILES_BYTES),
                ),
            ));
        }
    }
    Ok(readers > 0)
}
