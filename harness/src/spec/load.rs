//! `load:`: the groups of clients, each with its figures, or a single one without a name.
//!
//! Never looks at the server: the one mistake between the two is found with the scenario.

use quadrant_reports::number::grouped;
use quadrant_suite::plan::LENGTH_BYTES;

use super::arrivals;
use super::axes::CaseValues;
use super::error::error;
use super::fields::Fields;
use super::limits;
use super::names;
use super::quantity::SIZE;
use super::yaml::{Node, Scalar, Value};
use crate::driver::order::{ClientGroup, Habits, Parts, Size, connections, need_lengths};

/// A group has a `name` besides.
const KEYS: &str = "connections send rate arrivals fragments read think pipeline requests";
/// Keys of which a group has one at most, with the reason.
const EITHER: [(&str, &str, &str); 6] = [
    ("rate", "think", OPEN_LOOP),
    ("rate", "pipeline", ONE_AT_A_TIME),
    ("arrivals", "think", OPEN_LOOP),
    ("arrivals", "pipeline", ONE_AT_A_TIME),
    ("think", "pipeline", "a client that thinks about an answer has one request in flight"),
    ("requests", "pipeline", "a connection that is closed after an answer has one in flight"),
];
const OPEN_LOOP: &str = "on a schedule a request does not wait for the answer before it";
const ONE_AT_A_TIME: &str = "on a schedule a connection has one request in flight";

/// A map, or a list of maps with names.
pub(super) fn read(node: &Node, measure_ns: u64, values: &mut CaseValues<'_>) -> Vec<ClientGroup> {
    let mut groups = Vec::new();
    match &node.value {
        Value::List(nodes) => {
            let mut before = Vec::new();
            for node in nodes {
                groups.extend(read_group(node, true, measure_ns, values));
                let Some(name) = name(node) else { continue };
                let checked = names::check_group(name, before.iter().copied());
                values.mistakes.keep(checked);
                before.push(name);
            }
            if nodes.is_empty() {
                values.mistakes.add(error!(node.at, "`load` has no groups: the list is empty"));
            }
            if let Some(node) = nodes.get(limits::CLIENT_GROUPS) {
                let most = limits::CLIENT_GROUPS;
                values
                    .mistakes
                    .add(error!(node.at, "a load can have {most} groups, and this is one more"));
            }
        }
        _ => groups.extend(read_group(node, false, measure_ns, values)),
    }
    check_together(node, &groups, values);
    groups
}

/// The names of its groups, where it has several.
pub(super) fn names(node: &Node) -> Vec<&Scalar> {
    let Value::List(groups) = &node.value else { return Vec::new() };
    groups.iter().filter_map(name).collect()
}

fn name(group: &Node) -> Option<&Scalar> {
    group.find("name")?.text().ok()
}

fn read_group(
    node: &Node,
    is_named: bool,
    measure_ns: u64,
    values: &mut CaseValues<'_>,
) -> Option<ClientGroup> {
    let known = if is_named { format!("name {KEYS}") } else { KEYS.to_owned() };
    let fields = Fields::of(node, "load", &known, &mut values.mistakes);
    let fields = values.mistakes.keep(fields)?;
    let name = if is_named {
        let name = fields.need("name").and_then(|name| name.node.text());
        values.mistakes.keep(name)?.text.clone()
    } else {
        String::new()
    };
    let connections = values.quantity(&fields, "connections", limits::CONNECTIONS);
    let sizes = read_sizes(&fields, values);
    let message_bytes = match &sizes {
        // Of no meaning where the list is empty, which is a mistake.
        Some(sizes) => sizes.iter().map(|size| size.bytes).max().unwrap_or(LENGTH_BYTES),
        None => values.quantity::<u64>(&fields, "send", limits::MESSAGE) as usize,
    };
    for (one, other, why) in EITHER {
        if let Some(second) = fields.get(other).filter(|_| fields.get(one).is_some()) {
            let at = second.node.at;
            values.mistakes.add(error!(at, "`{one}` and `{other}` exclude each other: {why}"));
        }
    }
    Some(ClientGroup {
        name,
        connections,
        message_bytes,
        sizes: sizes.unwrap_or_default(),
        arrivals: arrivals::read(&fields, measure_ns, values),
        habits: Habits {
            fragments: read_parts(&fields, "fragments", values),
            read: read_parts(&fields, "read", values),
            think_ns: values.quantity_if(&fields, "think", limits::PAUSE),
            pipeline: values.quantity_if(&fields, "pipeline", limits::PIPELINE),
            requests: values.quantity_if(&fields, "requests", limits::TIMES),
        },
    })
}

