//! The columns of a table: what each is called, what it means, and what a cell says in it.
//!
//! Never decides where a column is put; the terminal and the page each lay it out their way.

use std::collections::BTreeSet;

use quadrant_suite::histogram::Histogram;

use crate::figures::{Alone, Cause, Figures, Rate};
use crate::number;
use crate::prose::clean;
use crate::ranking::{Compared, Standing, with_range};
use crate::series::Figure;

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
    Besides,
    Latency,
    InFlight,
    Workers,
    Threads,
    Stalls,
    Impact,
    Group,
    Cpu,
    PageFaults,
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
    /// What decides in this case.
    pub by: Figure,
}

/// About what the kernel needs for a page fault.
const PAGE_FAULT_NS: f64 = 250.0;
/// Page faults that cost less than this share of the CPU time of an operation are not shown.
const PAGE_FAULTS_SHARE_MIN: f64 = 0.02;

/// Every column these figures can fill; `threshold_ns` is that of stalls.
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
    let is_in_turns = rows.iter().any(|row| row.figures.is_in_turns);
    let how = if is_in_turns { "in turns" } else { "median" };
    add(Kind::Throughput, [&per_second, how], &|row| {
        let mut cell = throughput(row.figures.rate);
        if is_in_turns && !row.figures.is_in_turns {
            cell.rest.push_str(" alone");
        }
        cell
    });
    if rows.iter().any(|row| row.compared.is_some() || row.figures.starving().is_some()) {
        let by = match rows[0].by {
            Figure::Throughput => format!("by {per_second}"),
            Figure::Cpu => format!("by CPU per {operation}"),
            Figure::P99 => "by p99".to_owned(),
        };
        add(Kind::Standing, ["against the best", &by], &|row| standing(row));
    }
    if rows.iter().filter_map(|row| row.compared).any(|compared| !besides(compared).is_empty()) {
        add(Kind::Besides, ["besides", ""], &|row| {
            let rest = row.compared.map_or_else(String::new, besides);
            CellText { rest, ..CellText::default() }
        });
    }
    let alone = |row: &Measured, cell: &dyn Fn(&Alone) -> CellText| {
        row.figures.alone.as_ref().map_or_else(CellText::none, cell)
    };
    for (point, share) in [("p50", 0.5), ("p99", 0.99)] {
        add(Kind::Latency, ["latency", point], &|row| {
            alone(row, &|figures| quantile(Some(&figures.latency), share))
        });
    }
    add(Kind::InFlight, ["in flight", "peak (mean)"], &|row| alone(row, &in_flight));
    if rows.iter().any(|row| row.workers.asked.is_some()) {
        add(Kind::Workers, ["workers", "(asked)"], &|row| workers(row.workers));
    }
    add(Kind::Threads, ["threads", "peak (loops)"], &|row| alone(row, &threads));
    let stall_heading = format!("stalls ≥ {}", number::round_duration(threshold_ns));
    add(Kind::Stalls, [&stall_heading, "count, longest"], &|row| alone(row, &stalls));
    let all_alone = || rows.iter().filter_map(|row| row.figures.alone.as_ref());
    if all_alone().any(|figures| figures.impact.is_some()) {
        add(Kind::Impact, ["ping", "p99"], &|row| {
            alone(row, &|figures| quantile(figures.impact.as_ref(), 0.99))
        });
    }
    let groups: BTreeSet<&String> = all_alone().flat_map(|figures| figures.groups.keys()).collect();
    for name in groups {
        add(Kind::Group, [&format!("{}/s", clean(name)), "median"], &|row| {
            alone(row, &|figures| {
                figures.groups.get(name).copied().map_or_else(CellText::none, throughput)
            })
        });
    }
    add(Kind::Cpu, ["CPU per", &operation], &|row| {
        CellText::number(row.figures.cpu_ns_per_op.map(number::duration))
    });
    let page_faults = |row: &Measured| row.figures.page_faults_per_op;
    let matters = |row: &Measured| {
        let cost_ns = page_faults(row).unwrap_or_default() * PAGE_FAULT_NS;
        cost_ns > PAGE_FAULTS_SHARE_MIN * row.figures.cpu_ns_per_op.unwrap_or_default() as f64
    };
    if rows.iter().any(matters) {
        add(Kind::PageFaults, ["page faults", "per op"], &|row| {
            CellText::number(page_faults(row).map(number::mean_count))
        });
    }
    add(Kind::Memory, ["memory", "peak"], &|row| {
        alone(row, &|figures| CellText::number(Some(number::bytes(figures.rss_peak_bytes))))
    });
    if all_alone().any(|figures| figures.evidence.is_some()) {
        add(Kind::Syscalls, ["syscalls", "per op"], &|row| alone(row, &syscalls));
        add(Kind::Backend, ["backend", "seen"], &|row| {
            row.figures.alone.as_ref().map_or_else(CellText::rest_none, backend_seen)
        });
    }
    let steps: BTreeSet<&String> = all_alone().flat_map(|figures| figures.steps.keys()).collect();
    for name in steps {
        let heading = format!("step {}", clean(name));
        for (point, share) in [("p50", 0.5), ("p99", 0.99)] {
            add(Kind::Step, [&heading, point], &|row| {
                alone(row, &|figures| quantile(figures.steps.get(name), share))
            });
        }
    }
    columns
}

