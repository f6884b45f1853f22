//! What it takes to refuse an input of a megabyte: time and memory.
//!
//! `cargo bench -p quadrant --bench refusal_cost`

use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

#[path = "../tests/end_to_end/large_inputs.rs"]
mod large_inputs;
mod peak_memory;

const TIME_DEMAND: Duration = Duration::from_secs(1);
const MEMORY_DEMAND_KIB: u64 = 100 * 1024;

fn main() -> ExitCode {
    let mut is_reached = true;
    for input in large_inputs::INPUTS {
        let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
        fs::write(folder.path().join(input.file), (input.text)()).expect("it has room");
        let began = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_quadrant"))
            .args(input.arguments)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the quadrant command was built for this bench");
        let (code, peak_kib) = peak_memory::until_ended(child);
        let took = began.elapsed();
        println!(
            "{:>6.3} s {:>4} MiB   code {code:?}   {}",
            took.as_secs_f64(),
            peak_kib / 1024,
            input.what
        );
        is_reached &= took <= TIME_DEMAND && peak_kib <= MEMORY_DEMAND_KIB && code == Some(2);
    }
    println!("{:>6.3} s {:>4} MiB   demand", TIME_DEMAND.as_secs_f64(), MEMORY_DEMAND_KIB / 1024);
    if is_reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
