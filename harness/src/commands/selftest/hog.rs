//! Hogs: processes that want a CPU all the time, so that a subject has to wait for it.
//!
//! A hog does nothing else, stays on its CPU, and ends with its parent or when its time is over.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use super::attendant::Attendant;
use crate::system::child::die_with_parent;
use crate::system::cpus;

pub const SUBCOMMAND: &str = "__hog";

#[derive(Debug, Args)]
pub struct HogArguments {
    #[arg(long)]
    cpu: usize,
    /// It ends by itself after so long.
    #[arg(long)]
    seconds: u64,
    /// Process to die with.
    #[arg(long)]
    parent: u32,
}

/// `__hog`: spins.
pub fn run(arguments: &HogArguments) -> Result<()> {
    die_with_parent(arguments.parent)?;
    cpus::stay_on(&[arguments.cpu]).context("the CPU could not be chosen")?;
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    while Instant::now() < end {
        std::hint::black_box(quadrant_suite::hash::chain(20_000));
    }
    Ok(())
}

/// So many of them on each of these CPUs. They end when dropped.
pub fn herd(
    executable: &Path,
    cpus: &[usize],
    each: u32,
    longest: Duration,
) -> std::io::Result<Vec<Attendant>> {
    let seconds = longest.as_secs() + 1;
    cpus.iter()
        .flat_map(|cpu| (0..each).map(move |_| cpu))
        .map(|cpu| {
            let words = ["--cpu", &cpu.to_string(), "--seconds", &seconds.to_string()];
            Attendant::start(executable, SUBCOMMAND, &words.map(str::to_owned))
        })
        .collect()
}
