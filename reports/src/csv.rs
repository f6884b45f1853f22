//! One row for each record, for spreadsheets and data frames.
//!
//! Never rounds: integers in nanoseconds, bytes and counts, as in the record.

use std::borrow::Cow;
use std::iter;

use quadrant_suite::histogram::Histogram;
use serde_json::{Value, json};

use crate::record::Record;
use crate::record::turns;
use crate::visible;

/// Each column and where its cell is found in the record as JSON. What lies beneath `made` and the
/// sum over the rounds of a start are added to it; `thawed` is from being thawed to being frozen
/// again. A cell that is not found is empty.
const COLUMNS: [(&str, &str); 85] = [
    ("schema", "/schema"),
    ("run_id", "/run_id"),
    ("seed", "/seed"),
    ("scenario", "/scenario"),
    ("case", "/made/case"),
    ("workload", "/workload"),
    ("pass", "/made/pass"),
    ("trial", "/trial"),
    ("subject", "/subject/id"),
    ("runtime", "/subject/runtime"),
    ("version", "/subject/version"),
    ("executor", "/subject/executor"),
    ("backend", "/subject/backend"),
    ("workers", "/subject/workers"),
    ("workers_asked", "/workers_asked"),
    ("status", "/status"),
    ("reason", "/reason"),
    ("warnings", "/made/warnings"),
    ("expectations_met", "/made/met"),
    ("expectations_missed", "/made/missed"),
    ("note", "/subject/note"),
    ("took_ns", "/took_ns"),
    ("environment_bytes", "/layout/environment_bytes"),
    ("first_allocation_bytes", "/layout/first_allocation_bytes"),
    ("backend_seen", "/evidence/backend_seen"),
    ("backend_agrees", "/evidence/agrees"),
    ("evidence_ops", "/evidence/ops"),
    ("syscalls_json", "/evidence/syscalls"),
    ("operation", "/metrics/operation"),
    ("ops", "/metrics/ops"),
    ("errors", "/metrics/errors"),
    ("elapsed_ns", "/metrics/elapsed_ns"),
    ("ops_per_sec", "/metrics/ops_per_sec"),
    ("latency_min_ns", "/metrics/latency_ns/min"),
    ("latency_p50_ns", "/metrics/latency_ns/p50"),
    ("latency_p90_ns", "/metrics/latency_ns/p90"),
    ("latency_p99_ns", "/metrics/latency_ns/p99"),
    ("latency_p999_ns", "/metrics/latency_ns/p999"),
    ("latency_max_ns", "/metrics/latency_ns/max"),
    ("latency_mean_ns", "/metrics/latency_ns/mean"),
    ("concurrency_peak", "/metrics/concurrency/peak"),
    ("concurrency_mean", "/metrics/concurrency/mean"),
    ("threads_peak", "/metrics/threads/peak"),
    ("threads_mean", "/metrics/threads/mean"),
    ("threads_loops", "/metrics/threads/loops"),
    ("threads_kernel", "/metrics/threads/kernel"),
    ("threads_created", "/metrics/threads/created"),
    ("threads_migrations", "/metrics/threads/migrations"),
    ("threads_method", "/metrics/threads/method"),
    ("stalls_threshold_ns", "/metrics/stalls/threshold_ns"),
    ("stalls_count", "/metrics/stalls/count"),
    ("stalls_longest_ns", "/metrics/stalls/longest_ns"),
    ("stalls_total_ns", "/metrics/stalls/total_ns"),
    ("stalls_cpu_ns", "/metrics/stalls/cpu_ns"),
    ("stalls_run_queue_ns", "/metrics/stalls/run_queue_ns"),
    ("stalls_blocked_ns", "/metrics/stalls/blocked_ns"),
    ("stalls_count_1ms", "/metrics/stalls/count_1ms"),
    ("stalls_count_100ms", "/metrics/stalls/count_100ms"),
    ("cpu_ns", "/metrics/cpu_ns"),
    ("page_faults", "/metrics/page_faults"),
    ("context_switches_voluntary", "/metrics/context_switches/voluntary"),
    ("context_switches_involuntary", "/metrics/context_switches/involuntary"),
    ("rss_start_bytes", "/metrics/rss_bytes/start"),
    ("rss_peak_bytes", "/metrics/rss_bytes/peak"),
    ("groups_json", "/made/groups"),
    ("steps_json", "/made/steps"),
    ("cancelled_json", "/metrics/cancelled"),
    ("load_json", "/made/load"),
    ("turns_group", "/turns/group"),
    ("turns_reference", "/turns/reference"),
    ("turns_operation", "/turns/operation"),
    ("turns_rounds", "/made/rounds"),
    ("turns_ops", "/turns/sum/operations"),
    ("turns_elapsed_ns", "/turns/sum/elapsed_ns"),
    ("turns_thawed_ops", "/turns/sum/thawed/operations"),
    ("turns_thawed_ns", "/turns/sum/thawed/elapsed_ns"),
    ("turns_thawed_cpu_ns", "/turns/sum/thawed/cpu_ns"),
    ("turns_thawed_driver_cpu_ns", "/turns/sum/thawed/driver_cpu_ns"),
    ("turns_thawed_page_faults", "/turns/sum/thawed/page_faults"),
    ("noise_capacity_ns", "/noise/capacity_ns"),
    ("noise_steal_ns", "/noise/steal_ns"),
    ("noise_others_cpu_ns", "/noise/others_cpu_ns"),
    ("noise_run_queue_ns", "/noise/run_queue_ns"),
    ("noise_load_milli", "/noise/load_milli"),
    ("noise_governor", "/noise/governor"),
];

