//! The table of `quadrant drive`: a row for each case, and below it one for each of its groups of
//! clients.
//!
//! Never shows figures of a case with wrong answers or errors: its reason stands beneath.

use quadrant_reports::number;
use quadrant_reports::record::{GroupMetrics, Latency, LoadMetrics};
use quadrant_reports::table::{Cell, Column, Item, Part, Table, Tint};

use super::{Driven, Figures, busy};

pub(super) fn parts(driven: &[Driven]) -> Vec<Part> {
    let mut table = Table::new(&["case"]);
    let headings = [
        ["", "requests"],
        ["", "per s"],
        ["latency", "p50"],
        ["latency", "p99"],
        ["latency", "p99.9"],
        ["latency", "max"],
        ["service", "p99"],
        ["not", "answered"],
        ["driver", "busy"],
    ];
    table.columns = headings.map(|heading| Column::new(heading, [])).into();
    for case in driven {
        match (&case.reason, &case.figures) {
            (None, Some(figures)) => {
                let Figures { requests, load, unended, groups, .. } = figures;
                table.push(case.key(), cells(requests, load, Some(unended.count), busy(figures)));
                for group in groups {
                    let load = group.load.as_ref().unwrap_or(load);
                    let name = format!("{} {}", case.key(), group.name);
                    table.push(name, cells(group, load, None, String::new()));
                }
            }
            (reason, _) => {
                let reason = reason.as_deref().unwrap_or_default();
                table.sentences.push(Item::new(Tint::Bad, case.key(), format!("failed: {reason}")));
            }
        }
        for warning in &case.warnings {
            let text = format!("warning: {warning}");
            table.sentences.push(Item::new(Tint::Doubtful, case.key(), text));
        }
    }
    if table.names.is_empty() {
        table.columns.clear();
        table.sentences_heading = "result".to_owned();
    }
    let address = driven.first().map(|case| format!("server: {}", case.address));
    let address = address.map(|text| Part::Text(Tint::Dim, text));
    [Part::Table(table)].into_iter().chain(address).collect()
}

/// Without what is known of all groups together only, for one of them.
fn cells(
    requests: &GroupMetrics,
    load: &LoadMetrics,
    unended: Option<u64>,
    busy: String,
) -> [Cell; 9] {
    let latency = |ns| Cell::number(number::duration(ns));
    let of: &Latency = &requests.latency_ns;
    let service = load.uncorrected_latency_ns.as_ref();
    [
        Cell::number(number::count(requests.ops)),
        Cell::number(number::rate(requests.ops_per_sec)),
        latency(of.p50),
        latency(of.p99),
        latency(of.p999),
        latency(of.max),
        Cell::maybe(service.map(|service| number::duration(service.p99))),
        unended.map_or_else(Cell::none, Cell::count),
        Cell::number(busy),
    ]
}
