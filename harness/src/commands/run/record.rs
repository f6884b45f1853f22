//! Makes the record of a trial out of what the subject, the driver and the onlooker found.

use std::collections::BTreeMap;

use quadrant_reports::record::{
    Concurrency, Cpus, GroupMetrics, Latency, LoadMetrics, Metrics, Noise, Pass, Record, SCHEMA,
    Status, Unended,
};
use quadrant_suite::board::LOOPS_MAX;
use quadrant_suite::histogram::Histogram;
use quadrant_suite::outcome::{Findings, GroupFindings};

use super::cells::PlannedCase;
use super::{load_checks, noise, steadiness, workers};
use crate::adapters::subject::Subject;
use crate::driver::order::Load;
use crate::spec::Expected;
use crate::trial::Measured;
use quadrant_reports::number::counted;

use crate::commands::unmatched;

/// A window longer than asked by this much was not the harness's choice.
const WINDOW_EXCESS_MAX: f64 = 1.2;

/// Fewer bytes from the device than this are told.
const COLD_SHARE_MIN: f64 = 0.95;

/// What one trial came to.
pub struct Verdict {
    pub status: Status,
    pub reason: Option<String>,
    pub metrics: Option<Metrics>,
    pub noise: Option<Noise>,
    pub warnings: Vec<String>,
}

impl Verdict {
    pub fn without_figures(status: Status, reason: String) -> Self {
        Self { status, reason: Some(reason), metrics: None, noise: None, warnings: Vec::new() }
    }

    /// Figures, unless an answer was wrong or an operation failed: then there are none.
    /// `ceiling_per_sec` is a forecast of what the driver could carry, where there is one.
    pub fn of(measured: Measured, case: &PlannedCase, ceiling_per_sec: Option<u64>) -> Self {
        if let Some(reason) = complaint(&measured.findings, measured.load.as_ref()) {
            return Self::without_figures(Status::Failed, reason);
        }
        if let Some(reason) = measured.load.as_ref().and_then(load_checks::why_unmeasured) {
            return Self::without_figures(Status::Unmeasured, reason);
        }
        let mut warnings = measured.load.as_ref().map(load_checks::warnings).unwrap_or_default();
        if measured.findings.strangers > 0 {
            warnings.push(format!(
                "{} to the subject's ports came from other processes; none was served",
                counted(measured.findings.strangers, "connection")
            ));
        }
        let asked_ns = case.measure.as_nanos() as u64;
        if measured.window_ns as f64 > asked_ns as f64 * WINDOW_EXCESS_MAX {
            warnings.push(format!(
                "the window lasted {} ms instead of {} ms: this machine stood still meanwhile",
                measured.window_ns / 1_000_000,
                asked_ns / 1_000_000
            ));
        }
        warnings.extend(steadiness::warning(&measured.progress));
        if measured.loops_unmetered > 0 {
            warnings.push(format!(
                "{} not metered, because the board has room for {LOOPS_MAX}: stalls there are \
                 not counted; ask for fewer tasks at once",
                counted(measured.loops_unmetered, "thread")
            ));
        }
        let done_ns = measured.findings.finished_after_ns;
        let is_done = done_ns.is_some_and(|done_ns| done_ns <= measured.window_ns);
        if !is_done && case.has_fixed_work() {
            warnings.push(format!(
                "the work was not done within {} ms, and the figures are of what was; give the \
                 scenario more (`time: {{measure: …}}`)",
                asked_ns / 1_000_000
            ));
        }
        warnings.extend(measured.cold_share.and_then(cold_warning));
        let noise = measured.noise.clone();
        if let Some(noise) = &noise {
            warnings.extend(noise::warnings(noise, measured.observation.cpu_ns()));
        }
        let mut metrics = metrics(measured);
        if let Some(load) = &mut metrics.load {
            load.ceiling_per_sec = ceiling_per_sec;
        }
        if metrics.ops == 0 {
            let reason = "no operation came to its end within the measuring time; \
                          give the scenario more (`time: {measure: …}`)";
            return Self::without_figures(Status::Unmeasured, reason.to_owned());
        }
        Self { status: Status::Ok, reason: None, metrics: Some(metrics), noise, warnings }
    }
}

pub fn record(
    run_id: &str,
    seed: u64,
    case: &PlannedCase,
    subject: &Subject,
    trial: u32,
    took_ns: u64,
    mut verdict: Verdict,
) -> Record {
    verdict.warnings.extend(case.warnings());
    if let Some(metrics) = &verdict.metrics {
        verdict.warnings.extend(workers::warnings(case, subject));
        verdict.warnings.extend(workers::idle_workers(metrics, subject.workers(case.workers)));
    }
    let expectations = match &verdict.metrics {
        Some(metrics) => case
            .case
            .expectations
            .iter()
            .filter(|expected| concerns(expected, subject))
            .map(|expected| expected.expectation.check(metrics))
            .collect(),
        None => Vec::new(),
    };
    Record {
        schema: SCHEMA,
        run_id: run_id.to_owned(),
        seed,
        scenario: case.scenario.to_owned(),
        question: case.question.to_owned(),
        workload: case.case.work.summary.clone(),
        case: case.case.values.clone(),
        pass: Pass::Alone,
        trial,
        subject: subject.for_record(case.workers),
        workers_asked: case.workers_asked,
        cpus: Some(Cpus {
            subject: case.division.subject.clone(),
            driver: case.load.map_or_else(Vec::new, |_| case.division.driver.clone()),
        }),
        status: verdict.status,
        reason: verdict.reason,
        metrics: verdict.metrics,
        turns: None,
        layout: None,
        evidence: None,
        noise: verdict.noise,
        warnings: verdict.warnings,
        expectations,
        took_ns,
    }
}

