//! The columns of a table: what each is called, what it means, and what a cell says in it.
//!
//! Never decides where a column is put; the terminal and the page each lay it out their way.

use std::collections::BTreeSet;

use quadrant_suite::histogram::Histogram;

use crate::figures::{Cause, Figures};
use crate::number;
use crate::prose::clean;
use crate::standing::{Compared, Standing};

/// One column with its cells, one for each subject that has figures.
pub(crate) struct Column {
    pub kind: Kind,
    /// Two lines, so that a narrow figure does not need a wide heading. Neighbours with the
    /// same first line belong together.
    pub heading: [String; 2],
    pub cells: Vec<CellText>,
}

/// What a column is about; each has a line in the legend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Throughput,
    Standing,
    Latency,
    InFlight,
    Workers,
    Threads,
    Stalls,
    Impact,
    Group,
    Cpu,
    Memory,
    Syscalls,
    Backend,
    Step,
    /// How two runs differ.
    Change,
}

/// A figure: its number, set to the right, and what belongs to it, set to the left of the rest.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct CellText {
    pub number: String,
    pub rest: String,
    pub tint: Tint,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tint {
    #[default]
    Plain,
    Good,
    Bad,
}

/// Threads that a subject was told to run tasks on, and how many were wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workers {
    /// 0 for a thread for each task.
    pub had: u32,
    pub asked: Option<u32>,
}

/// A subject's figures and how they stand to the best.
pub(crate) struct Measured<'a> {
    pub figures: &'a Figures,
    pub workers: Workers,
    pub compared: Option<Compared>,
}

/// Every column these figures can fill.
pub(crate) fn columns(operation: &str, threshold_ns: u64, rows: &[Measured]) -> Vec<Column> {
    let operation = clean(operation);
    let mut columns = Vec::new();
    let mut add = |kind, heading: [&str; 2], cell: &dyn Fn(&Measured) -> CellText| {
        columns.push(Column {
            kind,
            heading: heading.map(str::to_owned),
            cells: rows.iter().map(cell).collect(),
        });
    };
    let per_second = match operation.as_str() {
        "request" => "requests/s".to_owned(),
        name => format!("{name}/s"),
    };
    add(Kind::Throughput, [&per_second, "median"], &|row| {
        throughput(row.figures.ops_per_sec, row.figures.ops_spread)
    });
    if rows.iter().any(|row| row.compared.is_some() || row.figures.starving.is_some()) {
        add(Kind::Standing, ["against", "the best"], &|row| standing(row));
    }
    add(Kind::Latency, ["latency", "p50"], &|row| quantile(Some(&row.figures.latency), 0.5));
    add(Kind::Latency, ["latency", "p99"], &|row| quantile(Some(&row.figures.latency), 0.99));
    add(Kind::InFlight, ["in flight", "peak (mean)"], &|row| in_flight(row.figures));
    if rows.iter().any(|row| row.workers.asked.is_some()) {
        add(Kind::Workers, ["workers", "(asked)"], &|row| workers(row.workers));
    }
    add(Kind::Threads, ["threads", "peak (loops)"], &|row| threads(row.figures));
    let stall_heading = format!("stalls ≥ {}", number::round_duration(threshold_ns));
    add(Kind::Stalls, [&stall_heading, "count, longest"], &|row| stalls(row.figures));
    if rows.iter().any(|row| row.figures.impact.is_some()) {
        add(Kind::Impact, ["ping", "p99"], &|row| quantile(row.figures.impact.as_ref(), 0.99));
    }
    let groups: BTreeSet<&String> = rows.iter().flat_map(|row| row.figures.groups.keys()).collect();
    for name in groups {
        add(Kind::Group, [&format!("{}/s", clean(name)), "median"], &|row| {
            let group = row.figures.groups.get(name);
            group.map_or_else(CellText::none, |group| {
                throughput(group.ops_per_sec, group.ops_spread)
            })
        });
    }
    add(Kind::Cpu, ["CPU per", &operation], &|row| {
        CellText::number(row.figures.cpu_ns_per_op.map(number::duration))
    });
    add(Kind::Memory, ["memory", "peak"], &|row| {
        CellText::number(Some(number::bytes(row.figures.rss_peak_bytes)))
    });
    if rows.iter().any(|row| row.figures.evidence.is_some()) {
        add(Kind::Syscalls, ["syscalls", "per op"], &|row| syscalls(row.figures));
        add(Kind::Backend, ["backend", "seen"], &|row| backend_seen(row.figures));
    }
    let steps: BTreeSet<&String> = rows.iter().flat_map(|row| row.figures.steps.keys()).collect();
    for name in steps {
        let heading = format!("step {}", clean(name));
        for (point, share) in [("p50", 0.5), ("p99", 0.99)] {
            add(Kind::Step, [&heading, point], &|row| quantile(row.figures.steps.get(name), share));
        }
    }
    columns
}

