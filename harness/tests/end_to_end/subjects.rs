//! What every subject has to do. The scenarios in `specs/subjects` run once on every subject, and
//! each test checks their records.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use quadrant_reports::record::{Latency, Metrics, Record, Status};

use crate::stage::{Stage, Subject, ordinary_subjects, was_starved};

/// For all subjects, one after the other, through all scenarios.
const LIMIT: Duration = Duration::from_secs(900);

fn records() -> &'static [Record] {
    static RECORDS: OnceLock<Vec<Record>> = OnceLock::new();
    RECORDS.get_or_init(|| {
        let stage = Stage::new();
        let specs = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/subjects");
        let what = [specs, "-r", "**", "--trials", "1", "--seed", "1"];
        stage.measure(&what, &["--time-limit", "60"], LIMIT).1
    })
}

/// `steps step=yield tokio/multi-thread/epoll`.
fn cell(record: &Record) -> String {
    let case: String =
        record.case.iter().map(|value| format!(" {}={}", value.axis, value.value)).collect();
    format!("{}{case} on {}", record.scenario, record.subject.id)
}

fn value<'a>(record: &'a Record, axis: &str) -> &'a str {
    record.case.iter().find(|value| value.axis == axis).map_or("", |value| &value.value)
}

/// Checks all records that have figures, and reports every error, not only the first.
#[track_caller]
fn check_each(look: impl Fn(&Record, &Metrics) -> Result<(), String>) {
    let mut errors = Vec::new();
    let mut looked_at = 0;
    for record in records() {
        if let Some(metrics) = &record.metrics {
            looked_at += 1;
            errors
                .extend(look(record, metrics).err().map(|why| format!("{}: {why}", cell(record))));
        }
    }
    assert!(looked_at > 0, "there are no figures at all");
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, seen: T, expected: T) -> Result<(), String> {
    if seen == expected { Ok(()) } else { Err(format!("{what}: {seen:?}, not {expected:?}")) }
}

fn holds(what: &str, condition: bool) -> Result<(), String> {
    if condition { Ok(()) } else { Err(what.to_owned()) }
}

/// The capabilities that a case needs, by the meaning of its steps.
fn needs(record: &Record) -> Vec<&'static str> {
    let how = value(record, "how");
    let step = value(record, "step");
    match record.scenario.as_str() {
        "echo" | "echo-many" | "echo-rate" => vec!["echo"],
        "echo-how" => vec!["tcp"],
        "beside" => vec!["tcp", "tasks", "timers"],
        "files" if how == "await" => vec!["tasks", "files"],
        "connect" if how == "await" => vec!["tasks", "connect"],
        "steps" if step == "sleep-await" => vec!["tasks", "timers"],
        "waiting" | "every" => vec!["tasks", "timers"],
        _ if how == "offload" || step.ends_with("-offload") => vec!["tasks", "offload"],
        "steps" | "files" | "connect" | "spawning" | "nested" => vec!["tasks"],
        other => panic!("what does `{other}` need?"),
    }
}

fn offers(subject: &Subject, need: &str) -> bool {
    subject.capabilities.contains(need) || need == "echo" && subject.capabilities.contains("tcp")
}

pub fn every_subject_has_a_record_of_every_case() {
    let ids: BTreeSet<&str> = ordinary_subjects().iter().map(|subject| &*subject.id).collect();
    let mut cases: Vec<(String, BTreeSet<&str>)> = Vec::new();
    for record in records() {
        let case = format!("{} {:?}", record.scenario, record.case);
        match cases.last_mut().filter(|last| last.0 == case) {
            Some((_, seen)) => assert!(seen.insert(&record.subject.id), "{}", cell(record)),
            None => cases.push((case, BTreeSet::from([&*record.subject.id]))),
        }
    }
    assert!(cases.len() > 40, "{}", cases.len());
    for (case, seen) in cases {
        assert_eq!(seen, ids, "{case}");
    }
}

