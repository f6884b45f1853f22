//! A duel as parts of a report: a table for each scenario case, and what its words mean.
//!
//! Never decides about a verdict.

use super::{
    Conclusion, Decisive, DuelCase, NoResult, Ratio, Verdict, Warning, conclusion, ratio, turns_of,
};
use crate::case_table::table_of;
use crate::figures::status_tint;
use crate::number::{self, counted};
use crate::prose::{clean, per_second};
use crate::record::turns::{Start, Turn};
use crate::remarks::warning;
use crate::table::{Cell, Column, Heading, Item, Part, Table, Tint};

pub(super) fn parts(cases: &[DuelCase], concern: f64) -> Vec<Part> {
    let mut parts: Vec<Part> = cases.iter().flat_map(|case| case_parts(case, concern)).collect();
    parts.push(Part::Text(Tint::Dim, explanation(cases, concern)));
    parts
}

fn case_parts(duel: &DuelCase, concern: f64) -> Vec<Part> {
    let starts = duel.result.as_ref().map(Vec::as_slice).unwrap_or_default();
    let heading = Heading {
        title: clean(&duel.scenario),
        labels: duel.case.iter().map(|axis| clean(&axis.to_string())).collect(),
        facts: vec![workload(duel, starts)],
        text: clean(&duel.question),
    };
    let table = match &duel.result {
        Ok(starts) => Table {
            names: duel.subjects.iter().map(|id| clean(id)).collect(),
            columns: columns(duel, starts, concern),
            ..table_of(std::iter::empty())
        },
        Err(NoResult { subject, status, reason }) => {
            let id = subject.clone().unwrap_or_else(|| duel.subjects.join(", "));
            table_of([Item::new(status_tint(*status), clean(&id), clean(reason))].into_iter())
        }
    };
    let mut parts = vec![Part::Heading(heading), Part::Table(table)];
    if !duel.warnings.is_empty() {
        let item = |Warning { subject, text }: &Warning| {
            warning(subject.as_deref().unwrap_or("all"), text)
        };
        parts.push(Part::List(duel.warnings.iter().map(item).collect()));
    }
    parts
}

/// `64 B, closed loop, 5 starts of 11 rounds`.
fn workload(duel: &DuelCase, starts: &[Start]) -> String {
    let workload = clean(&duel.workload);
    if starts.is_empty() {
        return workload;
    }
    let rounds: usize = starts.iter().map(|start| start.first().map_or(0, Vec::len)).sum();
    let measured =
        format!("{} in {}", counted(rounds as u64, "round"), counted(starts.len() as u64, "start"));
    if workload.is_empty() { measured } else { format!("{workload}, {measured}") }
}

fn columns(duel: &DuelCase, starts: &[Start], concern: f64) -> Vec<Column> {
    let operation = clean(&duel.operation);
    let mut columns = Vec::new();
    let mut add = |heading: [&str; 2], cell: &dyn Fn(usize) -> Cell| {
        let cells = (0..duel.subjects.len()).map(cell).collect();
        columns.push(Column { heading: heading.map(str::to_owned), cells });
    };
    let all = |side: usize| turns_of(starts, side);
    let against = ["against the first", "ratio (99 %)"];
    // The first one is what the others are compared with.
    let throughput = |side: usize| ratio(starts, side, Turn::ops_per_sec).filter(|_| side > 0);
    let cpu = |side: usize| ratio(starts, side, Turn::cpu_ns_per_op).filter(|_| side > 0);
    add([&per_second(&operation), "in its turns"], &|side| {
        Cell::number(number::rate(all(side).ops_per_sec()))
    });
    add(against, &|side| with_interval(throughput(side)));
    add(["", "verdict"], &|side| {
        verdict(throughput(side), concern, [("faster", Tint::Good), ("slower", Tint::Bad)])
    });
    add(["CPU per", &operation], &|side| {
        Cell::number(number::duration(all(side).cpu_ns_per_op() as u64))
    });
    add(against, &|side| with_interval(cpu(side)));
    add(["", "verdict"], &|side| {
        verdict(cpu(side), concern, [("more", Tint::Bad), ("less", Tint::Good)])
    });
    add(["", "altogether"], &|side| {
        concluded(conclusion(starts, side, concern).filter(|_| side > 0))
    });
    columns
}

fn concluded(conclusion: Option<Conclusion>) -> Cell {
    let (words, tint) = match conclusion {
        None => return Cell::default(),
        Some(Conclusion::Same) => ("same", Tint::Good),
        Some(Conclusion::CannotTell) => ("cannot tell", Tint::Plain),
        Some(Conclusion::Ahead { by: Decisive::Throughput }) => ("ahead", Tint::Good),
        Some(Conclusion::Behind { by: Decisive::Throughput }) => ("behind", Tint::Bad),
        Some(Conclusion::Ahead { by: Decisive::CpuPerOp }) => ("ahead by CPU", Tint::Good),
        Some(Conclusion::Behind { by: Decisive::CpuPerOp }) => ("behind by CPU", Tint::Bad),
    };
    Cell::words(words).tinted(tint)
}

fn with_interval(ratio: Option<Ratio>) -> Cell {
    Cell::fine_ratio(ratio.map(|ratio| ratio.value), ratio.map(|ratio| ratio.interval))
}

fn verdict(ratio: Option<Ratio>, concern: f64, [more, less]: [(&str, Tint); 2]) -> Cell {
    let Some(ratio) = ratio else { return Cell::default() };
    let (word, tint) = match ratio.verdict(concern) {
        Verdict::More => more,
        Verdict::Less => less,
        Verdict::Same => ("same", Tint::Good),
        Verdict::CannotTell => ("cannot tell", Tint::Plain),
    };
    Cell::words(word).tinted(tint)
}

fn explanation(cases: &[DuelCase], concern: f64) -> String {
    let first = cases.first().and_then(|case| case.subjects.first());
    let Some(first) = first.map(|id| clean(id)) else { return String::new() };
    let concern = number::short_percent(concern);
    format!(
        "ratios are to {first}. faster, slower (more, less CPU): all of the 99 % interval lies to one \
         side of 1. same: it lies within {concern} of 1. cannot tell: anything else; more time would \
         tell (--time). altogether: by throughput; by CPU time per operation where throughput cannot \
         tell, or where the load driver was busy for 90 % of the time. One subject ran at a time and the others were frozen, in turns; latencies, \
         stalls and threads are for `quadrant run`."
    )
}
