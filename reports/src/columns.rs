//! The columns of a case's table: what each is called, and what its cells hold.
//!
//! Never decides which subjects have a row, nor in which order they stand.

use std::collections::BTreeSet;

use quadrant_suite::histogram::Histogram;

use crate::figures::{Alone, Cell, Figures, Rate};
use crate::number;
use crate::prose::{clean, per_second};
use crate::ranking::{Compared, Standing, with_range};
use crate::series::Figure;
use crate::table::{self, Column, Tint};
use crate::terminal::Block;
use crate::view::{BY_IMPORTANCE, RANGES, WANTED};

/// A subject that has figures, and how it stands to the best.
pub(crate) struct Row<'a> {
    pub cell: &'a Cell<'a>,
    pub figures: &'a Figures,
    pub compared: Option<Compared>,
}

/// What the rows of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows<'a> {
    /// The subjects of one case.
    Subjects,
    /// The cases of one subject, by their values of this axis.
    Values(&'a str),
}

impl Rows<'_> {
    /// How a row is called beneath the heading: `64` for `connections=64`.
    pub(crate) fn name<'i>(&self, id: &'i str) -> &'i str {
        match self {
            Rows::Subjects => id,
            Rows::Values(axis) => {
                let value = id.strip_prefix(axis).and_then(|rest| rest.strip_prefix('='));
                value.unwrap_or(id)
            }
        }
    }
}

/// About what the kernel needs for a page fault.
const PAGE_FAULT_NS: f64 = 250.0;
/// Page faults that cost less than this share of the CPU time of an operation are not shown.
const PAGE_FAULTS_SHARE_MIN: f64 = 0.02;

