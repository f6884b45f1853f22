//! What one subject of a case reached by one figure, start by start and trial by trial.
//!
//! A start in turns is one value: the ratio to a subject that ran in the same turns, so that what
//! the machine did meanwhile cancels. Never takes the rounds of one start for independent values:
//! they share processes and their memory layout.

use std::collections::BTreeMap;

use crate::effect::{Effect, Rule, Verdict};
use crate::interval::{Estimate, estimate, estimate_difference};
use crate::record::turns::{Turn, log_ratio};
use crate::record::{Metrics, Record};
use crate::statistics::mean;

/// A rate counts as kept from this share of it on.
pub(crate) const KEPT: f64 = 0.98;

/// What subjects are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Figure {
    Throughput,
    /// CPU time per operation.
    Cpu,
    /// The latency that 99 of 100 operations stay within; of trials alone only.
    P99,
}

impl Figure {
    const ALL: [Figure; 3] = [Figure::Throughput, Figure::Cpu, Figure::P99];

    pub(crate) fn is_better_more(self) -> bool {
        self == Figure::Throughput
    }

    /// The verdict on an effect of this figure by which a subject is ahead.
    pub(crate) fn better(self) -> Verdict {
        if self.is_better_more() { Verdict::More } else { Verdict::Less }
    }

    pub(crate) fn rule(self) -> Rule {
        if self == Figure::P99 { Rule::LATENCY } else { Rule::TABLE }
    }

    pub(crate) fn of_turn(self, turn: &Turn) -> f64 {
        match self {
            Figure::Throughput => turn.ops_per_sec(),
            Figure::Cpu => turn.cpu_ns_per_op(),
            Figure::P99 => f64::NAN,
        }
    }

    pub(crate) fn of_trial(self, metrics: &Metrics) -> f64 {
        match self {
            Figure::Throughput => {
                // More than was asked for only makes up for late requests.
                let asked = metrics.load.as_ref().and_then(|load| load.asked_per_sec);
                asked.map_or(metrics.ops_per_sec, |asked| {
                    metrics.ops_per_sec.min(asked as f64 * KEPT)
                })
            }
            Figure::Cpu => metrics.cpu_ns as f64 / metrics.ops as f64,
            Figure::P99 if metrics.latency_ns.histogram.is_empty() => f64::NAN,
            Figure::P99 => metrics.latency_ns.p99 as f64,
        }
    }
}

/// Where a value in turns belongs: start and group.
type Key = (u32, u32);

/// Logarithms of one figure of one subject.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Series {
    /// Ratios to the reference, or where there is none to another subject of the same turns.
    turns: Values<Key>,
    /// Whether those are to the reference, so that groups and runs can be joined.
    is_to_reference: bool,
    /// By trial. Empty if a single one of them has no such figure.
    alone: Values<u32>,
}

/// By ascending key. Those of all cases are kept until the end, and maps take twice the memory.
type Values<K> = Box<[(K, f64)]>;

/// What one subject of a case reached by each figure.
#[derive(Debug, Clone)]
pub(crate) struct Merits {
    series: [Series; 3],
    /// As tables show them; not-a-number where there is none.
    values: [f64; 3],
}

/// What the turns of a case are related to: the rounds of one subject for each start and group.
pub(crate) struct Bases<'a> {
    rounds: BTreeMap<Key, &'a [Turn]>,
    pub reference: Option<&'a str>,
}

impl<'a> Bases<'a> {
    pub(crate) fn new(records: impl IntoIterator<Item = &'a Record> + Clone) -> Self {
        let believed = || {
            let all = records.clone().into_iter();
            all.filter_map(|record| Some((record, record.valid_turns()?)))
        };
        let reference = believed().find_map(|(_, turns)| turns.reference.as_deref());
        let mut starts: BTreeMap<(u32, &str), usize> = BTreeMap::new();
        for (record, turns) in believed() {
            *starts.entry((turns.group, &record.subject.id)).or_default() += 1;
        }
        // Without a reference any subject will do that was there in as many starts as possible.
        let base = |group: u32| {
            let members = starts.iter().filter(|((of, _), _)| *of == group);
            let most = members.max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
            reference.or(most.map(|((_, id), _)| *id))
        };
        let rounds = believed()
            .filter(|(record, turns)| base(turns.group) == Some(&record.subject.id))
            .map(|(record, turns)| ((record.trial, turns.group), turns.rounds.as_slice()))
            .collect();
        Self { rounds, reference }
    }
}

