//! The table of one scenario case, before anybody decided how it is drawn.
//!
//! Never leaves a subject out: without figures it stands beneath, with its status and reason.

use crate::columns::{Column, Kind, Measured, Workers, columns};
use crate::figures::{Cell, Outcome, metrics, severity};
use crate::number;
use crate::prose::{clean, plural};
use crate::ranking::{Compared, Ranking};
use crate::record::{Cpus, Metrics, Pass, Record, Status};
use crate::remarks::{Remarks, remarks};
use crate::series::{Figure, turns};
use crate::statistics::median;

pub(crate) struct CaseTable {
    pub scenario: String,
    /// `connections=64`, `how=await`.
    pub axes: Vec<String>,
    /// Workload, trials and their length, in one line.
    pub workload: String,
    pub question: String,
    pub columns: Vec<Column>,
    /// Best first; each has a cell in every column.
    pub subjects: Vec<Ranked>,
    pub without_figures: Vec<Told>,
    /// What decides the order.
    pub by: Figure,
    /// What the order stands on, in a sentence, where that is not throughput.
    pub order: Option<String>,
    pub remarks: Remarks,
}

pub(crate) struct Ranked {
    pub id: String,
    pub compared: Option<Compared>,
}

pub(crate) struct Told {
    pub id: String,
    pub status: Status,
    pub text: String,
}

impl CaseTable {
    /// `None` of no records. All must be of one scenario case.
    pub(crate) fn new(records: &[Record]) -> Option<Self> {
        let first = records.first()?;
        let cells = Cell::all_of(records);
        let ranking = Ranking::new(&cells);
        let ranked: Vec<(&Cell, Option<Compared>)> =
            ranking.order.iter().map(|index| (&cells[*index], ranking.compared[*index])).collect();
        let measured: Vec<Measured> = ranked
            .iter()
            .filter_map(|(cell, compared)| {
                let workers = Workers { had: cell.subject.workers, asked: cell.workers_asked() };
                let (figures, compared, by) = (cell.figures()?, *compared, ranking.by);
                Some(Measured { figures, workers, compared, by })
            })
            .collect();
        let threshold_ns =
            records.iter().find_map(metrics).map_or(0, |metrics| metrics.stalls.threshold_ns);
        let operation = records.iter().find_map(operation);
        let columns = operation
            .map_or_else(Vec::new, |operation| columns(operation, threshold_ns, &measured));
        Some(Self {
            scenario: clean(&first.scenario),
            axes: first
                .case
                .iter()
                .map(|axis| clean(&format!("{}={}", axis.axis, axis.value)))
                .collect(),
            workload: workload(records, &cells),
            question: clean(&first.question),
            columns: if measured.is_empty() { Vec::new() } else { columns },
            subjects: ranked
                .iter()
                .map(|(cell, compared)| Ranked { id: clean(&cell.subject.id), compared: *compared })
                .collect(),
            without_figures: without_figures(&cells),
            by: ranking.by,
            order: ranking.why.as_deref().map(clean),
            remarks: remarks(&cells),
        })
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.columns.iter().map(|column| column.kind)
    }
}

/// What one operation of a case is.
pub(crate) fn operation(record: &Record) -> Option<&str> {
    let alone = metrics(record).map(|metrics| metrics.operation.as_str());
    alone.or_else(|| Some(turns(record)?.operation.as_str()))
}

fn without_figures(cells: &[Cell]) -> Vec<Told> {
    let mut told: Vec<Told> = cells
        .iter()
        .filter_map(|cell| match &cell.outcome {
            Outcome::Measured(_) => None,
            Outcome::Told { status, text } => {
                Some(Told { id: clean(&cell.subject.id), status: *status, text: text.clone() })
            }
        })
        .collect();
    told.sort_by(|a, b| severity(a.status).cmp(&severity(b.status)).then_with(|| a.id.cmp(&b.id)));
    told
}

/// `64 B, closed loop, 3 trials × 1 s, 10 starts in turns`.
fn workload(records: &[Record], cells: &[Cell]) -> String {
    let most = |pass| cells.iter().map(|cell| cell.of_pass(pass).count()).max().unwrap_or_default();
    let lengths: Vec<f64> = records
        .iter()
        .filter_map(metrics)
        .map(|metrics: &Metrics| metrics.elapsed_ns as f64)
        .collect();
    let length = median(&lengths).map_or_else(String::new, |length| {
        // Two digits are what somebody asked for; the rest is how late the window closed.
        let unit = 10_f64.powf(length.max(10.0).log10().floor() - 1.0);
        format!(" × {}", number::round_duration(((length / unit).round() * unit) as u64))
    });
    let counted = |count: usize, one: &str, many: &str, rest: &str| match count {
        0 => String::new(),
        count => format!("{}{rest}", plural(count as u64, one, many)),
    };
    let trials = counted(most(Pass::Alone), "trial", "trials", &length);
    // A reference takes part in every group of a start.
    let starts = records.iter().filter(|record| turns(record).is_some()).map(|record| record.trial);
    let starts = starts.max().map_or(0, |last| last as usize + 1);
    let starts = counted(starts, "start", "starts", " in turns");
    let cpus = records.iter().find_map(|record| record.cpus.as_ref());
    let parts =
        [clean(&records[0].workload), trials, starts, cpus.map_or_else(String::new, places)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// `subject on CPU 0, driver on CPU 1`.
fn places(cpus: &Cpus) -> String {
    let on = |who: &str, cpus: &[usize]| match cpus {
        [one] => format!("{who} on CPU {one}"),
        many => format!("{who} on CPUs {}", number::ranges(many)),
    };
    match (cpus.subject.as_slice(), cpus.driver.as_slice()) {
        ([], _) => String::new(),
        (subject, []) => on("subject", subject),
        (subject, driver) if subject == driver => on("subject and driver", subject),
        (subject, driver) => format!("{}, {}", on("subject", subject), on("driver", driver)),
    }
}