/// Every column that these figures can fill, with its name; `thresholds_ns` are those of
/// stalls, and `by` decides the order.
pub(crate) fn columns(
    operation: &str,
    thresholds_ns: &[u64],
    by: Figure,
    rows: &[Row],
    are: Rows,
) -> Vec<(&'static str, Column)> {
    let operation = clean(operation);
    let mut columns = Vec::new();
    let mut add = |name, heading: [&str; 2], cell: &dyn Fn(&Row) -> table::Cell| {
        columns.push((name, Column::new(heading, rows.iter().map(cell))));
    };
    let per_second = per_second(&operation);
    let is_in_turns = rows.iter().any(|row| row.figures.is_in_turns);
    let how = if is_in_turns { "in turns" } else { "median" };
    add("rate", [&per_second, how], &|row| {
        let mut cell = throughput(row.figures.rate);
        if is_in_turns && !row.figures.is_in_turns {
            cell.rest.push_str(" alone");
        }
        cell
    });
    if rows.iter().any(|row| row.compared.is_some() || row.figures.starving().is_some()) {
        let heading = match by {
            Figure::Throughput => format!("by {per_second}"),
            Figure::Cpu => format!("by CPU per {operation}"),
            Figure::P99 => "by p99".to_owned(),
        };
        let heading = match are {
            Rows::Subjects => ["against the best", &heading],
            Rows::Values(_) => ["against the best row", &format!("{heading}, alone")],
        };
        add("best", heading, &|row| standing(row, by, are));
    }
    if rows.iter().filter_map(|row| row.compared).any(|compared| !besides(compared).is_empty()) {
        add("besides", ["besides", ""], &|row| {
            table::Cell::words(row.compared.map_or_else(String::new, besides))
        });
    }
    let alone = |row: &Row, cell: &dyn Fn(&Alone) -> table::Cell| {
        row.figures.alone.as_ref().map_or_else(table::Cell::none, cell)
    };
    for (point, share) in [("p50", 0.5), ("p99", 0.99)] {
        add(point, ["latency", point], &|row| {
            alone(row, &|figures| quantile(Some(&figures.latency), share))
        });
    }
    add("in-flight", ["in flight", "peak (mean)"], &|row| alone(row, &in_flight));
    if rows.iter().any(|row| row.cell.workers_asked().is_some()) {
        add("workers", ["workers", "(asked)"], &|row| workers(row.cell));
    }
    add("threads", ["threads", "peak (loops)"], &|row| alone(row, &threads));
    let stall_heading = match thresholds_ns {
        [one] => format!("stalls ≥ {}", number::round_duration(*one)),
        _ => "stalls".to_owned(),
    };
    add("stalls", [&stall_heading, "count, longest"], &|row| alone(row, &stalls));
    let all_alone = || rows.iter().filter_map(|row| row.figures.alone.as_ref());
    if all_alone().any(|figures| figures.impact.is_some()) {
        add("ping", ["ping", "p99"], &|row| {
            alone(row, &|figures| quantile(figures.impact.as_ref(), 0.99))
        });
    }
    let groups: BTreeSet<&String> = all_alone().flat_map(|figures| figures.groups.keys()).collect();
    for name in groups {
        add("others", [&format!("{}/s", clean(name)), "median"], &|row| {
            alone(row, &|figures| {
                figures.groups.get(name).copied().map_or_else(table::Cell::none, throughput)
            })
        });
        if all_alone().any(|figures| figures.clients.contains_key(name)) {
            for (point, share) in [("p50", 0.5), ("p99", 0.99)] {
                add("others", [&clean(name), point], &|row| {
                    alone(row, &|figures| quantile(figures.clients.get(name), share))
                });
            }
        }
    }
    add("cpu", ["CPU per", &operation], &|row| {
        table::Cell::maybe(row.figures.cpu_ns_per_op.map(number::duration))
    });
    let page_faults = |row: &Row| row.figures.page_faults_per_op;
    let matters = |row: &Row| {
        let cost_ns = page_faults(row).unwrap_or_default() * PAGE_FAULT_NS;
        cost_ns > PAGE_FAULTS_SHARE_MIN * row.figures.cpu_ns_per_op.unwrap_or_default() as f64
    };
    if rows.iter().any(matters) {
        add("page-faults", ["page faults", "per op"], &|row| {
            table::Cell::maybe(page_faults(row).map(number::mean_count))
        });
    }
    add("memory", ["memory", "peak"], &|row| {
        alone(row, &|figures| table::Cell::number(number::bytes(figures.rss_peak_bytes)))
    });
    type Latencies = fn(&Alone) -> Option<&Histogram>;
    let of_clients: [(&str, Latencies); 2] = [
        ("connect", |figures| figures.connect.as_ref()),
        ("first answer", |figures| figures.first_answer.as_ref()),
    ];
    for (heading, histogram) in of_clients {
        if all_alone().any(|figures| histogram(figures).is_some()) {
            for (point, share) in [("p50", 0.5), ("p99", 0.99)] {
                add("others", [heading, point], &|row| {
                    alone(row, &|figures| quantile(histogram(figures), share))
                });
            }
        }
    }
    if all_alone().any(|figures| figures.all_accepted_ns.is_some()) {
        add("others", ["all accepted", "after"], &|row| {
            alone(row, &|figures| table::Cell::maybe(figures.all_accepted_ns.map(number::duration)))
        });
    }
    if all_alone().any(|figures| figures.rss_per_connection.is_some()) {
        add("others", ["memory per", "connection"], &|row| {
            alone(row, &|figures| table::Cell::maybe(figures.rss_per_connection.map(number::bytes)))
        });
    }
    if all_alone().any(|figures| figures.evidence.is_some()) {
        add("syscalls", ["syscalls", "per op"], &|row| alone(row, &syscalls));
        add("backend", ["backend", "seen"], &|row| {
            row.figures.alone.as_ref().map_or_else(words_none, backend_seen)
        });
    }
    let steps: BTreeSet<&String> = all_alone().flat_map(|figures| figures.steps.keys()).collect();
    for name in steps {
        let heading = format!("step {}", clean(name));
        for (point, share) in [("p50", 0.5), ("p99", 0.99)] {
            add("steps", [&heading, point], &|row| {
                alone(row, &|figures| quantile(figures.steps.get(name), share))
            });
        }
        if all_alone().any(|figures| figures.cancelled.contains_key(name)) {
            add("steps", [&heading, "cancelled"], &|row| {
                alone(row, &|figures| cancelled(figures, name))
            });
        }
    }
    columns
}

