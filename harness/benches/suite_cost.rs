//! What the suite costs: echo through the suite against the same server written by hand on the
//! same runtime, interleaved in one run, trial by trial a pair.
//!
//! `cargo bench -p quadrant --bench suite_cost [-- TRIALS]`. Throughput says little where the
//! driver is the limit, so CPU time per request stands beside it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};

use quadrant_reports::bootstrap::interval_95;
use quadrant_reports::record::{Metrics, Record};

const TRIALS: u32 = 15;
/// The share of a hand-written program's throughput that has to be left.
const DEMAND: f64 = 0.97;

fn main() -> ExitCode {
    let trials = std::env::args().filter_map(|text| text.parse().ok()).next().unwrap_or(TRIALS);
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/echo-against-native.yaml");
    let output = Command::new(env!("CARGO_BIN_EXE_quadrant"))
        .arg("run")
        .arg(&spec)
        .args(["--with-test-adapters", "-r", "tokio", "-r", "native", "--format", "jsonl"])
        .args(["--trials", &trials.to_string()])
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("the quadrant command was built for this bench");
    let text = String::from_utf8_lossy(&output.stdout);
    let records: Vec<Record> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();

    let mut reached = !records.is_empty();
    println!("{:<34} {:>22} {:>26}", "suite / native", "requests/s", "CPU per request");
    for ((executor, case), pairs) in pairs(&records) {
        let throughput = ratio(&pairs, |metrics| metrics.ops_per_sec);
        let cpu = ratio(&pairs, |metrics| metrics.cpu_ns as f64 / metrics.ops.max(1) as f64);
        println!("{:<34} {:>22} {:>26}", format!("{executor}, {case}"), throughput.1, cpu.1);
        reached &= throughput.0 >= DEMAND;
    }
    println!("demand: {DEMAND} of the throughput, {}", if reached { "reached" } else { "MISSED" });
    if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

type Pairs<'a> = BTreeMap<(String, String), Vec<(&'a Metrics, &'a Metrics)>>;

/// Metrics of the suite and of the native program, by executor and case.
fn pairs(records: &[Record]) -> Pairs<'_> {
    let mut pairs = Pairs::new();
    for suite in records.iter().filter(|record| record.subject.runtime != "native") {
        let native = records.iter().find(|native| {
            native.subject.runtime == "native"
                && native.subject.executor == suite.subject.executor
                && native.case == suite.case
                && native.trial == suite.trial
        });
        let both = suite.metrics.as_ref().zip(native.and_then(|native| native.metrics.as_ref()));
        let Some(both) = both else { continue };
        let values: Vec<String> =
            suite.case.iter().map(|value| format!("{}={}", value.axis, value.value)).collect();
        pairs.entry((suite.subject.executor.clone(), values.join(" "))).or_default().push(both);
    }
    pairs
}

/// The geometric mean of the paired ratios, and the same with its 95 % interval as a text.
fn ratio(pairs: &[(&Metrics, &Metrics)], figure: impl Fn(&Metrics) -> f64) -> (f64, String) {
    let ratios: Vec<f64> =
        pairs.iter().map(|(suite, native)| figure(suite) / figure(native)).collect();
    let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
    let text = match interval_95(&ratios) {
        Some(interval) => format!("{mean:.3} ({:.3}…{:.3})", interval.low, interval.high),
        None => format!("{mean:.3}"),
    };
    (mean, text)
}
