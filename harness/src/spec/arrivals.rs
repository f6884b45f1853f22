//! `load.rate` and `load.arrivals`: how the requests of an open loop follow each other.
//!
//! Never knows the length of the window that is measured in the end: `--quick` may cut it.

use quadrant_reports::number::grouped;

use super::axes::CaseValues;
use super::error::error;
use super::fields::{Field, Fields};
use super::limits;
use super::quantity::{DURATION, RATE};
use super::yaml::Node;
use crate::driver::arrivals::{Arrivals, Rate};

/// Of a load; `None` is a closed loop. Of no meaning where there are mistakes.
pub(super) fn read(
    load: &Fields<'_>,
    measure_ns: u64,
    values: &mut CaseValues<'_>,
) -> Option<Arrivals> {
    let arrivals = load.get("arrivals");
    if let Some(field) = arrivals
        && field.node.is_map()
    {
        return read_bursts(load, field.node, values);
    }
    let words = [("even", false), ("poisson", true)];
    let is_random = values.one_of(arrivals, words);
    let Some(rate) = load.get("rate") else {
        if let Some(arrivals) = arrivals {
            let error = error!(arrivals.node.at, "`arrivals` without a `rate`");
            values
                .mistakes
                .add(error.help("add a `rate: 2000/s`").consequence_if(load.has_unknown));
        }
        return None;
    };
    let rate = read_rate(load, rate, values).unwrap_or(Rate::constant(limits::LOAD_RATE.least));
    let rate = Rate { over_ns: measure_ns, ..rate };
    Some(if is_random == Some(true) { Arrivals::Poisson(rate) } else { Arrivals::Even(rate) })
}

fn read_rate(load: &Fields<'_>, rate: Field<'_>, values: &mut CaseValues<'_>) -> Option<Rate> {
    if !rate.node.is_map() {
        return Some(Rate::constant(values.quantity(load, "rate", limits::LOAD_RATE)));
    }
    let fields = Fields::of(rate.node, "rate", "from to", &mut values.mistakes);
    let fields = values.mistakes.keep(fields)?;
    let [from, to] = ["from", "to"].map(|key| values.quantity(&fields, key, limits::LOAD_RATE));
    Some(Rate { from, to, over_ns: 0 })
}

fn read_bursts(load: &Fields<'_>, node: &Node, values: &mut CaseValues<'_>) -> Option<Arrivals> {
    if let Some(rate) = load.get("rate") {
        values.mistakes.add(error!(
            rate.node.at,
            "bursts have no `rate`: it follows from `burst` and `every`"
        ));
    }
    let fields = Fields::of(node, "arrivals", "burst every", &mut values.mistakes);
    let fields = values.mistakes.keep(fields)?;
    let count: u32 = values.quantity(&fields, "burst", limits::BURST);
    let every_ns = values.quantity(&fields, "every", limits::BURST_EVERY);
    let bursts = Arrivals::Bursts { count, every_ns };
    if bursts.mean_per_sec() > limits::LOAD_RATE.most as f64 {
        values.mistakes.add(error!(
            node.at,
            "{} requests every {} are more than {}{}",
            grouped(count.into()),
            DURATION.written(every_ns),
            RATE.written(limits::LOAD_RATE.most),
            values.in_case()
        ));
    }
    Some(bursts)
}

/// `2,000/s`, `500/s to 20,000/s, Poisson`, `50 every 20 ms`.
pub(super) fn summarized(arrivals: Arrivals) -> String {
    let rate = |Rate { from, to, .. }| match from == to {
        true => RATE.written(from),
        false => format!("{} to {}", RATE.written(from), RATE.written(to)),
    };
    match arrivals {
        Arrivals::Even(even) => rate(even),
        Arrivals::Poisson(poisson) => format!("{}, Poisson", rate(poisson)),
        Arrivals::Bursts { count, every_ns } => {
            format!("{} every {}", grouped(count.into()), DURATION.written(every_ns))
        }
    }
}
