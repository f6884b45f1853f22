//! How each subject of a case stands to the best one, and how sure that is.
//!
//! Never compares unpaired trials: trials are made in rounds, so trial 2 of one subject and
//! trial 2 of another met the same weather.

use crate::bootstrap::{Interval, interval_95};
use crate::statistics::{mean, median};

/// Closer than this is the same, however sure the difference: nobody should choose by 1 %.
const NEGLIGIBLE: f64 = 0.01;
/// An interval that reaches below this cannot be called `same`, though it includes 1.
const STILL_SAME: f64 = 0.90;

/// Behind by less than this on average, an unclear one may well be the best.
const CONTENDER: f64 = 0.80;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The highest median, ahead of somebody, and of nobody near is it unclear.
    Best,
    /// The trials show no difference to the best worth choosing by.
    Same,
    /// Slower, beyond the trials' own noise.
    Slower,
    /// The trials spread too much to say; more of them would tell.
    Unclear,
}

/// One subject beside the best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    pub standing: Standing,
    /// Its throughput as a share of the best one's: the geometric mean over paired trials.
    pub ratio: f64,
    /// Of the ratio. `None` with fewer than two pairs: then nothing is sure.
    pub interval: Option<Interval>,
}

/// The throughput of one subject: trial number and operations per second.
pub type Throughput = Vec<(u32, f64)>;

/// One answer for each subject; all `None` when fewer than two have something to compare.
pub fn compare(subjects: &[Throughput]) -> Vec<Option<Compared>> {
    let medians: Vec<f64> = subjects
        .iter()
        .map(|trials| {
            let values: Vec<f64> = trials.iter().map(|(_, value)| *value).collect();
            median(&values).unwrap_or(f64::NAN)
        })
        .collect();
    let comparable = medians.iter().filter(|median| median.is_finite()).count();
    let best = medians
        .iter()
        .enumerate()
        .filter(|(_, median)| **median > 0.0)
        .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))
        .map(|(index, _)| index);
    let Some(best) = best.filter(|_| comparable >= 2) else {
        return vec![None; subjects.len()];
    };
    let mut all: Vec<Option<Compared>> = subjects
        .iter()
        .zip(&medians)
        .enumerate()
        .map(|(index, (trials, median))| {
            (index != best && median.is_finite())
                .then(|| beside(trials, &subjects[best], median / medians[best]))
        })
        .collect();
    // As long as one that came near may be as fast, nobody knows who is best. One that was far
    // behind on average leaves the doubt to its own row.
    let contends =
        |other: &Compared| other.standing == Standing::Unclear && other.ratio >= CONTENDER;
    let standing = if all.iter().flatten().any(contends) {
        Standing::Unclear
    } else if all.iter().flatten().all(|other| other.standing == Standing::Same) {
        Standing::Same
    } else {
        Standing::Best
    };
    let pairs = subjects[best].len();
    all[best] = Some(Compared {
        standing,
        ratio: 1.0,
        interval: (pairs >= 2).then_some(Interval { low: 1.0, high: 1.0 }),
    });
    all
}

fn beside(trials: &Throughput, best: &Throughput, of_medians: f64) -> Compared {
    let logarithms = logarithms(trials, best);
    let ratio = logarithms.as_deref().and_then(mean).map_or(of_medians, f64::exp);
    let interval = logarithms
        .and_then(|logarithms| interval_95(&logarithms))
        .map(|interval| Interval { low: interval.low.exp(), high: interval.high.exp() });
    Compared { standing: standing(ratio, interval), ratio, interval }
}

/// Of the ratios of paired trials. `None` where some trial has no pair: one without a single
/// operation has no place on a logarithmic scale.
pub(crate) fn logarithms(trials: &Throughput, others: &Throughput) -> Option<Vec<f64>> {
    let pairs: Vec<f64> = trials
        .iter()
        .filter_map(|(trial, value)| {
            let (_, other) = others.iter().find(|(number, _)| number == trial)?;
            Some(value / other)
        })
        .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
        .map(f64::ln)
        .collect();
    (!pairs.is_empty() && pairs.len() == trials.len().min(others.len())).then_some(pairs)
}

