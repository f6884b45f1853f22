//! What is kept of a case when its table is written: enough to compare any two of its subjects.
//!
//! Never keeps a record; a run may have thousands of them.

use std::cmp::Ordering;

use crate::figures::{Cell, Outcome, status_word};
use crate::ranking::Ranking;
use crate::record::{AxisValue, Record};
use crate::series::{Figure, Merits};

#[derive(Debug)]
pub(super) struct KeptCase {
    pub axes: Vec<AxisValue>,
    pub operation: String,
    /// What decides in this case.
    pub by: Figure,
    pub contenders: Vec<Contender>,
}

/// One subject.
#[derive(Debug, Clone)]
pub(super) struct Contender {
    /// `compio/per-core`: runtime and executor.
    pub family: String,
    /// What distinguishes it from others of its family: its backend, with the variant.
    pub rival: String,
    pub backend: String,
    /// `None` where there are no figures to compare.
    pub merits: Option<Merits>,
    /// In a word, why it has no figures.
    pub absent: Option<&'static str>,
}

impl KeptCase {
    pub(super) fn of(records: &[Record]) -> Self {
        let cells = Cell::all_of(records);
        Self {
            axes: records.first().map_or_else(Vec::new, |first| first.case.clone()),
            operation: records.iter().find_map(Record::operation).unwrap_or_default().to_owned(),
            by: Ranking::new(&cells).by,
            contenders: cells
                .iter()
                .filter(|cell| !cell.is_only_reference())
                .map(|cell| contender(cell))
                .collect(),
        }
    }

    /// The values of all axes but one.
    pub(super) fn held(&self, axis: usize) -> Vec<&str> {
        let others = self.axes.iter().enumerate().filter(|(index, _)| *index != axis);
        others.map(|(_, held)| held.value.as_str()).collect()
    }

    /// The best one of a backend.
    pub(super) fn best_of(&self, backend: &str, by: Figure) -> Option<Contender> {
        let of_it = self.contenders.iter().filter(|contender| contender.backend == backend);
        let merit = |contender: &Contender| {
            let value = contender.merits.as_ref()?.value(by);
            Some(if by.is_better_more() { value } else { -value })
        };
        // A contender without figures is less than any other.
        of_it.max_by(|a, b| merit(a).partial_cmp(&merit(b)).unwrap_or(Ordering::Equal)).cloned()
    }
}

fn contender(cell: &Cell) -> Contender {
    let subject = cell.subject;
    let family = format!("{}/{}", subject.runtime, subject.executor);
    let rival = subject.id.strip_prefix(&format!("{family}/")).unwrap_or(&subject.id);
    let (merits, absent) = match &cell.outcome {
        Outcome::NoFigures { status, .. } => (None, Some(status_word(*status))),
        Outcome::Measured(figures) if figures.starving().is_some() => {
            (None, Some("not all connections served"))
        }
        Outcome::Measured(figures) => (Some(figures.merits.clone()), None),
    };
    Contender { rival: rival.to_owned(), backend: subject.backend.clone(), family, merits, absent }
}
