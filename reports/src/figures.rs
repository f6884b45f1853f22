//! The trials of one cell, taken together: its figures, or why it shows none.
//!
//! Never shows figures of a cell that once crashed, hung or answered wrongly: its other trials
//! may have been fast because they were wrong.

use std::collections::BTreeMap;

use quadrant_suite::histogram::Histogram;

use crate::number::counted;
use crate::prose::clean;
use crate::record::turns::{self, Thawed, Turn};
use crate::record::{Evidence, Latency, LoadMetrics, Metrics, Pass, Record, Status, Subject};
use crate::series::{Bases, Figure, KEPT, Merits};
use crate::statistics::{mean, median, spread};
use crate::table::Tint;

/// One subject in one scenario case.
pub(crate) struct Cell<'a> {
    pub subject: &'a Subject,
    pub trials: Vec<&'a Record>,
    pub outcome: Outcome,
    /// Whether the turns of the case are related to it.
    pub is_reference: bool,
}

pub(crate) enum Outcome {
    Measured(Box<Figures>),
    NoFigures { status: Status, text: String },
}

/// All trials of a cell, taken together.
pub(crate) struct Figures {
    /// In turns where there are any, else alone.
    pub rate: Rate,
    pub is_in_turns: bool,
    /// `None` when nothing completed. From the same trials as the rate, as are those that follow.
    pub cpu_ns_per_op: Option<u64>,
    pub page_faults_per_op: Option<f64>,
    /// The share of the time that the load driver was busy; 0 without one.
    pub driver_busy: f64,
    /// Of the trials alone: `None` for a reference that was not asked for by itself.
    pub alone: Option<Alone>,
    /// What it is compared with others by.
    pub merits: Merits,
}

/// Operations per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    pub per_sec: f64,
    /// Half of the range over starts or trials, relative to their median.
    pub spread: Option<f64>,
}

/// The metrics of all trials alone, as one.
pub(crate) struct Alone {
    /// Connections served and asked for, in the worst trial, when those are not all.
    pub starving: Option<(u64, u64)>,
    /// Whether it kept the rate that was asked for; `None` where none was.
    pub keeps_rate: Option<bool>,
    pub latency: Histogram,
    pub in_flight_peak: u64,
    pub in_flight_mean: f64,
    pub threads_peak: u64,
    pub threads_loops: u64,
    pub threads_kernel: u64,
    pub stalls: u64,
    pub stalls_longest_ns: u64,
    /// Where most of the stalled time went: computing (`cpu`), waiting for a CPU (`queue`), waiting
    /// in the middle of a poll (`blocked`), or not known because the window ended (`unended`).
    pub stalls_cause: Option<&'static str>,
    /// How late pings were answered.
    pub impact: Option<Histogram>,
    pub rss_peak_bytes: u64,
    /// Of the pass before the trials, if there was one.
    pub evidence: Option<Evidence>,
    pub groups: BTreeMap<String, Rate>,
    /// Latency of the groups of clients.
    pub clients: BTreeMap<String, Histogram>,
    pub steps: BTreeMap<String, Histogram>,
    /// Of the steps that cancel: how often in all trials together.
    pub cancelled: BTreeMap<String, u64>,
    /// Of clients that reconnect.
    pub connect: Option<Histogram>,
    pub first_answer: Option<Histogram>,
    /// From the first connect until all connections were accepted; of many.
    pub all_accepted_ns: Option<u64>,
    /// How much the memory grew for each of many connections.
    pub rss_per_connection: Option<u64>,
}

/// With fewer connections, other things decide how much the memory grows.
const MANY_CONNECTIONS: u64 = 1_000;

impl Figures {
    pub(crate) fn starving(&self) -> Option<(u64, u64)> {
        self.alone.as_ref()?.starving
    }

    pub(crate) fn keeps_rate(&self) -> Option<bool> {
        self.alone.as_ref()?.keeps_rate
    }
}

