//! Records by their cases, without holding all of them.
//!
//! Never keeps more than the cases that are not whole yet: of a run that went through that is
//! one, of an interrupted and resumed one a few.

use std::collections::HashMap;

use crate::record::{AxisValue, Record};

/// How many records each case of a file has: the first of two passes over it.
#[derive(Debug, Default)]
pub struct CaseCounts {
    records: HashMap<CaseKey, u64>,
    /// Cases of each scenario of each run.
    cases: HashMap<(String, String), u64>,
}

/// Run, scenario and axes.
type CaseKey = (String, String, Vec<AxisValue>);

/// The second pass: gives each case as soon as its last record has come.
pub struct ByCase {
    counts: CaseCounts,
    open: Vec<(CaseKey, Vec<Record>)>,
}

impl CaseCounts {
    pub fn add(&mut self, record: &Record) {
        let count = self.records.entry(key(record)).or_default();
        *count += 1;
        if *count == 1 {
            *self.cases.entry(scenario(record)).or_default() += 1;
        }
    }

    pub fn cases(&self) -> usize {
        self.records.len()
    }
}

impl ByCase {
    pub fn new(counts: CaseCounts) -> Self {
        Self { counts, open: Vec::new() }
    }

    /// The records of this one's case, once all of them have come. Of a trial that was repeated
    /// only the last one stays.
    pub fn add(&mut self, record: Record) -> Option<Vec<Record>> {
        let key = key(&record);
        let left = self.counts.records.get_mut(&key).map_or(0, |count| {
            *count = count.saturating_sub(1);
            *count
        });
        let index = self.open.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            self.open.push((key, Vec::new()));
            self.open.len() - 1
        });
        let case = &mut self.open[index].1;
        match case.iter_mut().find(|known| known.is_same_trial(&record)) {
            Some(known) => *known = record,
            None => case.push(record),
        }
        (left == 0).then(|| self.open.remove(index).1)
    }

    /// Whether this case was the last one of its scenario. Call it once for each case given.
    pub fn ends_scenario(&mut self, case: &[Record]) -> bool {
        let left = case.first().and_then(|first| self.counts.cases.get_mut(&scenario(first)));
        left.is_some_and(|left| {
            *left = left.saturating_sub(1);
            *left == 0
        })
    }

    /// What is left when the second pass met less than the first.
    pub fn rest(self) -> Vec<Vec<Record>> {
        self.open.into_iter().map(|(_, case)| case).collect()
    }
}

fn key(record: &Record) -> CaseKey {
    (record.run_id.clone(), record.scenario.clone(), record.case.clone())
}

fn scenario(record: &Record) -> (String, String) {
    (record.run_id.clone(), record.scenario.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Status;
    use crate::tests::sample;

    fn by_case(records: &[Record]) -> (Vec<Vec<Record>>, usize) {
        let mut counts = CaseCounts::default();
        records.iter().for_each(|record| counts.add(record));
        let mut by_case = ByCase::new(counts);
        let (mut whole, mut most_open) = (Vec::new(), 0);
        for record in records {
            whole.extend(by_case.add(record.clone()));
            most_open = most_open.max(by_case.open.len());
        }
        assert!(by_case.rest().is_empty());
        (whole, most_open)
    }

    #[test]
    fn a_case_comes_once_it_is_whole() {
        let (first, second) = (sample::everything(), sample::open_loop());
        let (cases, most_open) = by_case(&[first.clone(), second.clone()].concat());
        assert_eq!((cases, most_open), (vec![first, second], 1));
    }

    #[test]
    fn cases_that_lie_apart_come_together() {
        let mut again = sample::ok("a/b/c", 1, 20.0, 5);
        let lost = sample::no_figures("a/b/c", 1, Status::Unmeasured, Some("interrupted"));
        let first = vec![sample::ok("a/b/c", 0, 10.0, 5), lost];
        let between = sample::open_loop();
        let (cases, most_open) =
            by_case(&[first.clone(), between.clone(), vec![again.clone()]].concat());
        assert_eq!(cases, vec![between, vec![first[0].clone(), again.clone()]]);
        assert_eq!(most_open, 2);
        again.run_id = "another".into();
        assert_eq!(by_case(&[first[0].clone(), again]).0.len(), 2);
    }

    #[test]
    fn a_scenario_ends_with_its_last_case() {
        let of_case = |connections: &str| {
            let mut record = sample::ok("a/b/c", 0, 10.0, 5);
            record.case[0].value = connections.into();
            record
        };
        let other = sample::open_loop().remove(0);
        let records = [of_case("1"), other, of_case("64")];
        let mut counts = CaseCounts::default();
        records.iter().for_each(|record| counts.add(record));
        let mut by_case = ByCase::new(counts);
        let ended = records.map(|record| {
            let case = by_case.add(record).unwrap();
            by_case.ends_scenario(&case)
        });
        assert_eq!(ended, [false, true, true]);
    }
}