/// Puts the rows into the order of one column: the most first for rates and operations in flight,
/// else the least; rows without a figure last.
pub(crate) fn sort(rows: &mut [Row], by: &str) {
    let value = |row: &Row| -> Option<f64> {
        let alone = row.figures.alone.as_ref();
        let quantile = |share| {
            let latency = alone.map(|alone| &alone.latency).filter(|it| !it.is_empty());
            latency.map(|latency| latency.quantile(share) as f64)
        };
        match by {
            "rate" => Some(-row.figures.rate.per_sec),
            "p50" => quantile(0.5),
            "p99" => quantile(0.99),
            "in-flight" => alone.map(|alone| -(alone.in_flight_peak as f64)),
            "threads" => alone.map(|alone| alone.threads_peak as f64),
            "stalls" => alone.map(|alone| alone.stalls as f64),
            "ping" => alone?.impact.as_ref().map(|impact| impact.quantile(0.99) as f64),
            "cpu" => row.figures.cpu_ns_per_op.map(|ns| ns as f64),
            "page-faults" => row.figures.page_faults_per_op,
            "memory" => alone.map(|alone| alone.rss_peak_bytes as f64),
            "syscalls" => alone?.evidence.as_ref()?.syscalls_per_op(),
            // Rows come with the best first.
            _ => None,
        }
    };
    match by {
        "subject" => rows.sort_by(|a, b| a.cell.subject.id.cmp(&b.cell.subject.id)),
        _ => rows.sort_by(|a, b| {
            let [a, b] = [a, b].map(|row| value(row).unwrap_or(f64::INFINITY));
            a.total_cmp(&b)
        }),
    }
}

