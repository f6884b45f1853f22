//! The backends that `query` and `connect` steps use: how long they take, what they answer, and their
//! pools.
//!
//! Never keeps them apart by their order: a step names one, or there is only one.

use quadrant_suite::plan::Pool;

use super::axes::CaseValues;
use super::case::Backend;
use super::error::{SpecError, error};
use super::fields::{Field, Fields};
use super::limits;
use super::names;
use super::quantity::Limit;
use super::yaml::{Node, Scalar, Value};
use crate::responder::latency::Latency;

const KEYS: &str = "latency answer pool";
/// Until a step queries it, a pool has no row.
pub(super) const NO_ROW: usize = usize::MAX;
/// The name of a backend that stands alone.
const ONLY: &str = "backend";
/// How the quantiles of a latency are written, and their shares in millionths.
const POINTS: [(&str, u32); 11] = [
    ("p0", 0),
    ("p10", 100_000),
    ("p25", 250_000),
    ("p50", 500_000),
    ("p75", 750_000),
    ("p90", 900_000),
    ("p95", 950_000),
    ("p99", 990_000),
    ("p999", 999_000),
    ("p9999", 999_900),
    ("p100", 1_000_000),
];

pub(super) fn read(scenario: &Fields<'_>, values: &mut CaseValues<'_>) -> Vec<Backend> {
    let Some(field) = scenario.get("backends") else { return Vec::new() };
    let Some(entries) = values.mistakes.keep(field.node.map()) else { return Vec::new() };
    if field.node.find("latency").is_some() {
        let only = read_one(ONLY, field.node, values);
        return values.mistakes.keep(only).into_iter().collect();
    }
    if let Some((beyond, _)) = entries.get(limits::BACKENDS) {
        let most = limits::BACKENDS;
        values
            .mistakes
            .add(error!(beyond.at, "there are too many backends; a scenario can have {most}"));
    }
    if entries.is_empty() {
        values.mistakes.add(field.node.unexpected("a backend"));
    }
    let read = |(name, node): &(Scalar, Node)| {
        let backend = names::check(name).and_then(|()| read_one(&name.text, node, values));
        values.mistakes.keep(backend)
    };
    entries.iter().take(limits::BACKENDS).filter_map(read).collect()
}

fn read_one(name: &str, node: &Node, values: &mut CaseValues<'_>) -> Result<Backend, SpecError> {
    let fields = Fields::of(node, "backends", KEYS, &mut values.mistakes)
        .map_err(|error| error.help(format!("write it like `{name}: {{ latency: 10ms }}`")))?;
    let latency = read_latency(fields.need("latency")?, values)?;
    let answer_bytes = values.quantity_if(&fields, "answer", limits::ANSWER);
    let pool = values.quantity_if(&fields, "pool", limits::POOL);
    // Its row is added with the first step that queries it.
    let pool = pool.map(|connections| Pool { connections, wait_row: NO_ROW });
    Ok(Backend {
        name: name.to_owned(),
        latency,
        answer_bytes: answer_bytes.unwrap_or(limits::ANSWER_DEFAULT),
        pool,
    })
}

fn read_latency(field: Field<'_>, values: &mut CaseValues<'_>) -> Result<Latency, SpecError> {
    let limit = limits::BACKEND_LATENCY;
    let entries = match &field.node.value {
        Value::Map(entries) => entries.as_slice(),
        _ => return values.read(field, |text| limit.read(text)).map(Latency::Fixed),
    };
    let known = "uniform exponential quantiles";
    let fields = Fields::of(field.node, "latency", known, &mut values.mistakes)?;
    let [(kind, value)] = entries else {
        return Err(error!(field.node.at, "a latency has one distribution").help(
            "write one of `10ms`, `{ uniform: [5ms, 15ms] }`, `{ exponential: 10ms }`, `{ quantiles: { p50: 5ms, p99: 100ms } }`",
        ));
    };
    match kind.text.as_str() {
        "uniform" => {
            let bounds = value.list()?;
            let [least, most] = bounds else {
                return Err(error!(value.at, "`uniform` has a least and a most latency")
                    .help("write it like `uniform: [5ms, 15ms]`"));
            };
            let least = duration(least, "a bound of `uniform`", limit, values)?;
            let most = duration(most, "a bound of `uniform`", limit, values)?;
            if least > most {
                return Err(error!(
                    value.at,
                    "the first of these is above the second{}",
                    values.in_case()
                ));
            }
            Ok(Latency::Uniform { least, most })
        }
        "exponential" => {
            let mean = fields.need("exponential")?;
            values.read(mean, |text| limit.read(text)).map(Latency::Exponential)
        }
        "quantiles" => {
            let known = POINTS.map(|(key, _)| key).join(" ");
            let points = Fields::of(value, "quantiles", &known, &mut values.mistakes)?;
            let mut read: Vec<(u32, u64)> = Vec::new();
            for (key, share) in POINTS {
                let Some(point) = points.get(key) else { continue };
                let ns = duration(point.node, &point.usage(), limit, values)?;
                if read.last().is_some_and(|(_, before)| *before > ns) {
                    return Err(error!(
                        point.node.at,
                        "`{key}` is below a smaller quantile{}",
                        values.in_case()
                    ));
                }
                read.push((share, ns));
            }
            if read.is_empty() {
                return Err(value.unexpected("a map like `{ p50: 5ms, p99: 100ms }`"));
            }
            Ok(Latency::Quantiles(read))
        }
        // An unknown key is a mistake already.
        _ => Ok(Latency::Fixed(0)),
    }
}

fn duration(
    node: &Node,
    usage: &str,
    limit: Limit,
    values: &mut CaseValues<'_>,
) -> Result<u64, SpecError> {
    let text = node.text()?;
    values.read_text(&text.text, text.at, || usage.to_owned(), |text| limit.read(text))
}
