//! The table of `quadrant drive`: a row for each case.
//!
//! Never shows figures of a case with wrong answers or errors: its reason stands beneath.

use quadrant_reports::number;
use quadrant_reports::record::Latency;
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
            (None, Some(figures)) => table.push(case.key(), cells(figures)),
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

fn cells(figures: &Figures) -> [Cell; 9] {
    let latency = |ns| Cell::number(number::duration(ns));
    let of: &Latency = &figures.requests.latency_ns;
    let service = figures.load.uncorrected_latency_ns.as_ref();
    [
        Cell::number(number::count(figures.requests.ops)),
        Cell::number(number::rate(figures.requests.ops_per_sec)),
        latency(of.p50),
        latency(of.p99),
        latency(of.p999),
        latency(of.max),
        Cell::maybe(service.map(|service| number::duration(service.p99))),
        Cell::count(figures.unended.count),
        Cell::number(busy(figures)),
    ]
}
