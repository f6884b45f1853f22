//! Makes the record of a trial from the findings of the subject, the driver and the observer.
//!
//! Never measures: whatever it needs was measured before.

use quadrant_reports::number::counted;
use quadrant_reports::record::{
    BackendMetrics, Concurrency, Cpus, CutShort, GroupMetrics, Latency, LoadMetrics, Metrics, Pass,
    Record, ResponderMetrics, SCHEMA, Status, Threads, Unended,
};
use quadrant_suite::clock::ClockScale;
use quadrant_suite::histogram::Histogram;
use quadrant_suite::outcome::{Findings, GroupFindings, RowFindings};

use super::planned_case::PlannedCase;
use super::{load_checks, nothing_completed, warnings};
use crate::adapters::subject::Subject;
use crate::commands::selection::unmatched;
use crate::driver::order::Load;
use crate::responder::order::Answers;
use crate::trial::Measured;

/// The record of a trial without a result.
pub fn new(
    run_id: &str,
    seed: u64,
    case: &PlannedCase,
    subject: &Subject,
    pass: Pass,
    trial: u32,
) -> Record {
    Record {
        schema: SCHEMA,
        run_id: run_id.to_owned(),
        seed,
        scenario: case.scenario.to_owned(),
        question: case.question.to_owned(),
        workload: case.case.work.summary.clone(),
        case: case.case.values.clone(),
        crossovers: case.case.work.compares_backends,
        rows_axis: case.rows_axis.map(str::to_owned),
        claim: case.claim.cloned(),
        pass,
        trial,
        subject: subject.for_record(case.workers),
        workers_asked: case.workers_asked,
        cpus: Some(Cpus {
            subject: case.division.subject.clone(),
            driver: match !case.load().is_empty() || case.queries() {
                true => case.division.driver.clone(),
                false => Vec::new(),
            },
        }),
        status: Status::Unmeasured,
        reason: None,
        metrics: None,
        turns: None,
        cut_short: None,
        layout: None,
        evidence: None,
        noise: None,
        warnings: Vec::new(),
        expectations: Vec::new(),
        took_ns: 0,
    }
}

/// Puts the result of a trial into its record: figures, or the reason why there are none.
/// `ceiling_per_sec` is a forecast of the driver's highest rate, where there is one.
pub fn fill(
    record: &mut Record,
    measured: Measured,
    case: &PlannedCase,
    ceiling_per_sec: Option<u64>,
) {
    let warnings = warnings::of_trial(&measured, case);
    let noise = measured.noise.clone();
    match figures(measured, case, case.advice_on_time()) {
        Ok(mut metrics) => {
            if let Some(load) = &mut metrics.load {
                load.ceiling_per_sec = ceiling_per_sec;
            }
            record.status = Status::Ok;
            record.metrics = Some(metrics);
            record.noise = noise;
            record.warnings = warnings;
        }
        Err((status, reason)) => (record.status, record.reason) = (status, Some(reason)),
    }
}

/// What the load had shown when the subject ended.
pub fn cut_short(load: Load) -> CutShort {
    let elapsed_ns = load.window_ns.max(1);
    CutShort {
        elapsed_ns,
        errors: load.errors,
        wrong_answers: load.wrong_answers,
        load: load_metrics(&load),
        requests: request_metrics(load, elapsed_ns),
    }
}

/// Adds what follows from the case: its warnings, and the expectations checked.
pub fn complete(record: &mut Record, case: &PlannedCase, subject: &Subject) {
    record.warnings.extend(case.warnings());
    if let Some(metrics) = &record.metrics {
        record.warnings.extend(warnings::workers(case, subject));
        record.warnings.extend(warnings::idle_workers(metrics, subject.workers(case.workers)));
    }
    // A claim cannot be told where a figure is missing that it needs.
    let is_claim = case.claim.is_some_and(|claim| claim.sentence.is_some());
    if record.metrics.is_some() || (is_claim && record.pass == Pass::Alone) {
        let all = case.case.expectations.iter();
        let applies = all.filter(|expected| {
            let pattern = expected.subjects.as_ref();
            pattern.is_none_or(|pattern| unmatched::matches(pattern, subject))
        });
        let metrics = record.metrics.as_ref();
        let checked = applies.map(|it| it.expectation.check(metrics, &it.when));
        record.expectations = checked.collect();
    }
}