impl Merits {
    pub(crate) fn new(records: &[&Record], bases: &Bases, value: impl Fn(Figure) -> f64) -> Self {
        let series = |figure| Series::new(records.iter().copied(), bases, figure);
        Self { series: Figure::ALL.map(series), values: Figure::ALL.map(value) }
    }

    pub(crate) fn series(&self, figure: Figure) -> &Series {
        &self.series[figure as usize]
    }

    pub(crate) fn value(&self, figure: Figure) -> f64 {
        self.values[figure as usize]
    }

    /// This subject's figure by that of another one of the case; without a range where no trials
    /// of the two belong together.
    pub(crate) fn against(&self, other: &Merits, figure: Figure) -> Option<Effect> {
        let paired = self.series(figure).against(other.series(figure));
        paired.or_else(|| self.ratio_to(other, figure))
    }

    /// The same in another case: no trial of one belongs to a trial of the other.
    pub(crate) fn against_other_case(&self, other: &Merits, figure: Figure) -> Option<Effect> {
        let [of, to] = [self, other].map(|merits| merits.series(figure).trials());
        let apart = estimate_difference(&of, &to).map(Effect::of_logarithms);
        apart.or_else(|| self.ratio_to(other, figure))
    }

    fn ratio_to(&self, other: &Merits, figure: Figure) -> Option<Effect> {
        let ratio = self.value(figure) / other.value(figure);
        ratio.is_finite().then(|| Effect::of_ratio(ratio))
    }
}

impl Series {
    /// Of the records of one subject.
    pub(crate) fn new<'r>(
        records: impl Iterator<Item = &'r Record> + Clone,
        bases: &Bases,
        figure: Figure,
    ) -> Self {
        let of_start = |record: &'r Record| {
            let turns = record.valid_turns()?;
            let key = (record.trial, turns.group);
            let base = bases.rounds.get(&key)?;
            Some((key, log_ratio(&turns.rounds, base, |turn| figure.of_turn(turn))?))
        };
        let of_trial = |record: &'r Record| {
            Some((record.trial, figure.of_trial(record.valid_metrics()?).ln()))
        };
        let alone: BTreeMap<u32, f64> = records.clone().filter_map(of_trial).collect();
        let is_whole = alone.values().all(|value| value.is_finite());
        let turns: BTreeMap<Key, f64> = records.filter_map(of_start).collect();
        Self {
            turns: turns.into_iter().collect(),
            is_to_reference: bases.reference.is_some(),
            alone: if is_whole { alone.into_iter().collect() } else { Values::default() },
        }
    }

    /// This subject's figure by that of another one of the case.
    ///
    /// Paired where both ran together, because both ran under the same conditions; by way of
    /// the reference where they ran in different groups.
    pub(crate) fn against(&self, other: &Series) -> Option<Effect> {
        let paired = common(&self.turns, &other.turns);
        let fewer = self.turns.len().min(other.turns.len());
        let in_turns = if 2 * paired.len() >= fewer && !paired.is_empty() {
            estimate(&paired)
        } else {
            self.against_of_other_turns(other)
        };
        let estimate = in_turns.or_else(|| estimate(&common(&self.alone, &other.alone)))?;
        Some(Effect::of_logarithms(estimate))
    }

    /// This subject's ratio to the reference by the other's, of other turns: another group, or
    /// another run.
    fn against_of_other_turns(&self, other: &Series) -> Option<Estimate> {
        (self.is_to_reference && other.is_to_reference)
            .then(|| estimate_difference(&self.in_turns(), &other.in_turns()))?
    }

    /// Logarithms of the ratios to the reference, start by start.
    pub(crate) fn in_turns(&self) -> Vec<f64> {
        self.turns.iter().map(|(_, value)| *value).collect()
    }

    /// The same; nothing where there is no reference.
    pub(crate) fn to_reference(&self) -> Vec<f64> {
        if self.is_to_reference { self.in_turns() } else { Vec::new() }
    }

    pub(crate) fn mean_in_turns(&self) -> Option<f64> {
        mean(&self.in_turns())
    }

    /// How sure its own mean is, where there is nothing to compare it with.
    pub(crate) fn alone(&self) -> Option<Effect> {
        estimate(&self.trials()).map(Effect::of_logarithms)
    }

    fn trials(&self) -> Vec<f64> {
        self.alone.iter().map(|(_, value)| *value).collect()
    }
}