/// The columns that were chosen, in that order; where none are, as many as fit into one block, the
/// most important first. If that is too few of them, all are made narrow. The names of those that
/// do not fit are added to `left_out`.
pub(crate) fn choose(
    mut columns: Vec<(&'static str, Column)>,
    chosen: &[&'static str],
    block: Block,
    left_out: &mut BTreeSet<&'static str>,
) -> Vec<(&'static str, Column)> {
    if !chosen.is_empty() {
        let place = |name: &str| chosen.iter().position(|chosen| *chosen == name);
        columns.retain(|(name, _)| place(name).is_some());
        columns.sort_by_key(|(name, _)| place(name));
        return columns;
    }
    let mut kept = that_fit(&columns, block);
    let is_kept = |name: &str, kept: &BTreeSet<usize>| {
        let mut of_it = columns.iter().enumerate().filter(|(_, (known, _))| *known == name);
        of_it.all(|(index, _)| kept.contains(&index))
    };
    if !BY_IMPORTANCE[..WANTED].iter().all(|name| is_kept(name, &kept)) {
        left_out.insert(RANGES);
        columns.iter_mut().for_each(|(name, column)| make_narrow(name, column));
        kept = that_fit(&columns, block);
    }
    let mut index = 0..;
    columns.retain(|(name, _)| {
        let is_kept = index.next().is_some_and(|index| kept.contains(&index));
        if !is_kept {
            left_out.insert(name);
        }
        is_kept
    });
    columns
}

fn that_fit(columns: &[(&'static str, Column)], mut block: Block) -> BTreeSet<usize> {
    let rank = |name: &str| BY_IMPORTANCE.iter().position(|known| *known == name);
    let mut ranked: Vec<usize> = (0..columns.len()).collect();
    ranked.sort_by_key(|index| rank(columns[*index].0));
    ranked.into_iter().filter(|index| block.takes(&columns[*index].1)).collect()
}

/// Leaves out the ranges, and what stands in brackets behind a figure.
fn make_narrow(name: &str, column: &mut Column) {
    let figure = |text: &str| {
        let end = [" (", " ±", ", "].iter().filter_map(|mark| text.find(mark)).min();
        text[..end.unwrap_or(text.len())].to_owned()
    };
    for cell in &mut column.cells {
        cell.rest = figure(&cell.rest);
    }
    let [first, second] = &mut column.heading;
    match name {
        "best" => {
            *second = first.replacen("against ", "", 1);
            "against".clone_into(first);
        }
        "stalls" => {
            let threshold = first.split_off(first.find('≥').unwrap_or(first.len()));
            *second = threshold.replacen(' ', "", 1);
            first.truncate(first.trim_end().len());
        }
        _ => *second = figure(second),
    }
}

/// In a column of words.
fn words_none() -> table::Cell {
    table::Cell::words(number::NONE)
}

fn throughput(Rate { per_sec, spread }: Rate) -> table::Cell {
    let spread = spread.map(|spread| format!(" {}", number::plus_minus(spread)));
    table::Cell::number(number::rate(per_sec)).with(spread.unwrap_or_default())
}

fn standing(row: &Row, by: Figure, are: Rows) -> table::Cell {
    if let Some((served, connections)) = row.figures.starving() {
        let (served, all) = (number::count(served), number::count(connections));
        return table::Cell::words(format!("served {served} of {all}")).tinted(Tint::Bad);
    }
    let Some(compared) = row.compared else { return words_none() };
    let doubt = if compared.effect.interval().is_none() { "~" } else { "" };
    let text = match compared.standing {
        Standing::Best => format!("{doubt}best"),
        Standing::JointBest => format!("{doubt}joint best"),
        Standing::Same => match compared.effect.below() {
            Some(below) => format!("same (< {})", number::percent_above(below)),
            None => format!("{doubt}same"),
        },
        Standing::MayBeBest if are == Rows::Subjects => {
            format!("may be best, {}", with_range(compared.effect))
        }
        Standing::MayBeBest => format!("cannot tell, {}", with_range(compared.effect)),
        Standing::Behind if compared.by != by => {
            let what = if compared.by == Figure::Cpu { "CPU" } else { "rate" };
            format!("{} in {what}", with_range(compared.effect))
        }
        Standing::Behind => with_range(compared.effect),
        Standing::Reference => format!("reference, {}", with_range(compared.effect)),
    };
    let tint = match compared.standing {
        Standing::MayBeBest if are != Rows::Subjects => Tint::Doubtful,
        standing if standing.is_leading() => Tint::Good,
        _ => Tint::Plain,
    };
    table::Cell::words(text).tinted(tint)
}

/// What a ratio and its range do not show.
fn besides(compared: Compared) -> String {
    let cpu = compared.cpu.map(|cpu| {
        let (percent, more) = number::more_or_less(cpu.ratio());
        format!("{percent} {more} CPU")
    });
    let speeds = compared.speeds.map(|[low, high]| {
        format!("two speeds: {} and {}", number::ratio(low), number::ratio(high))
    });
    [cpu, speeds].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn quantile(histogram: Option<&Histogram>, share: f64) -> table::Cell {
    let filled = histogram.filter(|histogram| !histogram.is_empty());
    table::Cell::maybe(filled.map(|histogram| number::duration(histogram.quantile(share))))
}

fn in_flight(figures: &Alone) -> table::Cell {
    // Connections without an answer have nothing in flight, however many there are.
    if figures.in_flight_peak == 0 {
        return table::Cell::none();
    }
    let peak = table::Cell::number(number::count(figures.in_flight_peak));
    match figures.in_flight_mean < figures.in_flight_peak as f64 - 0.5 {
        true => peak.with(format!(" ({})", number::mean_count(figures.in_flight_mean))),
        false => peak,
    }
}

/// How many programs a step has cancelled, in all trials together.
fn cancelled(figures: &Alone, step: &str) -> table::Cell {
    table::Cell::maybe(figures.cancelled.get(step).map(|count| number::count(*count)))
}

fn workers(cell: &Cell) -> table::Cell {
    let number = match cell.subject.workers {
        0 => "per task".to_owned(),
        workers => number::count(workers.into()),
    };
    let asked = cell.workers_asked().filter(|asked| *asked != cell.subject.workers);
    table::Cell::number(number).with(asked.map_or_else(String::new, |asked| format!(" ({asked})")))
}

fn threads(figures: &Alone) -> table::Cell {
    let mut rest = format!(" ({})", number::count(figures.threads_loops));
    if figures.threads_kernel > 0 {
        rest.push_str(&format!(" +{} kernel", number::count(figures.threads_kernel)));
    }
    table::Cell::number(number::count(figures.threads_peak)).with(rest)
}

fn syscalls(figures: &Alone) -> table::Cell {
    let per_op = figures.evidence.as_ref().and_then(|evidence| evidence.syscalls_per_op());
    table::Cell::maybe(per_op.map(number::mean_count))
}

fn backend_seen(figures: &Alone) -> table::Cell {
    let Some(evidence) = &figures.evidence else { return words_none() };
    let doubt = if evidence.agrees { "" } else { "!" };
    let files = evidence.files_seen.map(|files| format!(", files: {}", files.word()));
    let text = format!("{}{doubt}{}", evidence.backend_seen, files.unwrap_or_default());
    table::Cell::words(text).tinted(if evidence.agrees { Tint::Plain } else { Tint::Bad })
}

fn stalls(figures: &Alone) -> table::Cell {
    if figures.stalls == 0 {
        return table::Cell::none();
    }
    let cause = figures.stalls_cause.map_or_else(String::new, |cause| format!(" {cause}"));
    table::Cell::number(number::count(figures.stalls))
        .with(format!(", {}{cause}", number::duration(figures.stalls_longest_ns)))
        .tinted(Tint::Bad)
}