/// The figures of a trial. There are none when an answer was wrong or an operation failed. `advice`
/// is for an operation that needs more time.
pub fn figures(
    measured: Measured,
    case: &PlannedCase,
    advice: String,
) -> Result<Metrics, (Status, String)> {
    if let Some(reason) = error(&measured.findings, measured.load.as_ref()) {
        return Err((Status::Failed, reason));
    }
    if let Some(reason) = measured.load.as_ref().and_then(load_checks::why_unmeasured) {
        return Err((Status::Unmeasured, reason));
    }
    let done = measured.load.as_ref().map(|load| load.requests);
    let done = done.or_else(|| Some(measured.findings.groups.first()?.ops));
    if done.unwrap_or_default() == 0 {
        return Err((Status::Unmeasured, nothing_completed::why(&measured, case, advice)));
    }
    let metrics = metrics(measured, case.clock());
    Ok(metrics)
}

/// The worst error in a trial, in words.
pub fn error(findings: &Findings, load: Option<&Load>) -> Option<String> {
    let inside = findings.first_error.as_ref();
    let outside = load.and_then(|load| load.first_error.as_ref());
    let wrong_outside = load.map_or(0, |load| load.wrong_answers);
    let wrong = findings.wrong_answers + wrong_outside;
    let errors = findings.errors + load.map_or(0, |load| load.errors);
    let (what, first) = if wrong > 0 {
        let first = if wrong_outside > 0 { outside } else { inside };
        (format!("{} given", counted(wrong, "wrong answer")), first)
    } else if findings.panics > 0 {
        (format!("{} panicked", counted(findings.panics, "task")), inside)
    } else if errors > 0 {
        (counted(errors, "error"), inside.or(outside))
    } else {
        return None;
    };
    let first = first.map_or_else(String::new, |text| format!("; the first: {text}"));
    Some(what + &first)
}

fn metrics(measured: Measured, clock: ClockScale) -> Metrics {
    let Measured { findings, load, observation, .. } = measured;
    let elapsed_ns = findings.finished_after_ns.unwrap_or(measured.window_ns).max(1);
    let mut unended = findings.groups.first().map(|group| unended_of(&group.unended));
    let mut groups: Vec<GroupMetrics> =
        findings.groups.into_iter().map(|group| group_metrics(group, elapsed_ns)).collect();
    let responder = measured.answers.map(responder_metrics);
    let accepted_at = findings.all_accepted_at;
    let load_metrics = load.as_ref().map(|load| LoadMetrics {
        all_accepted_ns: accepted_at.map(|at| clock.ns_between(load.connects_from, at)),
        ..load_metrics(load)
    });
    let primary = match load {
        Some(mut load) => {
            unended = Some(unended_of(&load.unanswered));
            groups.splice(..0, client_metrics(std::mem::take(&mut load.groups), elapsed_ns));
            request_metrics(load, elapsed_ns)
        }
        None if groups.is_empty() => group_metrics(GroupFindings::default(), elapsed_ns),
        None => groups.remove(0),
    };
    let cancelled = |row: &RowFindings| Some((row.name.clone(), row.cancelled?));
    let cancelled = findings.rows.iter().filter_map(cancelled).collect();
    let steps = findings.rows.into_iter().filter(|row| !row.latency.is_empty());
    Metrics {
        operation: primary.name,
        ops: primary.ops,
        errors: findings.errors,
        elapsed_ns,
        progress: measured.progress,
        ops_per_sec: primary.ops_per_sec,
        latency_ns: primary.latency_ns,
        unended: unended.unwrap_or_default(),
        load: load_metrics,
        responder,
        concurrency: primary.concurrency,
        steps: steps.map(|row| (row.name, Latency::from(row.latency))).collect(),
        cancelled,
        shared_types: findings.shared_types,
        groups,
        threads: Threads {
            migrations: Some(measured.migrations),
            ..observation.threads(measured.loops)
        },
        stalls: measured.stalls,
        impact_ns: (!findings.impact.is_empty()).then(|| Latency::from(findings.impact)),
        cpu_ns: observation.cpu_ns(),
        page_faults: measured.page_faults,
        context_switches: observation.context_switches(),
        rss_bytes: measured.rss,
    }
}