/// The differences of values that belong together.
fn common<K: Ord>(of: &[(K, f64)], to: &[(K, f64)]) -> Vec<f64> {
    let of_key = |key: &K| to.binary_search_by(|(other, _)| other.cmp(key)).ok();
    of.iter().filter_map(|(key, value)| Some(value - to[of_key(key)?].1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Status;
    use crate::tests::sample::{self, InTurns};

    fn series(records: &[Record], id: &str) -> Series {
        let bases = Bases::new(records.iter());
        let own = records.iter().filter(|record| record.subject.id == id);
        Series::new(own, &bases, Figure::Throughput)
    }

    fn case(subjects: &[(&str, f64)], group: u32, reference: Option<&str>) -> Vec<Record> {
        let case = InTurns { group, reference, noise: 0.02, ..InTurns::new(10) };
        case.records(subjects)
    }

    #[test]
    fn subjects_of_one_group_are_paired() {
        let records = case(&[("a/b/c", 100_000.0), ("d/e/f", 80_000.0)], 0, None);
        let effect = series(&records, "d/e/f").against(&series(&records, "a/b/c")).unwrap();
        assert!((effect.ratio() - 0.8).abs() < 0.02, "{effect:?}");
        assert!(effect.uncertainty().unwrap() < 0.04, "{effect:?}");
        let back = series(&records, "a/b/c").against(&series(&records, "d/e/f")).unwrap();
        assert!((effect.ratio() * back.ratio() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn only_the_reference_joins_groups() {
        for reference in [Some("r/r/r"), None] {
            let first = case(&[("r/r/r", 120_000.0), ("a/b/c", 100_000.0)], 0, reference);
            // Another group met a machine that was slower by a third.
            let second = case(&[("r/r/r", 80_000.0), ("d/e/f", 80_000.0)], 1, reference);
            let records = [first, second].concat();
            let effect = series(&records, "d/e/f").against(&series(&records, "a/b/c"));
            match reference {
                Some(_) => assert!((effect.unwrap().ratio() - 1.2).abs() < 0.04, "{effect:?}"),
                None => assert_eq!(effect, None),
            }
        }
    }

    #[test]
    fn a_start_without_the_other_is_no_pair() {
        let mut records = case(&[("a/b/c", 100.0e3), ("d/e/f", 80.0e3)], 0, Some("a/b/c"));
        let lost = records.iter_mut().find(|record| record.subject.id == "a/b/c").unwrap();
        (lost.status, lost.turns.as_mut().unwrap().rounds) = (Status::Unmeasured, Vec::new());
        assert_eq!(series(&records, "d/e/f").turns.len(), 9);
    }

    #[test]
    fn alone_trials_are_paired_by_their_number() {
        let trial = |id: &str, trial: u32, rate: f64| sample::ok(id, trial, rate, 100);
        let records: Vec<Record> = [1.0, 0.5, 2.0, 1.2]
            .into_iter()
            .zip(0..)
            .flat_map(|(speed, number)| {
                [trial("a/b/c", number, 100.0 * speed), trial("d/e/f", number, 90.0 * speed)]
            })
            .collect();
        let effect = series(&records, "d/e/f").against(&series(&records, "a/b/c")).unwrap();
        assert!((effect.ratio() - 0.9).abs() < 1e-9 && effect.uncertainty().unwrap() < 1e-9);
    }

    #[test]
    fn idle_trials_are_left_out_of_series() {
        let records = [sample::ok("a/b/c", 0, 100.0, 5), sample::ok("a/b/c", 1, 0.0, 5)];
        assert_eq!(series(&records, "a/b/c"), Series::default());
    }
}
