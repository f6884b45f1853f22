//! The options of `quadrant duel`.
//!
//! Never reads a scenario.

use std::time::Duration;

use clap::Args;
use quadrant_reports::format::Format;

use crate::commands::arguments;
use crate::commands::selection::AdapterOptions;

/// All starts of a case together.
const TIME: Duration = Duration::from_secs(20);
pub const STARTS: u32 = 20;
/// The usual threshold in per cent.
const THRESHOLD: f64 = 1.0;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
While one subject runs, the others are frozen, together with their load drivers: each has turns of
10 ms, so that noise of the machine affects all of them alike. Ratios are of throughput and of CPU
time; for latencies, stalls and threads use `quadrant run`.

Exit codes: 0 all cases were measured, 2 the command line or a scenario is wrong, 3 a case could
not be measured, 4 no case can be measured in turns, 130 interrupted. With --bisect: 0 B is not
worse than A in any case, 1 it is in one, 125 it cannot be built, measured or told, 130 interrupted")]
pub struct DuelOptions {
    /// A subject, as runtime/executor/backend or as a glob that matches one; the others are compared
    /// with it
    #[arg(value_name = "A")]
    pub first: String,
    /// The subject to compare with it
    #[arg(value_name = "B")]
    pub second: String,
    /// Scenario files, folders of them, or names below specs/ such as `echo/connections`
    #[arg(value_name = "SPEC", required = true)]
    pub specs: Vec<String>,
    /// One more subject that takes its turns; may be given again
    #[arg(long, value_name = "C")]
    pub also: Vec<String>,
    /// Only cases with these values, of scenarios that have this axis; others stay whole
    #[arg(long = "axis", value_name = "NAME=VALUE,…")]
    pub axis: Vec<String>,
    /// Seconds of turns for each case, all subjects and starts together
    #[arg(long, value_name = "SECONDS", default_value_t = TIME.as_secs_f64(), value_parser = seconds)]
    pub time: f64,
    /// How often all processes are started anew: the random memory layout of a process makes a
    /// difference, too
    #[arg(long, value_name = "N", default_value_t = STARTS, value_parser = clap::value_parser!(u32).range(2..=100))]
    pub starts: u32,
    /// Differences of up to this many per cent are not reported as differences
    #[arg(long, value_name = "PERCENT", default_value_t = THRESHOLD, value_parser = crate::commands::arguments::percent)]
    pub threshold: f64,
    /// Worker threads of executors that can have several, regardless of the scenario
    /// [default: the scenario's `workers`, else the subject's CPUs, at least 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: Option<u32>,
    /// Exit with the codes that `git bisect run` expects
    #[arg(long, conflicts_with = "also")]
    pub bisect: bool,
    /// Seed of all that is drawn by chance
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Run A without poll wrapper, pings and observation, and the others with all of it: what
    /// measuring costs
    #[arg(long, hide = true)]
    pub bare_first: bool,
    #[command(flatten)]
    pub source: AdapterOptions,
    #[arg(long, default_value = "table", value_parser = arguments::format(arguments::READABLE))]
    pub format: Format,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.5..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("between 0.5 and 3600 seconds are possible".to_owned()),
    }
}

impl DuelOptions {
    pub fn time(&self) -> Duration {
        Duration::from_secs_f64(self.time)
    }

    /// The threshold as a share.
    pub fn threshold(&self) -> f64 {
        self.threshold / 100.0
    }

    /// In the order of the command line.
    pub fn subjects(&self) -> Vec<String> {
        let mut names = vec![self.first.clone(), self.second.clone()];
        names.extend(self.also.iter().cloned());
        names
    }
}