/// The requests of the driver's clients, or of a group of them.
pub fn request_metrics(load: Load, elapsed_ns: u64) -> GroupMetrics {
    let requests = GroupFindings {
        name: if load.name.is_empty() { "request".to_owned() } else { load.name },
        ops: load.requests,
        latency: load.latency,
        unended: load.unanswered,
        in_flight_peak: load.in_flight_peak,
        in_flight_mean_milli: load.in_flight_mean_milli,
    };
    group_metrics(requests, elapsed_ns)
}

/// The groups of clients that have names.
pub fn client_metrics(groups: Vec<Load>, elapsed_ns: u64) -> Vec<GroupMetrics> {
    let metrics = |group: Load| GroupMetrics {
        load: Some(load_metrics(&group)),
        ..request_metrics(group, elapsed_ns)
    };
    groups.into_iter().map(metrics).collect()
}

fn group_metrics(group: GroupFindings, elapsed_ns: u64) -> GroupMetrics {
    // An operation that was not over when the window closed counts with the time it had taken,
    // where that was longer than 99 of 100: otherwise the worst stall would show nowhere.
    let mut latency = group.latency;
    latency.merge_longer(&group.unended, latency.quantile(0.99));
    GroupMetrics {
        name: group.name,
        ops: group.ops,
        ops_per_sec: group.ops as f64 * 1e9 / elapsed_ns as f64,
        latency_ns: Latency::from(latency),
        concurrency: Concurrency {
            peak: group.in_flight_peak,
            mean: group.in_flight_mean_milli as f64 / 1_000.0,
        },
        load: None,
    }
}

fn responder_metrics(answers: Answers) -> ResponderMetrics {
    let backends = answers.backends.into_iter().map(|backend| BackendMetrics {
        name: backend.name,
        answers: backend.delay.count(),
        delay_ns: Latency::from(backend.delay),
        in_flight_peak: backend.in_flight_peak,
    });
    ResponderMetrics {
        backends: backends.collect(),
        lateness_ns: Latency::from(answers.lateness),
        busy_ns: answers.busy_ns,
    }
}

pub fn unended_of(histogram: &Histogram) -> Unended {
    Unended { count: histogram.count(), longest_ns: histogram.max() }
}

/// Nothing of nothing.
fn latency_if_any(histogram: Histogram) -> Option<Latency> {
    (!histogram.is_empty()).then(|| Latency::from(histogram))
}

pub fn load_metrics(load: &Load) -> LoadMetrics {
    LoadMetrics {
        connections: u64::from(load.connections),
        connections_served: u64::from(load.connections_served),
        connections_idle: u64::from(load.connections_idle),
        asked_per_sec: load.asked_per_sec,
        // Several groups have no peak together.
        backlog_peak: load
            .asked_per_sec
            .filter(|_| load.groups.len() < 2)
            .map(|_| load.backlog_peak),
        busy_ns: load.busy_ns,
        ceiling_per_sec: None,
        uncorrected_latency_ns: load.uncorrected_latency.clone().map(Latency::from),
        connect_ns: load.connect.clone().and_then(latency_if_any),
        first_answer_ns: load.first_answer.clone().and_then(latency_if_any),
        all_accepted_ns: None,
        send_lag_ns: load.send_lag.clone().map(Latency::from),
        ramp: load.ramp.clone(),
    }
}