impl Column {
    /// The second line of the heading, in the two parts its cells have.
    pub(crate) fn heading_cell(&self) -> CellText {
        let line = self.heading[1].as_str();
        let end = match self.kind {
            Kind::Standing | Kind::Besides | Kind::Backend => 0,
            _ => line.find([' ', ',']).unwrap_or(line.len()),
        };
        CellText { number: line[..end].to_owned(), rest: line[end..].to_owned(), tint: Tint::Plain }
    }

    /// The heading where there is one line for it.
    pub(crate) fn title(&self) -> String {
        match self.kind {
            Kind::Throughput | Kind::Group | Kind::Workers => self.heading[0].clone(),
            Kind::Stalls => format!("{}: {}", self.heading[0], self.heading[1]),
            _ => self.heading.join(" ").trim().to_owned(),
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

    /// The same in a column of words.
    fn rest_none() -> Self {
        Self { rest: number::NONE.to_owned(), ..Self::default() }
    }

    /// Number and rest in a row, as they read.
    pub(crate) fn joined(&self) -> String {
        format!("{}{}", self.number, self.rest)
    }
}

fn throughput(Rate { per_sec, spread }: Rate) -> CellText {
    CellText {
        number: number::rate(per_sec),
        rest: spread.map_or_else(String::new, |spread| format!(" {}", number::plus_minus(spread))),
        tint: Tint::Plain,
    }
}

fn standing(row: &Measured) -> CellText {
    if let Some((served, connections)) = row.figures.starving() {
        let rest = format!("served {} of {}", number::count(served), number::count(connections));
        return CellText { rest, tint: Tint::Bad, ..CellText::default() };
    }
    let Some(compared) = row.compared else { return CellText::rest_none() };
    let doubt = if compared.effect.interval().is_none() { "~" } else { "" };
    let text = match compared.standing {
        Standing::Best => format!("{doubt}best"),
        Standing::JointBest => format!("{doubt}joint best"),
        Standing::Same { .. } if !doubt.is_empty() => format!("{doubt}same"),
        Standing::Same { below } => format!("same (< {})", number::percent_above(below)),
        Standing::MayBeBest => format!("may be best, {}", with_range(compared.effect)),
        Standing::Behind if compared.by != row.by => {
            format!("{} in rate", with_range(compared.effect))
        }
        Standing::Behind => with_range(compared.effect),
        Standing::Reference => format!("reference, {}", with_range(compared.effect)),
    };
    let tint = if compared.standing.is_leading() { Tint::Good } else { Tint::Plain };
    CellText { number: String::new(), rest: text, tint }
}

/// What a ratio and its range do not say.
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

fn quantile(histogram: Option<&Histogram>, share: f64) -> CellText {
    let filled = histogram.filter(|histogram| !histogram.is_empty());
    CellText::number(filled.map(|histogram| number::duration(histogram.quantile(share))))
}

fn in_flight(figures: &Alone) -> CellText {
    // Of connections that have not been answered yet nothing is in flight, however many there are.
    if figures.in_flight_peak == 0 {
        return CellText::none();
    }
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

fn threads(figures: &Alone) -> CellText {
    let mut rest = format!(" ({})", number::count(figures.threads_loops));
    if figures.threads_kernel > 0 {
        rest.push_str(&format!(" +{} kernel", number::count(figures.threads_kernel)));
    }
    CellText { number: number::count(figures.threads_peak), rest, tint: Tint::Plain }
}

fn syscalls(figures: &Alone) -> CellText {
    let per_op = figures.evidence.as_ref().and_then(|evidence| evidence.syscalls_per_op());
    CellText::number(per_op.map(number::mean_count))
}

fn backend_seen(figures: &Alone) -> CellText {
    let Some(evidence) = &figures.evidence else {
        return CellText::rest_none();
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

fn stalls(figures: &Alone) -> CellText {
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