impl<'a> Cell<'a> {
    /// The cells of one scenario case, in the order their subjects first appear.
    pub(crate) fn all_of(records: impl IntoIterator<Item = &'a Record> + Clone) -> Vec<Cell<'a>> {
        let mut cells: Vec<(&Subject, Vec<&Record>)> = Vec::new();
        for record in records.clone() {
            match cells.iter_mut().find(|(subject, _)| subject.id == record.subject.id) {
                Some((_, trials)) => trials.push(record),
                None => cells.push((&record.subject, vec![record])),
            }
        }
        let bases = Bases::new(records);
        let cell = |(subject, trials): (&'a Subject, Vec<&'a Record>)| Cell {
            subject,
            outcome: outcome(&trials, &bases),
            trials,
            is_reference: bases.reference == Some(&subject.id),
        };
        cells.into_iter().map(cell).collect()
    }

    pub(crate) fn figures(&self) -> Option<&Figures> {
        match &self.outcome {
            Outcome::Measured(figures) => Some(figures),
            Outcome::NoFigures { .. } => None,
        }
    }

    /// Workers that the scenario or the command line asks for.
    pub(crate) fn workers_asked(&self) -> Option<u32> {
        self.trials.iter().find_map(|record| record.workers_asked)
    }

    /// Trials of one pass that have no figures, in a cell that has some.
    pub(crate) fn lost_trials(&self, pass: Pass) -> impl Iterator<Item = &'a Record> {
        self.of_pass(pass).filter(|record| self.figures().is_some() && !record.has_figures())
    }

    /// Whether it took turns only as the reference, without having been asked for.
    pub(crate) fn is_only_reference(&self) -> bool {
        self.is_reference && self.of_pass(Pass::Alone).next().is_none()
    }

    pub(crate) fn of_pass(&self, pass: Pass) -> impl Iterator<Item = &'a Record> {
        self.trials.iter().copied().filter(move |record| record.pass == pass)
    }
}

fn outcome(trials: &[&Record], bases: &Bases) -> Outcome {
    let spoiled = trials.iter().any(|record| spoils_others(record.status));
    match figures(trials, bases).filter(|_| !spoiled) {
        Some(figures) => Outcome::Measured(Box::new(figures)),
        None => no_figures(trials),
    }
}

fn figures(trials: &[&Record], bases: &Bases) -> Option<Figures> {
    let believed: Vec<&Metrics> =
        trials.iter().filter_map(|record| record.valid_metrics()).collect();
    let starts: Vec<Turn> = trials
        .iter()
        .filter_map(|record| record.valid_turns())
        .map(|turns| turns::sum(&turns.rounds))
        .collect();
    let is_in_turns = !starts.is_empty();
    let (all, per_sec, rates) = if is_in_turns {
        let all = turns::sum(&starts);
        (all, all.ops_per_sec(), starts.iter().map(Turn::ops_per_sec).collect())
    } else {
        let rates: Vec<f64> = believed.iter().map(|metrics| metrics.ops_per_sec).collect();
        let trials: Vec<Turn> = believed.iter().map(|metrics| as_turn(metrics)).collect();
        (turns::sum(&trials), median(&rates)?, rates)
    };
    let Thawed { operations, cpu_ns, page_faults, .. } = all.thawed;
    let cpu_ns_per_op = cpu_ns.checked_div(operations);
    let alone = (!believed.is_empty()).then(|| Alone {
        evidence: trials.iter().find_map(|record| record.evidence.clone()),
        ..together(&believed)
    });
    let p99 = alone.as_ref().map(|alone| &alone.latency).filter(|latency| !latency.is_empty());
    let value = |figure| match figure {
        Figure::Throughput => per_sec,
        Figure::Cpu => cpu_ns_per_op.map_or(f64::NAN, |cpu| cpu as f64),
        Figure::P99 => p99.map_or(f64::NAN, |latency| latency.quantile(0.99) as f64),
    };
    Some(Figures {
        rate: Rate { per_sec, spread: spread(&rates) },
        is_in_turns,
        cpu_ns_per_op,
        page_faults_per_op: (operations > 0).then(|| page_faults as f64 / operations as f64),
        driver_busy: all.driver_busy(),
        merits: Merits::new(trials, bases, value),
        alone,
    })
}

/// A trial alone, as if it had been a single turn.
fn as_turn(metrics: &Metrics) -> Turn {
    let thawed = Thawed {
        elapsed_ns: metrics.elapsed_ns,
        operations: metrics.ops,
        cpu_ns: metrics.cpu_ns,
        driver_cpu_ns: metrics.load.as_ref().map_or(0, |load| load.busy_ns),
        page_faults: metrics.page_faults,
    };
    Turn { elapsed_ns: metrics.elapsed_ns, operations: metrics.ops, waited_ns: 0, thawed }
}