pub(crate) fn header() -> String {
    COLUMNS.map(|(name, _)| name).join(",") + "\n"
}

pub(crate) fn row(record: &Record) -> String {
    let whole = whole(record);
    let mut row = String::new();
    // Columns from one place stand together, so it is sought once for all of them.
    let mut place = ("", Some(&whole));
    for (_, path) in COLUMNS {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        if above != place.0 {
            place = (above, above.split('/').skip(1).try_fold(&whole, |value, key| value.get(key)));
        }
        push(&mut row, place.1.and_then(|place| place.get(name)));
        row.push(',');
    }
    row.pop();
    row + "\n"
}

fn push(row: &mut String, cell: Option<&Value>) {
    match cell {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => *row += &quoted(&visible::text(text)),
        // As short as a float can be written: 2000 and not 2000.0.
        Some(Value::Number(number)) if number.is_f64() => {
            *row += &number.as_f64().unwrap_or_default().to_string();
        }
        Some(Value::Number(number)) => *row += &number.to_string(),
        Some(value) => *row += &quoted(&visible::text(&value.to_string())),
    }
}

/// The record, with the cells that it does not hold as such.
fn whole(record: &Record) -> Value {
    let mut whole = json!(without_histograms(record));
    let case: Vec<String> = record.case.iter().map(ToString::to_string).collect();
    let (met, missed): (Vec<_>, Vec<_>) = record.demands().partition(|checked| checked.met);
    let missed: Vec<&str> = missed.iter().map(|checked| checked.expected.as_str()).collect();
    whole["made"] = json!({
        "case": case.join("; "),
        "pass": record.pass,
        "warnings": record.warnings.join("; "),
        "met": met.len(),
        "missed": missed.join("; "),
    });
    if let Some(turns) = &record.turns {
        whole["made"]["rounds"] = json!(turns.rounds.len());
        whole["turns"]["sum"] = json!(turns::sum(&turns.rounds));
    }
    if let Some(metrics) = &record.metrics {
        let mut groups = json!({});
        for group in &metrics.groups {
            let mut figures = json!(group);
            figures.as_object_mut().and_then(|figures| figures.remove("name"));
            groups[&group.name] = figures;
        }
        let filled = |mut map: Value| {
            remove_histograms(&mut map);
            if map == json!({}) { Value::Null } else { map }
        };
        whole["made"]["groups"] = filled(groups);
        whole["made"]["steps"] = filled(json!(metrics.steps));
        whole["made"]["load"] = filled(json!(metrics.load));
    }
    whole
}

/// The histograms stay in the records: a cell of a sheet is no place for them.
fn without_histograms(record: &Record) -> Record {
    let mut record = record.clone();
    if let Some(metrics) = &mut record.metrics {
        let mut loads: Vec<_> = metrics.load.iter_mut().collect();
        let mut of_groups = Vec::new();
        for group in &mut metrics.groups {
            of_groups.push(&mut group.latency_ns);
            loads.extend(&mut group.load);
        }
        let of_loads = loads.into_iter().flat_map(|load| {
            let reconnecting = load.connect_ns.iter_mut().chain(&mut load.first_answer_ns);
            reconnecting.chain(&mut load.uncorrected_latency_ns).chain(&mut load.send_lag_ns)
        });
        let latencies = iter::once(&mut metrics.latency_ns)
            .chain(metrics.steps.values_mut())
            .chain(of_groups)
            .chain(of_loads)
            .chain(&mut metrics.impact_ns);
        latencies.for_each(|latency| latency.histogram = Histogram::default());
    }
    record
}

/// The empty histograms that are left of the latencies, at any depth.
fn remove_histograms(value: &mut Value) {
    if let Value::Object(object) = value {
        object.remove("histogram");
        object.values_mut().for_each(remove_histograms);
    }
}

/// RFC 4180: a comma, a quote or a line's end puts the cell in quotes, and quotes are doubled.
fn quoted(cell: &str) -> Cow<'_, str> {
    if cell.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", cell.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::LoadMetrics;
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
    fn clients_and_what_steps_cancelled_are_cells_without_histograms() {
        let mut record = sample::open_loop()[0].clone();
        let metrics = record.metrics.as_mut().unwrap();
        let connect_ns = Some(sample::latency(40_000));
        metrics.groups[0].load = Some(LoadMetrics { connect_ns, ..sample::load(3, 3, None) });
        metrics.cancelled.insert("slow".to_owned(), 7);
        let row = row(&record);
        assert!(row.contains(r#","{""slow"":7}",""#), "{row}");
        assert!(row.contains(r#"""connect_ns"":{""max"":"#), "{row}");
        assert!(!row.contains("histogram"), "{row}");
    }

    #[test]
    fn quotes_what_needs_it() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"no\"\n"), "\"say \"\"no\"\"\n\"");
    }
}