pub fn a_subject_runs_exactly_what_it_claims() {
    let mut errors = Vec::new();
    for record in records() {
        let Some(subject) =
            ordinary_subjects().iter().find(|subject| subject.id == record.subject.id)
        else {
            panic!("{} is not listed", record.subject.id)
        };
        let reason = record.reason.as_deref().unwrap_or_default();
        let lacks = needs(record).into_iter().find(|need| !offers(subject, need));
        let holds_fewer = reason.contains("tasks at once and this executor holds");
        let well = match record.status {
            Status::Ok => subject.available && lacks.is_none() && record.metrics.is_some(),
            Status::Unsupported if !subject.available => Some(reason) == subject.reason.as_deref(),
            Status::Unsupported => {
                lacks.is_some() && reason.starts_with("this executor has no ") || holds_fewer
            }
            // Repeated several times, and each time the machine stood still.
            _ => was_starved(record),
        };
        if !well {
            errors.push(format!(
                "{}: {:?} {reason} (lacks {lacks:?}, available: {})",
                cell(record),
                record.status,
                subject.available
            ));
        }
    }
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

pub fn fixed_work_is_done_exactly() {
    check_each(|record, metrics| {
        let count = |name: &str| metrics.steps.get(name).map_or(0, |row| row.histogram.count());
        let (ops, rows): (u64, &[(&str, u64)]) = match &*record.scenario {
            "steps" => match value(record, "step") {
                "spawn-join" => (20, &[("step", 20), ("inner", 200)]),
                "gather" | "sequence" => (20, &[("step", 20), ("inner", 20), ("second", 20)]),
                "repeat" => (20, &[("step", 20), ("inner", 140)]),
                _ => (20, &[("step", 20)]),
            },
            "files" => (48, &[("step", 48)]),
            "connect" => (20, &[("step", 20)]),
            "waiting" => (200, &[("step", 200)]),
            "spawning" if value(record, "children") == "1000" => {
                (2, &[("step", 2), ("inner", 2_000)])
            }
            "spawning" => (2, &[("step", 2), ("inner", 200_000)]),
            _ => return Ok(()),
        };
        same("operations", metrics.ops, ops)?;
        same("latencies", metrics.latency_ns.histogram.count(), ops)?;
        same("rows", metrics.steps.len(), rows.len())?;
        rows.iter().try_for_each(|(name, times)| same(name, count(name), *times))
    });
}

pub fn figures_are_consistent() {
    check_each(|_, metrics| {
        holds("no operation", metrics.ops > 0)?;
        same("errors", metrics.errors, 0)?;
        holds("no time", metrics.elapsed_ns > 0)?;
        let per_sec = metrics.ops as f64 * 1e9 / metrics.elapsed_ns as f64;
        holds("the rate is another", (metrics.ops_per_sec / per_sec - 1.0).abs() < 1e-6)?;
        let groups = metrics.groups.iter().map(|group| &group.latency_ns);
        let rows = metrics.steps.values().chain(groups).chain([&metrics.latency_ns]);
        for row in rows {
            let Latency { min, p50, p90, p99, p999, max, .. } = row;
            let ordered = [min, p50, p90, p99, p999].is_sorted() && max >= min;
            holds("latencies are out of order", ordered)?;
        }
        holds("no CPU time", metrics.cpu_ns > 0)?;
        holds("no memory", metrics.rss_bytes.peak >= metrics.rss_bytes.start)?;
        holds("no polls", metrics.stalls.polls > 0)
    });
}

pub fn operations_in_flight_match_the_scenario() {
    check_each(|record, metrics| {
        let expected = match &*record.scenario {
            "echo" => value(record, "connections").parse().unwrap(),
            "echo-many" => 4_096,
            "waiting" => 50,
            _ => return Ok(()),
        };
        let peak = metrics.concurrency.peak;
        // If the machine was too busy to serve every connection once, the record has the number.
        let served = metrics.load.as_ref().map_or(expected, |load| load.connections_served);
        let is_reported = served < expected;
        holds(&format!("{peak} in flight, not {expected}"), peak == expected || is_reported)?;
        holds("more in flight than there is", peak <= expected)?;
        holds("the mean is above the peak", metrics.concurrency.mean <= expected as f64 + 0.01)
    });
}

pub fn sleeps_and_ticks_are_never_too_early() {
    check_each(|record, metrics| match &*record.scenario {
        "waiting" => {
            // A bucket of the histogram is at most 1.6 % wide.
            holds("woke too soon", metrics.latency_ns.min >= 98_000_000)
        }
        "steps" if value(record, "step").starts_with("sleep") => {
            holds("woke too soon", metrics.latency_ns.min >= 980_000)
        }
        "every" => {
            // A loop that was late before the window catches up in it.
            let due = 2 * (metrics.elapsed_ns / 5_000_000 + 2);
            holds(&format!("{} operations, {due} due", metrics.ops), metrics.ops <= due + due / 4)
        }
        _ => Ok(()),
    });
}

pub fn tasks_beside_requests_are_counted_too() {
    check_each(|record, metrics| {
        if record.scenario != "beside" {
            return Ok(());
        }
        let groups: Vec<&str> = metrics.groups.iter().map(|group| &*group.name).collect();
        same("groups", groups, vec!["waiter", "yielder"])?;
        holds("a group did nothing", metrics.groups.iter().all(|group| group.ops > 0))?;
        same("waiters at once", metrics.groups[0].concurrency.peak, 3)?;
        holds("no work", metrics.steps.get("work").is_some_and(|row| row.histogram.count() > 0))
    });
}

/// A runtime may poll a child inside its parent's poll. The thread's time is counted once.
pub fn stall_time_never_exceeds_the_loops_time() {
    check_each(|record, metrics| {
        let stalls = &metrics.stalls;
        let most = metrics.elapsed_ns * metrics.threads.loops;
        let seen = format!("{stalls:?} on {} loops", metrics.threads.loops);
        // Work done while the window closes may be counted.
        holds(&seen, stalls.total_ns <= most + most / 100)?;
        if record.scenario == "nested" {
            // No task waits inside a poll there. CPU time that the host took looks like waiting.
            let stolen_ns = record.noise.as_ref().map_or(0, |noise| noise.steal_ns);
            let blocked_ns = stalls.blocked_ns.saturating_sub(stolen_ns);
            holds(&seen, stalls.count > 0 && blocked_ns * 10 < stalls.total_ns)?;
            holds(&seen, stalls.cpu_ns > stalls.blocked_ns)?;
        }
        Ok(())
    });
}

pub fn every_loop_is_metered() {
    check_each(|record, _| {
        let warned = record.warnings.iter().find(|warning| warning.contains("not metered"));
        warned.map_or(Ok(()), |warning| Err(warning.clone()))
    });
}

pub fn threads_and_loops_match_the_executor() {
    check_each(|record, metrics| {
        let threads = &metrics.threads;
        holds("nobody ran the tasks", threads.loops >= 1)?;
        let seen = format!("{} loops, {} threads", threads.loops, threads.peak);
        match record.subject.workers {
            // A thread for each task. Sampling can miss short-lived threads.
            0 => match &*record.scenario {
                "echo" | "echo-many" => {
                    let connections = metrics.concurrency.peak;
                    holds(&seen, threads.peak > connections && threads.loops >= connections)
                }
                "waiting" => holds(&seen, threads.peak > 50 && threads.loops >= 50),
                _ => Ok(()),
            },
            1 => same("loops", threads.loops, 1),
            workers => {
                holds(&seen, threads.loops <= threads.peak)?;
                holds(&format!("{seen}, {workers} workers"), threads.loops <= u64::from(workers))
            }
        }
    });
}
