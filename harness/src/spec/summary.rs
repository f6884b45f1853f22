//! A case's workload in a few words, for the heading of its tables: `64 B, closed loop`.
//!
//! Never repeats what an axis says; the heading names the axes' values beside it.

use quadrant_suite::plan::{Group, Pace};

use super::document::Document;
use super::quantity::Kind;
use super::scenario::{Files, Load, Work};
use quadrant_reports::number::{counted, grouped};

/// More groups than this are counted, not listed.
const GROUPS_LISTED: usize = 3;

pub(super) fn of(work: &Work, document: &Document) -> String {
    let mut parts = Vec::new();
    if let (Some(load), Some(wire)) = (&work.load, &document.load) {
        parts.push(of_load(load, wire.value.connections.axis().is_some()));
    }
    match work.groups.as_slice() {
        [] => {}
        [group] if work.server.is_none() => parts.push(of_group(group)),
        groups if groups.len() <= GROUPS_LISTED => {
            let listed = groups.iter();
            parts.extend(listed.map(|group| format!("{}: {}", group.name, of_group(group))));
        }
        groups => parts.push(format!("{} groups of tasks", groups.len())),
    }
    if let Some(files) = &work.files {
        parts.push(of_files(files));
    }
    parts.join("; ")
}

fn of_load(load: &Load, connections_vary: bool) -> String {
    let mut text = String::new();
    if !connections_vary {
        text = counted(load.connections.into(), "connection") + ", ";
    }
    text += &Kind::Size.written(load.message_bytes as u64);
    match load.rate_per_second {
        None => text + ", closed loop",
        Some(rate) => format!("{text}, {}", Kind::Rate.written(rate.into())),
    }
}

fn of_group(group: &Group) -> String {
    let tasks = counted(group.count.into(), "task");
    match group.pace {
        Pace::BackToBack => format!("{tasks}, back to back"),
        Pace::Every { ns } => format!("{tasks} every {}", Kind::Duration.written(ns)),
        Pace::Repeat { times: 1 } => format!("{tasks}, once"),
        Pace::Repeat { times } => format!("{tasks}, {} times each", grouped(times)),
    }
}

fn of_files(files: &Files) -> String {
    let cache = if files.cold { "cold" } else { "hot" };
    let count = counted(files.count.into(), "file");
    format!("{count} of {}, {cache}", Kind::Size.written(files.bytes))
}
