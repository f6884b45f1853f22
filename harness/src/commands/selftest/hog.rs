//! Hogs: processes that use a CPU all the time, so that a subject has to wait for it.
//!
//! A hog never leaves its CPU; it ends with its parent or when its time is over.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;

use super::helper_process::{HelperArguments, HelperProcess};

pub const SUBCOMMAND: &str = "__hog";

#[derive(Debug, Args)]
pub struct HogArguments {
    #[command(flatten)]
    helper: HelperArguments,
    /// How long it runs at most.
    #[arg(long)]
    seconds: u64,
}

/// `__hog`: spins.
pub fn run(arguments: &HogArguments) -> Result<()> {
    arguments.helper.obey()?;
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    while Instant::now() < end {
        std::hint::black_box(quadrant_suite::hash::chain(20_000));
    }
    Ok(())
}

/// Starts this many on each of these CPUs. They end when dropped.
pub fn start(
    executable: &Path,
    cpus: &[usize],
    per_cpu: usize,
    longest: Duration,
) -> std::io::Result<Vec<HelperProcess>> {
    let seconds = (longest.as_secs() + 1).to_string();
    let cpus = cpus.repeat(per_cpu);
    HelperProcess::on_each(executable, &cpus, &[SUBCOMMAND, "--seconds", &seconds])
}
