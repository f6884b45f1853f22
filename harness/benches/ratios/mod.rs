//! Duels as a bench runs them: what each is called, and whether a demand was reached.

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

/// Duels of `spec` beside the benches, for `seconds` a case; all throughputs have to be at least
/// `demand` of the first one's.
pub fn judge(pairs: &[Pair], spec: &str, options: &[&str], seconds: f64, demand: f64) -> ExitCode {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(spec);
    let mut reached = pairs.iter().any(Pair::is_wanted);
    println!(
        "{:<28} {:<28} {:<16} {:>22} {:>22}",
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
            println!(
                "{:<28} {:<28} {:<16} {:>22} {:>22}  {}",
                pair.second,
                pair.first,
                axes(case),
                throughput.shown(),
                Ratio::of(&second["cpu_per_op"]).shown(),
                throughput.judged(demand)
            );
            reached &= throughput.value >= demand;
        }
    }
    println!(
        "demand: {demand} of the throughput{}",
        if reached { "" } else { ", not reached by all" }
    );
    if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

    /// `0.993 (0.988…0.997)`
    fn shown(&self) -> String {
        format!("{:.3} ({:.3}…{:.3})", self.value, self.lowest, self.highest)
    }

    fn judged(&self, demand: f64) -> &'static str {
        match self {
            Ratio { lowest, .. } if *lowest >= demand => "reached",
            Ratio { value, .. } if *value >= demand => "likely reached",
            Ratio { highest, .. } if *highest >= demand => "likely missed",
            _ => "MISSED",
        }
    }
}

/// The time that the command line gives, or `otherwise`.
pub fn seconds_or(otherwise: f64) -> f64 {
    std::env::args().filter_map(|text| text.parse().ok()).next().unwrap_or(otherwise)
}
