//! Whether two runs put their subjects in the same order: a pair of which each is ahead in one run
//! contradicts, whatever the changes of single cells.
//!
//! Never counts a pair of which neither run knows who is ahead as a contradiction.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::effect::Verdict;
use crate::figures::Cell;
use crate::ranking::Ranking;
use crate::series::{Figure, Series};

/// Pairs of subjects that both runs have, over all cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pairs {
    pub compared: u64,
    /// One of the two is ahead in both runs.
    pub confirmed: u64,
    /// Ahead in one run, and behind in the other.
    pub contradicted: u64,
}

/// Who is ahead of whom in one case of one run.
#[derive(Debug, Clone)]
pub(super) struct Order {
    by: Figure,
    subjects: Vec<String>,
    /// The one ahead first.
    ahead: BTreeSet<(usize, usize)>,
}

impl Order {
    /// The cells must be all of one case.
    pub(super) fn of_case(cells: &[Cell]) -> Self {
        let by = Ranking::new(cells).by;
        let measured = cells.iter().filter_map(|cell| Some((&cell.subject.id, cell.figures()?)));
        let (subjects, series): (Vec<String>, Vec<&Series>) =
            measured.map(|(id, figures)| (id.clone(), figures.merits.series(by))).unzip();
        let mut ahead = BTreeSet::new();
        for (index, one) in series.iter().enumerate() {
            for (other_index, other) in series.iter().enumerate().skip(index + 1) {
                let verdict = one.against(other).map(|effect| effect.verdict(by.rule()));
                let is_ahead = match verdict {
                    Some(Verdict::More) => by.is_better_more(),
                    Some(Verdict::Less) => !by.is_better_more(),
                    _ => continue,
                };
                ahead.insert(if is_ahead { (index, other_index) } else { (other_index, index) });
            }
        }
        Self { by, subjects, ahead }
    }

    pub(super) fn against(&self, other: &Order, pairs: &mut Pairs) {
        // By different figures they may well differ in order.
        if self.by != other.by {
            return;
        }
        let places: Vec<Option<usize>> = self
            .subjects
            .iter()
            .map(|id| other.subjects.iter().position(|other| other == id))
            .collect();
        for (first, place) in places.iter().enumerate() {
            for (second, other_place) in places.iter().enumerate().skip(first + 1) {
                let (Some(place), Some(other_place)) = (*place, *other_place) else { continue };
                pairs.compared += 1;
                let orders = [(first, second), (second, first)];
                let others = [(place, other_place), (other_place, place)];
                for turn in 0..2 {
                    if self.ahead.contains(&orders[turn]) {
                        pairs.confirmed += u64::from(other.ahead.contains(&others[turn]));
                        pairs.contradicted += u64::from(other.ahead.contains(&others[1 - turn]));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample::InTurns;

    fn pairs(base: &[(&str, f64)], new: &[(&str, f64)]) -> Pairs {
        let order = |subjects: &[(&str, f64)]| {
            let case = InTurns { noise: 0.01, ..InTurns::new(10) };
            Order::of_case(&Cell::all_of(&case.records(subjects)))
        };
        let mut pairs = Pairs::default();
        order(base).against(&order(new), &mut pairs);
        pairs
    }

    #[test]
    fn orders_are_confirmed_or_contradicted_pair_by_pair() {
        let base = [("a/b/c", 100_000.0), ("d/e/f", 80_000.0), ("g/h/i", 60_000.0)];
        let reversed = [("g/h/i", 60_000.0), ("a/b/c", 70_000.0), ("d/e/f", 80_000.0)];
        let found = pairs(&base, &base);
        assert_eq!(found, Pairs { compared: 3, confirmed: 3, contradicted: 0 });
        let found = pairs(&base, &reversed);
        assert_eq!(found, Pairs { compared: 3, confirmed: 2, contradicted: 1 });
        let found = pairs(&base, &base[..2]);
        assert_eq!(found, Pairs { compared: 1, confirmed: 1, contradicted: 0 });
    }
}
