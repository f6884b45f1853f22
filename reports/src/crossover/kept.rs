//! What is kept of a case when its table is written: enough to compare any two of its subjects.
//!
//! Never keeps a record; a run may have thousands of them.

use crate::driver_limit;
use crate::figures::{Cell, Outcome, metrics, status_word};
use crate::record::{AxisValue, Record};
use crate::standing::Throughput;
use crate::statistics::median;

#[derive(Debug)]
pub(super) struct KeptCase {
    pub axes: Vec<AxisValue>,
    /// `requests/s`.
    pub by: String,
    pub contenders: Vec<Contender>,
}

/// One subject.
#[derive(Debug, Clone)]
pub(super) struct Contender {
    /// `compio/per-core`: runtime and executor.
    pub family: String,
    /// What tells it from others of its family: its backend.
    pub rival: String,
    pub backend: String,
    /// Trial by trial, the more the better. Empty where there are no figures to compare.
    pub merits: Throughput,
    /// The load driver may have been what held it up.
    pub is_limited: bool,
    /// In a word, why it has no figures.
    pub absent: Option<&'static str>,
}

impl KeptCase {
    pub(super) fn of(records: &[Record]) -> Self {
        let sample = records.iter().find_map(metrics);
        let asked = |record: &Record| metrics(record)?.load.as_ref()?.asked_per_sec;
        // At a given rate everybody does as much, and only the time that it takes tells.
        let by_latency = records.iter().any(|record| asked(record).is_some());
        let by = match sample.map(|sample| sample.operation.as_str()) {
            _ if by_latency => "p99 latency".to_owned(),
            None | Some("request") => "requests/s".to_owned(),
            Some(operation) => format!("{operation}/s"),
        };
        let contender = |cell: &Cell| contender(cell, by_latency);
        Self {
            axes: records.first().map_or_else(Vec::new, |first| first.case.clone()),
            by,
            contenders: Cell::all_of(records).iter().map(contender).collect(),
        }
    }

    /// The values of all axes but one.
    pub(super) fn held(&self, axis: usize) -> Vec<&str> {
        let others = self.axes.iter().enumerate().filter(|(index, _)| *index != axis);
        others.map(|(_, held)| held.value.as_str()).collect()
    }

    /// The one with the highest median among those of a backend.
    pub(super) fn best_of(&self, backend: &str) -> Option<Contender> {
        let of_it = self.contenders.iter().filter(|contender| contender.backend == backend);
        of_it.max_by(|a, b| a.merit().total_cmp(&b.merit())).cloned()
    }
}

impl Contender {
    fn merit(&self) -> f64 {
        let merits: Vec<f64> = self.merits.iter().map(|(_, merit)| *merit).collect();
        median(&merits).unwrap_or(-1.0)
    }
}

fn contender(cell: &Cell, by_latency: bool) -> Contender {
    let subject = cell.subject;
    let family = format!("{}/{}", subject.runtime, subject.executor);
    let rival = subject.id.strip_prefix(&format!("{family}/")).unwrap_or(&subject.id);
    let believed = || cell.trials.iter().filter_map(|record| Some((record, metrics(record)?)));
    let (merits, absent) = match &cell.outcome {
        Outcome::Told { status, .. } => (Vec::new(), Some(status_word(*status))),
        Outcome::Measured(figures) if figures.starving.is_some() => {
            (Vec::new(), Some("not all connections served"))
        }
        Outcome::Measured(_) if by_latency => {
            let merit = |p99: u64| 1e9 / p99.max(1) as f64;
            let merits =
                believed().map(|(record, metrics)| (record.trial, merit(metrics.latency_ns.p99)));
            (merits.collect(), None)
        }
        Outcome::Measured(figures) => (figures.throughput.clone(), None),
    };
    Contender {
        rival: rival.to_owned(),
        backend: subject.backend.clone(),
        family,
        merits,
        is_limited: believed().any(|(_, metrics)| driver_limit::of(metrics).is_some()),
        absent,
    }
}