pub(crate) fn spoils_others(status: Status) -> bool {
    matches!(status, Status::Failed | Status::Crashed | Status::TimedOut)
}

/// The word for a status in tables.
pub(crate) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Unsupported => "unsupported",
        Status::Failed => "failed",
        Status::Crashed => "crashed",
        Status::TimedOut => "timed out",
        Status::Unmeasured => "unmeasured",
    }
}

pub(crate) fn status_tint(status: Status) -> Tint {
    match status {
        Status::Unsupported => Tint::Dim,
        Status::Unmeasured => Tint::Doubtful,
        _ => Tint::Bad,
    }
}

fn status_and_reason(record: &Record) -> (Status, String) {
    match (record.status, &record.reason) {
        (Status::Ok, _) => (Status::Unmeasured, "the record holds no figures".to_owned()),
        (status, Some(reason)) => (status, clean(reason)),
        (status, None) => (status, "no reason was recorded".to_owned()),
    }
}

/// The worst status, and every different way in which the trials of this cell went wrong.
fn no_figures(trials: &[&Record]) -> Outcome {
    let mut ways: Vec<((Status, String), u64)> = Vec::new();
    for record in trials.iter().filter(|record| !record.has_figures()) {
        let way = status_and_reason(record);
        match ways.iter_mut().find(|(known, _)| *known == way) {
            Some((_, count)) => *count += 1,
            None => ways.push((way, 1)),
        }
    }
    ways.sort_by_key(|((status, _), _)| severity(*status));
    let all = trials.len() as u64;
    let text = ways
        .iter()
        .map(|((status, reason), count)| {
            let word = status_word(*status);
            match *count {
                _ if all == 1 || *status == Status::Unsupported => format!("{word}: {reason}"),
                count if count == all => format!("{word} in all {all} trials: {reason}"),
                count => format!("{word} {count} of {}: {reason}", counted(all, "trial")),
            }
        })
        .collect::<Vec<_>>()
        .join("; ");
    let status = ways.first().map_or(Status::Unmeasured, |((status, _), _)| *status);
    Outcome::NoFigures { status, text }
}

/// Worst first; also the order of the rows beneath a table's figures.
pub(crate) fn severity(status: Status) -> Option<usize> {
    use Status::{Crashed, Failed, Ok, TimedOut, Unmeasured, Unsupported};
    let worst_first = [Failed, Crashed, TimedOut, Unmeasured, Unsupported, Ok];
    worst_first.iter().position(|known| *known == status)
}

fn together(trials: &[&Metrics]) -> Alone {
    let all = || trials.iter().copied();
    let most = |read: fn(&Metrics) -> u64| all().map(read).max().unwrap_or_default();
    let sum = |read: fn(&Metrics) -> u64| all().map(read).fold(0, u64::saturating_add);
    let in_flight: Vec<f64> = all().map(|metrics| metrics.concurrency.mean).collect();
    let mut groups: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut clients: BTreeMap<String, Histogram> = BTreeMap::new();
    let mut steps: BTreeMap<String, Histogram> = BTreeMap::new();
    let mut cancelled: BTreeMap<String, u64> = BTreeMap::new();
    for metrics in all() {
        for group in &metrics.groups {
            groups.entry(group.name.clone()).or_default().push(group.ops_per_sec);
            if group.load.is_some() {
                let latency = clients.entry(group.name.clone()).or_default();
                latency.merge(&group.latency_ns.histogram);
            }
        }
        for (name, latency) in &metrics.steps {
            steps.entry(name.clone()).or_default().merge(&latency.histogram);
        }
        for (name, count) in &metrics.cancelled {
            *cancelled.entry(name.clone()).or_default() += count;
        }
    }
    let group = |(name, rates): (String, Vec<f64>)| {
        (name, Rate { per_sec: median(&rates).unwrap_or_default(), spread: spread(&rates) })
    };
    Alone {
        starving: starving(all()),
        keeps_rate: keeps_rate(trials),
        latency: pooled(all().map(|metrics| &metrics.latency_ns)),
        in_flight_peak: most(|metrics| metrics.concurrency.peak),
        in_flight_mean: mean(&in_flight).unwrap_or_default(),
        threads_peak: most(|metrics| metrics.threads.peak),
        threads_loops: most(|metrics| metrics.threads.loops),
        threads_kernel: most(|metrics| metrics.threads.kernel),
        stalls: sum(|metrics| metrics.stalls.count),
        stalls_longest_ns: most(|metrics| metrics.stalls.longest_ns),
        stalls_cause: main_cause([
            ("cpu", sum(|metrics| metrics.stalls.cpu_ns)),
            ("queue", sum(|metrics| metrics.stalls.run_queue_ns)),
            ("blocked", sum(|metrics| metrics.stalls.blocked_ns)),
            ("unended", sum(|metrics| metrics.stalls.unfinished_ns)),
        ]),
        impact: all()
            .any(|metrics| metrics.impact_ns.is_some())
            .then(|| pooled(all().filter_map(|metrics| metrics.impact_ns.as_ref()))),
        rss_peak_bytes: most(|metrics| metrics.rss_bytes.peak),
        evidence: None,
        groups: groups.into_iter().map(group).collect(),
        clients,
        steps,
        cancelled,
        connect: pooled_if_any(loads(trials).filter_map(|load| load.connect_ns.as_ref())),
        first_answer: pooled_if_any(loads(trials).filter_map(|it| it.first_answer_ns.as_ref())),
        all_accepted_ns: median_of(many(trials).filter_map(|(_, load)| load.all_accepted_ns)),
        rss_per_connection: median_of(
            many(trials).filter_map(|(metrics, _)| metrics.rss_per_connection()),
        ),
    }
}