fn standing(ratio: f64, interval: Option<Interval>) -> Standing {
    let negligible = (ratio - 1.0).abs() <= NEGLIGIBLE;
    let Some(interval) = interval else {
        return if negligible { Standing::Same } else { Standing::Slower };
    };
    let within = interval.low >= 1.0 - NEGLIGIBLE && interval.high <= 1.0 + NEGLIGIBLE;
    if within || (negligible && interval.high < 1.0) {
        Standing::Same
    } else if interval.high < 1.0 {
        Standing::Slower
    } else if interval.low >= STILL_SAME && interval.contains(1.0) {
        Standing::Same
    } else {
        Standing::Unclear
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::SplitMix;

    fn trials(values: &[f64]) -> Throughput {
        values.iter().enumerate().map(|(trial, value)| (trial as u32, *value)).collect()
    }

    #[track_caller]
    fn check(subjects: &[&[f64]], expected: &[Standing]) {
        let subjects: Vec<Throughput> = subjects.iter().map(|values| trials(values)).collect();
        let standings: Vec<Standing> =
            compare(&subjects).into_iter().map(|compared| compared.unwrap().standing).collect();
        assert_eq!(standings, expected);
    }

    #[test]
    fn clear_cases() {
        use Standing::{Best, Same, Slower, Unclear};
        check(&[&[66.0, 67.0, 65.0], &[100.0, 101.0, 99.0]], &[Slower, Best]);
        check(&[&[100.0, 101.0, 99.0], &[101.0, 100.0, 99.5]], &[Same, Same]);
        check(
            &[&[100.0, 101.0, 99.0], &[99.8, 100.9, 98.7], &[50.0, 50.1, 50.2]],
            &[Best, Same, Slower],
        );
        check(&[&[100.0, 60.0, 140.0], &[90.0, 110.0, 60.0]], &[Unclear, Unclear]);
        check(&[&[100.0, 99.0, 101.0], &[20.0, 101.0, 30.0]], &[Best, Unclear]);
    }

    #[test]
    fn weather_that_hits_both_of_a_pair_hides_nothing() {
        use Standing::{Best, Slower};
        check(&[&[100.0, 50.0, 200.0], &[90.0, 45.2, 179.0]], &[Best, Slower]);
    }

    #[test]
    fn one_trial_is_never_sure() {
        let compared = compare(&[trials(&[100.0]), trials(&[66.0])]);
        assert_eq!(compared[1].unwrap().interval, None);
        assert_eq!(compared[1].unwrap().standing, Standing::Slower);
        assert_eq!(compared[0].unwrap().interval, None);
    }

    #[test]
    fn nothing_to_compare() {
        assert_eq!(compare(&[]), vec![]);
        assert_eq!(compare(&[trials(&[5.0, 5.0])]), vec![None]);
        assert_eq!(compare(&[trials(&[0.0]), trials(&[0.0])]), vec![None, None]);
    }

    #[test]
    fn a_subject_that_did_nothing_stands_at_zero() {
        let compared = compare(&[trials(&[100.0, 100.0]), trials(&[0.0, 0.0])]);
        assert_eq!(compared[1].unwrap().ratio, 0.0);
        assert_eq!(compared[1].unwrap().interval, None);
    }

    #[test]
    fn copies_of_one_subject_are_rarely_told_apart() {
        let mut random = SplitMix(7);
        let mut noisy = || {
            let values: Vec<f64> = (0..5)
                .map(|_| 1000.0 * (1.0 + (random.next() as f64 / u64::MAX as f64 - 0.5) * 0.1))
                .collect();
            trials(&values)
        };
        let told_apart = (0..400)
            .filter(|_| {
                compare(&[noisy(), noisy()])
                    .iter()
                    .flatten()
                    .any(|compared| compared.standing == Standing::Slower)
            })
            .count();
        assert!(told_apart <= 30, "{told_apart} of 400");
    }
}
