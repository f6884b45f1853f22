//! What a report of a million records takes whose cases lie scattered: time and memory.
//!
//! `cargo bench -p quadrant --bench report_cost [-- CASES]`, a case having 10 records.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

#[path = "../tests/end_to_end/scattered.rs"]
mod scattered;

mod peak_memory;

const CASES: u32 = 100_000;
const TIME_DEMAND: Duration = Duration::from_secs(20);
const MEMORY_DEMAND_KIB: u64 = 300 * 1024;

fn main() -> ExitCode {
    let cases = std::env::args().filter_map(|text| text.parse().ok()).next().unwrap_or(CASES);
    let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
    let path = folder.path().join("records.jsonl");
    scattered::write(&path, cases, true).expect("the folder for temporary files has room");
    println!(
        "{} records, {} trials of a cell",
        cases * scattered::RECORDS_OF_CASE,
        scattered::TRIALS
    );
    let mut is_reached = true;
    for format in ["table", "jsonl", "csv"] {
        let began = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_quadrant"))
            .arg("report")
            .arg(folder.path())
            .args(["--format", format])
            .stdout(Stdio::null())
            .spawn()
            .expect("the quadrant command was built for this bench");
        let (_, peak_kib) = peak_memory::until_ended(child);
        let took = began.elapsed();
        println!("  {format:<6} {:>5.1} s {:>5} MiB", took.as_secs_f64(), peak_kib / 1024);
        is_reached &= took <= TIME_DEMAND && peak_kib <= MEMORY_DEMAND_KIB;
    }
    println!("demand   {:>5.1} s {:>5} MiB", TIME_DEMAND.as_secs_f64(), MEMORY_DEMAND_KIB / 1024);
    if is_reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