fn loads<'a>(trials: &'a [&'a Metrics]) -> impl Iterator<Item = &'a LoadMetrics> {
    trials.iter().filter_map(|metrics| metrics.load.as_ref())
}

/// The trials with many connections.
fn many<'a>(trials: &'a [&'a Metrics]) -> impl Iterator<Item = (&'a Metrics, &'a LoadMetrics)> {
    let loads = trials.iter().filter_map(|metrics| Some((*metrics, metrics.load.as_ref()?)));
    loads.filter(|(_, load)| load.connections >= MANY_CONNECTIONS)
}

fn median_of(values: impl Iterator<Item = u64>) -> Option<u64> {
    let values: Vec<f64> = values.map(|value| value as f64).collect();
    median(&values).map(|value| value as u64)
}

fn pooled_if_any<'a>(latencies: impl Iterator<Item = &'a Latency>) -> Option<Histogram> {
    let pooled = pooled(latencies);
    (!pooled.is_empty()).then_some(pooled)
}

/// By the median trial, so that one that the machine spoilt does not decide.
fn keeps_rate(trials: &[&Metrics]) -> Option<bool> {
    let share = |metrics: &&Metrics| {
        let asked = metrics.load.as_ref()?.asked_per_sec?;
        Some(metrics.ops_per_sec / asked as f64)
    };
    let shares: Vec<f64> = trials.iter().filter_map(share).collect();
    Some(median(&shares)? >= KEPT)
}

/// At a fixed rate there may be fewer requests than connections; each then needs its own connection.
fn starving<'a>(trials: impl Iterator<Item = &'a Metrics>) -> Option<(u64, u64)> {
    trials
        .filter_map(|metrics| Some((metrics.ops, metrics.load.as_ref()?)))
        .filter(|(ops, load)| {
            let asked = if load.asked_per_sec.is_some() { *ops } else { u64::MAX };
            load.connections_served + load.connections_idle < load.connections.min(asked)
        })
        .map(|(_, load)| (load.connections_served, load.connections))
        .min()
}