impl Column {
    /// The second line of the heading, in the two parts its cells have.
    pub(crate) fn heading_cell(&self) -> CellText {
        let line = self.heading[1].as_str();
        let end = match self.kind {
            Kind::Standing | Kind::Backend => 0,
            _ => line.find([' ', ',']).unwrap_or(line.len()),
        };
        CellText { number: line[..end].to_owned(), rest: line[end..].to_owned(), tint: Tint::Plain }
    }

    /// The heading where there is one line for it.
    pub(crate) fn title(&self) -> String {
        match self.kind {
            Kind::Throughput | Kind::Group | Kind::Workers => self.heading[0].clone(),
            Kind::Stalls => format!("{}: {}", self.heading[0], self.heading[1]),
            _ => self.heading.join(" "),
        }
    }
}

impl CellText {
    pub(crate) fn none() -> Self {
        Self::number(None)
    }

    pub(crate) fn number(number: Option<String>) -> Self {
        Self { number: number.unwrap_or_else(|| number::NONE.to_owned()), ..Self::default() }
    }

    /// Number and rest in a row, as they read.
    pub(crate) fn joined(&self) -> String {
        format!("{}{}", self.number, self.rest)
    }
}

fn throughput(ops_per_sec: f64, spread: Option<f64>) -> CellText {
    CellText {
        number: number::rate(ops_per_sec),
        rest: spread.map_or_else(String::new, |spread| format!(" {}", number::plus_minus(spread))),
        tint: Tint::Plain,
    }
}

fn standing(row: &Measured) -> CellText {
    if let Some((served, connections)) = row.figures.starving {
        let rest = format!("served {} of {}", number::count(served), number::count(connections));
        return CellText { rest, tint: Tint::Bad, ..CellText::default() };
    }
    let Some(compared) = row.compared else {
        return CellText { rest: number::NONE.to_owned(), ..CellText::default() };
    };
    let ratio = number::ratio(compared.ratio);
    let (word, tint) = match compared.standing {
        Standing::Best => ("best".to_owned(), Tint::Good),
        Standing::Same => ("same".to_owned(), Tint::Good),
        Standing::Slower => (ratio, Tint::Plain),
        Standing::Unclear => ("unclear".to_owned(), Tint::Plain),
    };
    let doubt = if compared.interval.is_none() { "~" } else { "" };
    CellText { number: String::new(), rest: format!("{doubt}{word}"), tint }
}

fn quantile(histogram: Option<&Histogram>, share: f64) -> CellText {
    let filled = histogram.filter(|histogram| !histogram.is_empty());
    CellText::number(filled.map(|histogram| number::duration(histogram.quantile(share))))
}

fn in_flight(figures: &Figures) -> CellText {
    let differs = figures.in_flight_mean < figures.in_flight_peak as f64 - 0.5;
    CellText {
        number: number::count(figures.in_flight_peak),
        rest: if differs {
            format!(" ({})", number::mean_count(figures.in_flight_mean))
        } else {
            String::new()
        },
        tint: Tint::Plain,
    }
}

fn workers(Workers { had, asked }: Workers) -> CellText {
    let rest = match asked {
        Some(asked) if asked != had => format!(" ({asked})"),
        _ => String::new(),
    };
    let number = if had == 0 { "per task".to_owned() } else { number::count(had.into()) };
    CellText { number, rest, tint: Tint::Plain }
}

fn threads(figures: &Figures) -> CellText {
    let mut rest = format!(" ({})", number::count(figures.threads_loops));
    if figures.threads_kernel > 0 {
        rest.push_str(&format!(" +{} kernel", number::count(figures.threads_kernel)));
    }
    CellText { number: number::count(figures.threads_peak), rest, tint: Tint::Plain }
}

fn syscalls(figures: &Figures) -> CellText {
    let per_op = figures.evidence.as_ref().and_then(|evidence| evidence.syscalls_per_op());
    CellText::number(per_op.map(number::mean_count))
}

fn backend_seen(figures: &Figures) -> CellText {
    let Some(evidence) = &figures.evidence else {
        return CellText { rest: number::NONE.to_owned(), ..CellText::default() };
    };
    let mut rest = evidence.backend_seen.to_string();
    if !evidence.agrees {
        rest.push('!');
    }
    if let Some(files) = evidence.files_seen {
        rest.push_str(&format!(", files: {}", files.word()));
    }
    let tint = if evidence.agrees { Tint::Plain } else { Tint::Bad };
    CellText { number: String::new(), rest, tint }
}

fn stalls(figures: &Figures) -> CellText {
    if figures.stalls == 0 {
        return CellText::none();
    }
    let cause = match figures.stalls_cause {
        Some(Cause::Computing) => " cpu",
        Some(Cause::Queueing) => " queue",
        Some(Cause::Blocked) => " blocked",
        Some(Cause::Unended) => " unended",
        None => "",
    };
    CellText {
        number: number::count(figures.stalls),
        rest: format!(", {}{cause}", number::duration(figures.stalls_longest_ns)),
        tint: Tint::Bad,
    }
}
