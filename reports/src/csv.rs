//! One row for each record, for spreadsheets and data frames.
//!
//! Never rounds: integers in nanoseconds, bytes and counts, as in the record.

use std::collections::BTreeMap;

use serde_json::json;

use crate::figures::status_word;
use crate::record::{Evidence, Latency, Metrics, Noise, Pass, Record, Turns};
use crate::turns::{self, Turn};

type Field = (&'static str, fn(&Record) -> String);
type Figure = (&'static str, fn(&Metrics) -> String);
type NoiseField = (&'static str, fn(&Noise) -> String);
type TurnsField = (&'static str, fn(&Turns, &Turn) -> String);

const FIELDS: [Field; 28] = [
    ("schema", |r| r.schema.to_string()),
    ("run_id", |r| r.run_id.clone()),
    ("seed", |r| r.seed.to_string()),
    ("scenario", |r| r.scenario.clone()),
    ("case", case),
    ("workload", |r| r.workload.clone()),
    ("pass", |r| match r.pass {
        Pass::Alone => "alone".to_owned(),
        Pass::Turns => "turns".to_owned(),
    }),
    ("trial", |r| r.trial.to_string()),
    ("subject", |r| r.subject.id.clone()),
    ("runtime", |r| r.subject.runtime.clone()),
    ("version", |r| r.subject.version.clone()),
    ("executor", |r| r.subject.executor.clone()),
    ("backend", |r| r.subject.backend.clone()),
    ("workers", |r| r.subject.workers.to_string()),
    ("workers_asked", |r| r.workers_asked.map_or_else(String::new, |asked| asked.to_string())),
    ("status", |r| status_word(r.status).replace(' ', "_")),
    ("reason", |r| r.reason.clone().unwrap_or_default()),
    ("warnings", |r| r.warnings.join("; ")),
    ("expectations_met", |r| {
        r.expectations.iter().filter(|checked| checked.met).count().to_string()
    }),
    ("expectations_missed", |r| {
        let missed = r.expectations.iter().filter(|checked| !checked.met);
        missed.map(|checked| checked.expected.as_str()).collect::<Vec<_>>().join("; ")
    }),
    ("note", |r| r.subject.note.clone().unwrap_or_default()),
    ("took_ns", |r| r.took_ns.to_string()),
    ("environment_bytes", |r| {
        r.layout.map_or_else(String::new, |layout| layout.environment_bytes.to_string())
    }),
    ("first_allocation_bytes", |r| {
        r.layout.map_or_else(String::new, |layout| layout.first_allocation_bytes.to_string())
    }),
    ("backend_seen", |r| evidence(r, |seen| seen.backend_seen.to_string())),
    ("backend_agrees", |r| evidence(r, |seen| seen.agrees.to_string())),
    ("evidence_ops", |r| evidence(r, |seen| seen.ops.to_string())),
    ("syscalls_json", |r| evidence(r, |seen| json!(seen.syscalls).to_string())),
];

/// Empty in a record without metrics.
const FIGURES: [Figure; 37] = [
    ("operation", |m| m.operation.clone()),
    ("ops", |m| m.ops.to_string()),
    ("errors", |m| m.errors.to_string()),
    ("elapsed_ns", |m| m.elapsed_ns.to_string()),
    ("ops_per_sec", |m| m.ops_per_sec.to_string()),
    ("latency_min_ns", |m| m.latency_ns.min.to_string()),
    ("latency_p50_ns", |m| m.latency_ns.p50.to_string()),
    ("latency_p90_ns", |m| m.latency_ns.p90.to_string()),
    ("latency_p99_ns", |m| m.latency_ns.p99.to_string()),
    ("latency_p999_ns", |m| m.latency_ns.p999.to_string()),
    ("latency_max_ns", |m| m.latency_ns.max.to_string()),
    ("latency_mean_ns", |m| m.latency_ns.mean.to_string()),
    ("concurrency_peak", |m| m.concurrency.peak.to_string()),
    ("concurrency_mean", |m| m.concurrency.mean.to_string()),
    ("threads_peak", |m| m.threads.peak.to_string()),
    ("threads_mean", |m| m.threads.mean.to_string()),
    ("threads_loops", |m| m.threads.loops.to_string()),
    ("threads_kernel", |m| m.threads.kernel.to_string()),
    ("threads_created", |m| {
        m.threads.created.map_or_else(String::new, |created| created.to_string())
    }),
    ("threads_method", |m| m.threads.method.clone()),
    ("stalls_threshold_ns", |m| m.stalls.threshold_ns.to_string()),
    ("stalls_count", |m| m.stalls.count.to_string()),
    ("stalls_longest_ns", |m| m.stalls.longest_ns.to_string()),
    ("stalls_total_ns", |m| m.stalls.total_ns.to_string()),
    ("stalls_cpu_ns", |m| m.stalls.cpu_ns.to_string()),
    ("stalls_run_queue_ns", |m| m.stalls.run_queue_ns.to_string()),
    ("stalls_blocked_ns", |m| m.stalls.blocked_ns.to_string()),
    ("stalls_count_1ms", |m| m.stalls.count_1ms.to_string()),
    ("stalls_count_100ms", |m| m.stalls.count_100ms.to_string()),
    ("cpu_ns", |m| m.cpu_ns.to_string()),
    ("page_faults", |m| m.page_faults.to_string()),
    ("context_switches_voluntary", |m| m.context_switches.voluntary.to_string()),
    ("context_switches_involuntary", |m| m.context_switches.involuntary.to_string()),
    ("rss_start_bytes", |m| m.rss_bytes.start.to_string()),
    ("rss_peak_bytes", |m| m.rss_bytes.peak.to_string()),
    ("groups_json", groups),
    ("steps_json", steps),
];

/// Sums over the rounds of a start; empty in a trial alone. `thawed` is from being thawed to being
/// frozen again, which is what CPU time and page faults are counted over.
const TURNS: [TurnsField; 11] = [
    ("turns_group", |turns, _| turns.group.to_string()),
    ("turns_reference", |turns, _| turns.reference.clone().unwrap_or_default()),
    ("turns_operation", |turns, _| turns.operation.clone()),
    ("turns_rounds", |turns, _| turns.rounds.len().to_string()),
    ("turns_ops", |_, sum| sum.operations.to_string()),
    ("turns_elapsed_ns", |_, sum| sum.elapsed_ns.to_string()),
    ("turns_thawed_ops", |_, sum| sum.thawed.operations.to_string()),
    ("turns_thawed_ns", |_, sum| sum.thawed.elapsed_ns.to_string()),
    ("turns_thawed_cpu_ns", |_, sum| sum.thawed.cpu_ns.to_string()),
    ("turns_thawed_driver_cpu_ns", |_, sum| sum.thawed.driver_cpu_ns.to_string()),
    ("turns_thawed_page_faults", |_, sum| sum.thawed.page_faults.to_string()),
];

/// Empty where the system did not tell.
const NOISE: [NoiseField; 6] = [
    ("noise_capacity_ns", |n| n.capacity_ns.to_string()),
    ("noise_steal_ns", |n| n.steal_ns.to_string()),
    ("noise_others_cpu_ns", |n| n.others_cpu_ns.to_string()),
    ("noise_run_queue_ns", |n| n.run_queue_ns.to_string()),
    ("noise_load_milli", |n| n.load_milli.to_string()),
    ("noise_governor", |n| n.governor.clone().unwrap_or_default()),
];

pub(crate) fn header() -> String {
    let names = FIELDS
        .iter()
        .map(|(name, _)| *name)
        .chain(FIGURES.iter().map(|(name, _)| *name))
        .chain(TURNS.iter().map(|(name, _)| *name))
        .chain(NOISE.iter().map(|(name, _)| *name));
    names.collect::<Vec<_>>().join(",") + "\n"
}

pub(crate) fn row(record: &Record) -> String {
    let figures =
        FIGURES.iter().map(|(_, read)| record.metrics.as_ref().map(read).unwrap_or_default());
    let summed = record.turns.as_ref().map(|turns| (turns, turns::sum(&turns.rounds)));
    let in_turns = TURNS
        .iter()
        .map(|(_, read)| summed.as_ref().map_or_else(String::new, |(turns, sum)| read(turns, sum)));
    let noise = NOISE.iter().map(|(_, read)| record.noise.as_ref().map(read).unwrap_or_default());
    let cells =
        FIELDS.iter().map(|(_, read)| read(record)).chain(figures).chain(in_turns).chain(noise);
    cells.map(|cell| quoted(&cell)).collect::<Vec<_>>().join(",") + "\n"
}

/// RFC 4180: a comma, a quote or a line's end puts the cell in quotes, and quotes are doubled.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn case(record: &Record) -> String {
    let axes = record.case.iter().map(|axis| format!("{}={}", axis.axis, axis.value));
    axes.collect::<Vec<_>>().join("; ")
}

/// Empty where none was gathered.
fn evidence(record: &Record, read: impl Fn(&Evidence) -> String) -> String {
    record.evidence.as_ref().map(read).unwrap_or_default()
}

fn groups(metrics: &Metrics) -> String {
    if metrics.groups.is_empty() {
        return String::new();
    }
    let groups: BTreeMap<_, _> = metrics
        .groups
        .iter()
        .map(|group| {
            let figures = json!({
                "ops": group.ops,
                "ops_per_sec": group.ops_per_sec,
                "latency_ns": quantiles(&group.latency_ns),
                "concurrency": group.concurrency,
            });
            (&group.name, figures)
        })
        .collect();
    json!(groups).to_string()
}

fn steps(metrics: &Metrics) -> String {
    if metrics.steps.is_empty() {
        return String::new();
    }
    let steps: BTreeMap<_, _> =
        metrics.steps.iter().map(|(name, latency)| (name, quantiles(latency))).collect();
    json!(steps).to_string()
}

/// The histogram stays in the records: a cell of a sheet is no place for it.
fn quantiles(latency: &Latency) -> serde_json::Value {
    json!({
        "min": latency.min, "p50": latency.p50, "p90": latency.p90, "p99": latency.p99,
        "p999": latency.p999, "max": latency.max, "mean": latency.mean,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    #[test]
    fn a_record_with_figures_and_one_without() {
        let everything = sample::everything();
        let open_loop = sample::open_loop();
        let crashed = everything.iter().find(|record| record.metrics.is_none()).unwrap();
        insta::assert_snapshot!(
            [
                header(),
                row(&everything[0]),
                row(&everything[1]),
                row(crashed),
                row(&open_loop[0]),
                row(&sample::both_passes()[8]),
            ]
            .concat()
        );
    }

    #[test]
    fn every_row_has_the_headers_number_of_cells() {
        let columns = header().matches(',').count();
        for record in sample::everything() {
            let row = row(&Record { reason: None, workload: String::new(), ..record });
            assert_eq!(row.matches(',').count(), columns, "{row}");
        }
    }

    #[test]
    fn quotes_what_needs_it() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"no\"\n"), "\"say \"\"no\"\"\n\"");
    }
}