/// What took more time than anything else.
fn main_cause(times: [(&'static str, u64); 4]) -> Option<&'static str> {
    times.into_iter().filter(|(_, ns)| *ns > 0).max_by_key(|(_, ns)| *ns).map(|(cause, _)| cause)
}

/// One histogram of all trials: a quantile of it weighs every operation alike, which a mean of
/// the trials' quantiles does not.
fn pooled<'a>(latencies: impl Iterator<Item = &'a Latency>) -> Histogram {
    let mut all = Histogram::default();
    for latency in latencies {
        all.merge(&latency.histogram);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    fn text_of(statuses: &[(Status, &str)]) -> String {
        let records: Vec<Record> = statuses
            .iter()
            .zip(0..)
            .map(|((status, reason), trial)| match status {
                Status::Ok => sample::ok("a/b/c", trial, 10.0, 5),
                status => sample::no_figures("a/b/c", trial, *status, Some(reason)),
            })
            .collect();
        let cells = Cell::all_of(&records);
        assert_eq!(cells.len(), 1);
        match &cells[0].outcome {
            Outcome::Measured(_) => "figures".to_owned(),
            Outcome::NoFigures { text, .. } => text.clone(),
        }
    }

    #[test]
    fn one_bad_trial_takes_the_figures_of_all() {
        use Status::{Crashed, Failed, Ok, TimedOut, Unmeasured, Unsupported};
        assert_eq!(text_of(&[(Ok, ""), (Ok, "")]), "figures");
        assert_eq!(text_of(&[(Ok, ""), (Unmeasured, "interrupted")]), "figures");
        assert_eq!(text_of(&[(Ok, ""), (Failed, "lied"), (Ok, "")]), "failed 1 of 3 trials: lied");
        assert_eq!(
            text_of(&[(TimedOut, "slow"), (TimedOut, "slow")]),
            "timed out in all 2 trials: slow"
        );
        assert_eq!(
            text_of(&[(Unsupported, "no ring"), (Unsupported, "no ring")]),
            "unsupported: no ring"
        );
        assert_eq!(
            text_of(&[(Crashed, "signal 6"), (Failed, "lied"), (Crashed, "signal 11")]),
            "failed 1 of 3 trials: lied; crashed 1 of 3 trials: signal 6; crashed 1 of 3 trials: signal 11"
        );
        assert_eq!(text_of(&[(Unmeasured, "would not build")]), "unmeasured: would not build");
    }

    #[test]
    fn each_figure_combines_trials_in_its_own_way() {
        let records = [
            sample::edit(sample::ok("a/b/c", 0, 100.0, 10), |metrics| {
                metrics.stalls.count = 2;
                metrics.stalls.longest_ns = 11;
                metrics.threads.peak = 9;
                metrics.cpu_ns = 1_000;
            }),
            sample::edit(sample::ok("a/b/c", 1, 300.0, 1_000), |metrics| {
                metrics.stalls.count = 1;
                metrics.stalls.longest_ns = 30;
                metrics.cpu_ns = 7_000;
            }),
        ];
        let cells = Cell::all_of(&records);
        let figures = cells[0].figures().unwrap();
        assert_eq!(figures.rate, Rate { per_sec: 200.0, spread: Some(0.5) });
        assert_eq!(figures.cpu_ns_per_op, Some(20));
        let alone = figures.alone.as_ref().unwrap();
        assert_eq!((alone.stalls, alone.stalls_longest_ns), (3, 30));
        assert_eq!(alone.threads_peak, 9);
        assert_eq!(alone.latency.count(), 204);
        assert!(alone.latency.quantile(0.25) < 20_000 && alone.latency.quantile(0.75) > 900_000);
    }

    #[test]
    fn throughput_and_cpu_come_from_turns_if_any() {
        let case = sample::InTurns::new(10);
        let mut records = case.records(&[("a/b/c", 5_000.0)]);
        let cells = Cell::all_of(&records);
        assert!(cells[0].figures().unwrap().alone.is_none());
        records.push(sample::ok("a/b/c", 0, 100.0, 10));
        let cells = Cell::all_of(&records);
        let figures = cells[0].figures().unwrap();
        assert!(figures.is_in_turns && figures.alone.is_some());
        assert!((figures.rate.per_sec / 5_000.0 - 1.0).abs() < 0.05, "{:?}", figures.rate);
        // One bad start takes the figures of both passes.
        (records[3].status, records[3].turns) = (Status::Crashed, None);
        assert!(Cell::all_of(&records)[0].figures().is_none());
    }

    #[test]
    fn starved_connections_had_requests() {
        for (ops, asked_per_sec, served, expected) in [
            (5_000.0, None, 4_096, None),
            (5_000.0, None, 4_095, Some((4_095, 4_096))),
            (900.0, None, 900, Some((900, 4_096))),
            (900.0, Some(1_000), 900, None),
            (900.0, Some(1_000), 3, Some((3, 4_096))),
            (5_000.0, Some(5_000), 4_000, Some((4_000, 4_096))),
        ] {
            let mut metrics = sample::metrics(ops, 300);
            metrics.load = Some(sample::load(4_096, served, asked_per_sec));
            assert_eq!(starving([&metrics].into_iter()), expected, "{asked_per_sec:?} {served}");
        }
    }
}
