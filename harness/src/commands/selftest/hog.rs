//! Hogs: processes that use a CPU all the time, so that a subject has to wait for it.
//!
//! A hog never leaves its CPU; it ends with its parent or when its time is over.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use super::helper_process::HelperProcess;
use crate::system::{affinity, lifeline};

pub const SUBCOMMAND: &str = "__hog";

#[derive(Debug, Args)]
pub struct HogArguments {
    #[arg(long)]
    cpu: usize,
    /// How long it runs at most.
    #[arg(long)]
    seconds: u64,
    /// The process it dies with.
    #[arg(long)]
    parent: u32,
}

/// `__hog`: spins.
pub fn run(arguments: &HogArguments) -> Result<()> {
    lifeline::die_with(arguments.parent)?;
    affinity::stay_on(&[arguments.cpu]).context("the CPU could not be chosen")?;
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
    per_cpu: u32,
    longest: Duration,
) -> std::io::Result<Vec<HelperProcess>> {
    let seconds = (longest.as_secs() + 1).to_string();
    let start = |cpu: &usize| {
        let words = [SUBCOMMAND, "--cpu", &cpu.to_string(), "--seconds", &seconds];
        HelperProcess::start(executable, &words)
    };
    (0..per_cpu).flat_map(|_| cpus).map(start).collect()
}
