//! The table of one scenario case, before anybody decided how it is drawn.
//!
//! Never leaves a subject out: without figures it stands beneath, with its status and reason.

use crate::columns::{Column, Kind, Measured, Workers, columns};
use crate::figures::{Cell, Outcome, metrics, severity};
use crate::number;
use crate::prose::clean;
use crate::record::{Cpus, Metrics, Record, Status};
use crate::remarks::{Remarks, remarks};
use crate::standing::{Compared, Standing, Throughput, compare};
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
    /// Throughput does not tell the subjects apart, so they stand in order of their p99.
    pub throughput_is_level: bool,
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
        let (ranked, throughput_is_level) = rank(&cells);
        let measured: Vec<Measured> = ranked
            .iter()
            .filter_map(|(cell, compared)| {
                let workers = Workers { had: cell.subject.workers, asked: cell.workers_asked() };
                Some(Measured { figures: cell.figures()?, workers, compared: *compared })
            })
            .collect();
        let sample = records.iter().find_map(metrics);
        let columns = sample.map_or_else(Vec::new, |sample| {
            columns(&sample.operation, sample.stalls.threshold_ns, &measured)
        });
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
            throughput_is_level,
            remarks: remarks(&cells),
        })
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.columns.iter().map(|column| column.kind)
    }
}

/// Cells with figures, best first, and whether throughput says nothing between them.
fn rank<'c, 'a>(cells: &'c [Cell<'a>]) -> (Vec<(&'c Cell<'a>, Option<Compared>)>, bool) {
    let measured: Vec<(&Cell, &crate::figures::Figures)> =
        cells.iter().filter_map(|cell| Some((cell, cell.figures()?))).collect();
    let throughputs: Vec<Throughput> =
        measured.iter().map(|(_, figures)| figures.throughput.clone()).collect();
    let mut rows: Vec<_> = measured.into_iter().zip(compare(&throughputs)).collect();
    let level = rows.len() > 1
        && rows.iter().all(|(_, compared)| {
            compared.is_some_and(|compared| compared.standing == Standing::Same)
        });
    rows.sort_by(|((a_cell, a), _), ((b_cell, b), _)| {
        let by_p99 = a.latency.quantile(0.99).cmp(&b.latency.quantile(0.99));
        let by_throughput = b.ops_per_sec.total_cmp(&a.ops_per_sec);
        // Who leaves connections without an answer is fast at their expense.
        let by_service = a.starving.is_some().cmp(&b.starving.is_some());
        let by_throughput = by_service.then(by_throughput);
        let order = if level { by_p99 } else { by_throughput.then(by_p99) };
        order.then_with(|| a_cell.subject.id.cmp(&b_cell.subject.id))
    });
    (rows.into_iter().map(|((cell, _), compared)| (cell, compared)).collect(), level)
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

/// `64 B, closed loop, 3 trials × 1 s`.
fn workload(records: &[Record], cells: &[Cell]) -> String {
    let trials = cells.iter().map(|cell| cell.trials.len()).max().unwrap_or_default();
    let noun = if trials == 1 { "trial" } else { "trials" };
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
    let trials = format!("{trials} {noun}{length}");
    let cpus = records.iter().find_map(|record| record.cpus.as_ref());
    let parts = [clean(&records[0].workload), trials, cpus.map_or_else(String::new, places)];
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