/// The sizes of a list; `None` where `send` is a single size.
fn read_sizes(fields: &Fields<'_>, values: &mut CaseValues<'_>) -> Option<Vec<Size>> {
    let send = fields.get("send")?;
    let Value::List(nodes) = &send.node.value else { return None };
    let mut sizes = Vec::new();
    if nodes.is_empty() {
        values.mistakes.add(error!(send.node.at, "`send` has no sizes: the list is empty"));
    }
    if let Some(node) = nodes.get(limits::SIZES) {
        let most = limits::SIZES;
        values.mistakes.add(error!(node.at, "`send` can have {most} sizes, and this is one more"));
    }
    for node in nodes {
        let of_size = Fields::of(node, "send", "size weight", &mut values.mistakes);
        let Some(of_size) = values.mistakes.keep(of_size) else { continue };
        let bytes: u64 = values.quantity(&of_size, "size", limits::MESSAGE);
        let weight = values.quantity_if(&of_size, "weight", limits::WEIGHT);
        sizes.push(Size { bytes: bytes as usize, weight: weight.unwrap_or(1) });
    }
    Some(sizes)
}

fn read_parts(
    fields: &Fields<'_>,
    key: &'static str,
    values: &mut CaseValues<'_>,
) -> Option<Parts> {
    let parts = Fields::of(fields.get(key)?.node, key, "of pause", &mut values.mistakes);
    let parts = values.mistakes.keep(parts)?;
    let bytes: u64 = values.quantity(&parts, "of", limits::MESSAGE);
    let pause_ns = values.quantity(&parts, "pause", limits::PAUSE);
    Some(Parts { bytes: bytes as usize, pause_ns })
}

/// The limits that bind all groups together.
fn check_together(node: &Node, groups: &[ClientGroup], values: &mut CaseValues<'_>) {
    let all = connections(groups);
    if u64::from(all) > limits::CONNECTIONS.most {
        values.mistakes.add(error!(
            node.at,
            "the groups have {} connections{}; {} together are possible",
            grouped(all.into()),
            values.in_case(),
            grouped(limits::CONNECTIONS.most)
        ));
    }
    let sizes = groups.iter().flat_map(|group| {
        let sizes = group.sizes.iter().map(|size| size.bytes);
        sizes.chain(group.sizes.is_empty().then_some(group.message_bytes))
    });
    let least = sizes.min().unwrap_or(LENGTH_BYTES);
    if need_lengths(groups) && least < LENGTH_BYTES {
        let [least, length] = [least, LENGTH_BYTES].map(|bytes| SIZE.written(bytes as u64));
        let error = error!(node.at, "a request of {least} is too small{}", values.in_case());
        values.mistakes.add(error.help(format!(
            "where sizes differ or requests are pipelined, each begins with its length, of {length}"
        )));
    }
    let bytes = |group: &ClientGroup| {
        u64::from(group.connections)
            * u64::from(group.habits.pipeline.unwrap_or(1))
            * group.message_bytes as u64
    };
    let in_flight: u64 = groups.iter().map(bytes).sum();
    if in_flight <= limits::IN_FLIGHT_BYTES {
        return;
    }
    let what = match groups {
        [group] if group.is_plain() => format!(
            "{} connections with {} each put",
            grouped(group.connections.into()),
            SIZE.written(group.message_bytes as u64)
        ),
        _ => "the requests of all connections put".to_owned(),
    };
    let send = node.find("send").map_or(node.at, |send| send.at);
    values.mistakes.add(error!(
        send,
        "{what} {} in flight{}; {} is possible",
        SIZE.written(in_flight),
        values.in_case(),
        SIZE.written(limits::IN_FLIGHT_BYTES)
    ));
}
