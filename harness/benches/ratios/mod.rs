//! Duels as a bench runs them: what each is called, and whether a demand was reached.

use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;

/// Two subjects; the second one is held against the first.
pub struct Pair {
    pub first: &'static str,
    pub second: &'static str,
}

impl Pair {
    /// Whether the command line selects it, by a part of the second one's name. It may also hold
    /// a number of seconds, and the options that cargo gives every bench.
    fn is_wanted(&self) -> bool {
        let is_name = |word: &String| word.parse::<f64>().is_err() && !word.starts_with('-');
        let names: Vec<String> = std::env::args().skip(1).filter(is_name).collect();
        names.is_empty() || names.iter().any(|name| self.second.contains(name))
    }
}

/// Where the second one's figures have to lie, as shares of the first one's.
pub struct Demand {
    pub throughput: RangeInclusive<f64>,
    pub cpu_per_request: RangeInclusive<f64>,
}

/// Duels of `spec` beside the benches, for `seconds` a case; every one has to meet the demand.
pub fn judge(
    pairs: &[Pair],
    spec: &str,
    options: &[&str],
    seconds: f64,
    demand: &Demand,
) -> ExitCode {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(spec);
    let mut reached = pairs.iter().any(Pair::is_wanted);
    println!(
        "{:<26} {:<30} {:<15} {:<37} {:<37}",
        "subject", "against", "case", "throughput", "CPU per request"
    );
    for pair in pairs.iter().filter(|pair| pair.is_wanted()) {
        let output = Command::new(env!("CARGO_BIN_EXE_quadrant"))
            .args(["duel", pair.first, pair.second])
            .arg(&spec)
            .args(["--with-test-adapters", "--format", "json"])
            .args(["--time", &seconds.to_string()])
            .args(options)
            .stderr(Stdio::inherit())
            .output()
            .expect("the quadrant command was built for this bench");
        let whole: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let cases = whole["cases"].as_array().cloned().unwrap_or_default();
        reached &= !cases.is_empty();
        for case in &cases {
            let second = &case["subjects"][1];
            let throughput = Ratio::of(&second["throughput"]);
            let cpu = Ratio::of(&second["cpu_per_op"]);
            println!(
                "{:<26} {:<30} {:<15} {:<37} {:<37}",
                pair.second,
                pair.first,
                axes(case),
                throughput.shown(&demand.throughput),
                cpu.shown(&demand.cpu_per_request),
            );
            reached &= demand.throughput.contains(&throughput.value)
                && demand.cpu_per_request.contains(&cpu.value);
        }
    }
    println!(
        "demand: throughput {}, CPU per request {}{}",
        range(&demand.throughput),
        range(&demand.cpu_per_request),
        if reached { "" } else { "; not reached by all" }
    );
    if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `0.98…1.02`, or `≤ 1.03` from zero on, `≥ 0.97` without an end, and `any` with neither.
fn range(range: &RangeInclusive<f64>) -> String {
    match (*range.start(), *range.end()) {
        (0.0, f64::INFINITY) => "any".to_owned(),
        (lowest, f64::INFINITY) => format!("≥ {lowest}"),
        (0.0, highest) => format!("≤ {highest}"),
        (lowest, highest) => format!("{lowest}…{highest}"),
    }
}

fn axes(case: &Value) -> String {
    let axes = case["case"].as_object().into_iter().flatten();
    let axes: Vec<String> =
        axes.map(|(axis, value)| format!("{axis}={}", value.as_str().unwrap_or("?"))).collect();
    axes.join(" ")
}

/// One side's figure as a share of the other's, and where it lies by 99 %. What is missing is no
/// number and reaches no demand.
struct Ratio {
    value: f64,
    lowest: f64,
    highest: f64,
}

impl Ratio {
    fn of(ratio: &Value) -> Self {
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let interval = &ratio["interval_99"];
        Self {
            value: number(&ratio["ratio"]),
            lowest: number(&interval[0]),
            highest: number(&interval[1]),
        }
    }

    /// `0.993 (0.988…0.997) reached`
    fn shown(&self, demand: &RangeInclusive<f64>) -> String {
        let judged = self.judged(demand);
        format!("{:.3} ({:.3}…{:.3}) {judged}", self.value, self.lowest, self.highest)
    }

    fn judged(&self, demand: &RangeInclusive<f64>) -> &'static str {
        let overlaps = self.lowest <= *demand.end() && self.highest >= *demand.start();
        if demand.contains(&self.lowest) && demand.contains(&self.highest) {
            "reached"
        } else if demand.contains(&self.value) {
            "likely reached"
        } else if overlaps {
            "likely missed"
        } else {
            "MISSED"
        }
    }
}

/// The time that the command line gives, or `otherwise`.
pub fn seconds_or(otherwise: f64) -> f64 {
    std::env::args().filter_map(|text| text.parse().ok()).next().unwrap_or(otherwise)
}
