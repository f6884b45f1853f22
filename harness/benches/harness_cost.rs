//! What the harness itself costs: a trial beyond its warm-up and measuring time, and planning
//! many cells.
//!
//! `cargo bench -p quadrant --bench harness_cost [-- TRIALS]`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use quadrant_reports::record::{Record, Status};

const TRIALS: u32 = 10;
const WARMUP: Duration = Duration::from_millis(20);
const MEASURE: Duration = Duration::from_millis(100);
/// What a trial may cost beyond the two.
const TRIAL_DEMAND: Duration = Duration::from_millis(80);
const CELLS_MIN: usize = 10_000;
const PLANNING_DEMAND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let trials = std::env::args().filter_map(|text| text.parse().ok()).next().unwrap_or(TRIALS);
    let folder = std::env::temp_dir().join(format!("quadrant-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
    let reached = [trial_cost(trials, &folder), planning(&folder)];
    let removed = std::fs::remove_dir_all(&folder);
    removed.expect("what was just made can be removed");
    if reached == [true, true] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Medians by subject, with a load of 64 connections and with tasks alone.
fn trial_cost(trials: u32, folder: &Path) -> bool {
    let time =
        format!("time: {{ warmup: {}ms, measure: {}ms }}", WARMUP.as_millis(), MEASURE.as_millis());
    let echo = write(
        folder,
        "echo.yaml",
        &format!(
            "name: echo\nquestion: Echo?\nserver: {{ steps: [recv, send] }}\nload: {{ connections: 64, send: 64B }}\n{time}\n"
        ),
    );
    let tasks = write(
        folder,
        "tasks.yaml",
        &format!(
            "name: tasks\nquestion: Tasks?\ntasks:\n  - {{ name: sleeper, count: 10, steps: [sleep: 1ms] }}\n{time}\n"
        ),
    );
    let output = Command::new(env!("CARGO_BIN_EXE_quadrant"))
        .arg("run")
        .args([echo, tasks])
        .args(["--format", "jsonl", "--trials", &trials.to_string(), "--out"])
        .arg(folder.join("results"))
        .stderr(Stdio::inherit())
        .output()
        .expect("the quadrant command was built for this bench");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut costs: BTreeMap<(String, String), Vec<Duration>> = BTreeMap::new();
    for line in text.lines() {
        let record: Record = serde_json::from_str(line).expect("each line is a record");
        if record.status == Status::Ok {
            let cost = Duration::from_nanos(record.took_ns).saturating_sub(WARMUP + MEASURE);
            costs.entry((record.scenario, record.subject.id)).or_default().push(cost);
        }
    }
    println!("a trial beyond its time, demand {} ms", TRIAL_DEMAND.as_millis());
    let mut reached = !costs.is_empty();
    for ((scenario, subject), costs) in &mut costs {
        costs.sort();
        let median = costs[costs.len() / 2];
        println!("  {scenario:<6} {subject:<36} {:>5.1} ms", median.as_secs_f64() * 1e3);
        reached &= median <= TRIAL_DEMAND;
    }
    reached
}

/// All cells of a scenario of many cases, from YAML to whether they would run.
fn planning(folder: &Path) -> bool {
    let cases = 1_200;
    let mut text = "name: many\nquestion: How long does planning take?\naxes:\n".to_owned();
    for (axis, most) in [("a", 10), ("b", 10), ("c", 12)] {
        let values: Vec<String> = (1..=most).map(|value| value.to_string()).collect();
        let _ = writeln!(text, "  {axis}: [{}]", values.join(", "));
    }
    text.push_str("tasks:\n");
    for axis in ["a", "b", "c"] {
        let _ = writeln!(text, "  - {{ name: {axis}, count: ${axis}, steps: [yield] }}");
    }
    let spec = write(folder, "many.yaml", &text);
    let list = |what: &[&str]| {
        let began = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_quadrant"))
            .args(["list", "cells", "--no-build", "--format", "json"])
            .args(what)
            .output()
            .expect("the quadrant command was built for this bench");
        let cells: Vec<serde_json::Value> =
            serde_json::from_slice(&output.stdout).unwrap_or_default();
        (began.elapsed(), cells.len())
    };
    // What loading the adapters takes is not planning.
    let (base, subjects) = list(&["tour/3-waiting-in-the-wrong-place", "--axis", "how=await"]);
    let (time, cells) = list(&[&spec.to_string_lossy()]);
    let planning = time.saturating_sub(base);
    println!(
        "planning and listing {cells} cells ({cases} cases, {subjects} subjects): {} ms, demand {} ms",
        planning.as_millis(),
        PLANNING_DEMAND.as_millis()
    );
    cells >= CELLS_MIN && planning <= PLANNING_DEMAND
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the folder for temporary files can be written");
    path
}