fn concerns(expected: &Expected, subject: &Subject) -> bool {
    expected.subjects.as_ref().is_none_or(|pattern| unmatched::matches(pattern, subject))
}

/// Why the figures cannot be believed, in the order of how bad it is.
pub fn complaint(findings: &Findings, load: Option<&Load>) -> Option<String> {
    let first = |text: Option<&String>| {
        text.map_or_else(String::new, |text| format!("; the first: {text}"))
    };
    let wrong_outside = load.map_or(0, |load| load.wrong_answers);
    let wrong = findings.wrong_answers + wrong_outside;
    let load_error = load.and_then(|load| load.first_error.as_ref());
    let any_error = findings.first_error.as_ref().or(load_error);
    if wrong > 0 {
        let text = if wrong_outside > 0 { load_error } else { findings.first_error.as_ref() };
        return Some(format!("{} given{}", counted(wrong, "wrong answer"), first(text)));
    }
    if findings.panics > 0 {
        let text = findings.first_error.as_ref();
        return Some(format!("{} panicked{}", counted(findings.panics, "task"), first(text)));
    }
    let errors = findings.errors + load.map_or(0, |load| load.errors);
    (errors > 0).then(|| format!("{}{}", counted(errors, "error"), first(any_error)))
}

fn cold_warning(share: f64) -> Option<String> {
    (share < COLD_SHARE_MIN).then(|| {
        format!(
            "only {:.0} % of what was read of cold files came from the device: with more files \
             (`files: {{count: …}}`) there is more time to make each cold again",
            share * 100.0
        )
    })
}

fn metrics(measured: Measured) -> Metrics {
    let Measured {
        findings,
        load,
        window_ns,
        progress,
        observation,
        stalls,
        loops,
        rss,
        page_faults,
        ..
    } = measured;
    let elapsed_ns = findings.finished_after_ns.unwrap_or(window_ns).max(1);
    let mut unended = findings.groups.first().map(|group| unended_of(&group.unended));
    let mut load_metrics = None;
    let mut groups: Vec<GroupMetrics> =
        findings.groups.into_iter().map(|group| group_metrics(group, elapsed_ns)).collect();
    let primary = match load {
        Some(load) => {
            unended = Some(unended_of(&load.unanswered));
            load_metrics = Some(load_metrics_of(&load));
            GroupMetrics {
                name: "request".to_owned(),
                ops: load.requests,
                ops_per_sec: per_second(load.requests, elapsed_ns),
                latency_ns: latency(load.latency, &load.unanswered),
                concurrency: concurrency(load.in_flight_peak, load.in_flight_mean_milli),
            }
        }
        None if groups.is_empty() => group_metrics(GroupFindings::default(), elapsed_ns),
        None => groups.remove(0),
    };
    Metrics {
        operation: primary.name,
        ops: primary.ops,
        errors: findings.errors,
        elapsed_ns,
        progress,
        ops_per_sec: primary.ops_per_sec,
        latency_ns: primary.latency_ns,
        unended: unended.unwrap_or_default(),
        load: load_metrics,
        concurrency: primary.concurrency,
        steps: findings
            .rows
            .into_iter()
            .filter(|row| !row.latency.is_empty())
            .map(|row| (row.name, Latency::from(row.latency)))
            .collect::<BTreeMap<_, _>>(),
        groups,
        threads: observation.threads(loops),
        stalls,
        impact_ns: (!findings.impact.is_empty()).then(|| Latency::from(findings.impact)),
        cpu_ns: observation.cpu_ns(),
        page_faults,
        context_switches: observation.context_switches(),
        rss_bytes: rss,
    }
}

fn group_metrics(group: GroupFindings, elapsed_ns: u64) -> GroupMetrics {
    GroupMetrics {
        name: group.name,
        ops: group.ops,
        ops_per_sec: per_second(group.ops, elapsed_ns),
        latency_ns: latency(group.latency, &group.unended),
        concurrency: concurrency(group.in_flight_peak, group.in_flight_mean_milli),
    }
}

/// What was not over when the window closed counts as long as it had taken, where that was longer
/// than 99 of 100: otherwise the worst stall of all would show nowhere.
fn latency(mut ended: Histogram, unended: &Histogram) -> Latency {
    ended.merge_longer(unended, ended.quantile(0.99));
    Latency::from(ended)
}

fn unended_of(histogram: &Histogram) -> Unended {
    Unended { count: histogram.count(), longest_ns: histogram.max() }
}

fn load_metrics_of(load: &Load) -> LoadMetrics {
    LoadMetrics {
        connections: u64::from(load.connections),
        connections_served: u64::from(load.connections_served),
        asked_per_sec: load.asked_per_sec,
        backlog_peak: load.asked_per_sec.map(|_| load.backlog_peak),
        busy_ns: load.busy_ns,
        ceiling_per_sec: None,
        uncorrected_latency_ns: load.uncorrected_latency.clone().map(Latency::from),
        send_lag_ns: load.send_lag.clone().map(Latency::from),
    }
}

fn per_second(ops: u64, elapsed_ns: u64) -> f64 {
    ops as f64 * 1e9 / elapsed_ns as f64
}

fn concurrency(peak: u64, mean_milli: u64) -> Concurrency {
    Concurrency { peak, mean: mean_milli as f64 / 1_000.0 }
}
