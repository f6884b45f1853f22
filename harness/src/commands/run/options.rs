//! What `quadrant run` can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use quadrant_reports::format::Format;

use crate::commands::arguments;
use crate::commands::selection::{ScenarioOptions, SubjectOptions};
use crate::system::allocator::Allocator;
use crate::system::forbid::Forbidden;
use crate::trial::Limits;

const QUICK_WARMUP: Duration = Duration::from_millis(50);
const QUICK_MEASURE: Duration = Duration::from_millis(200);
/// By themselves; where a case cannot take turns, these decide as well.
const TRIALS: u32 = 1;
const TRIALS_WITHOUT_TURNS: u32 = 5;
const STARTS: u32 = 10;
/// With `--until`, in multiples of what is usual.
const UNTIL_MAX: u32 = 10;

/// What decides about single cells, whatever they belong to.
#[derive(Debug, Clone, Default, Args)]
pub struct CellOptions {
    /// Trials of each cell by itself [default: 1; 5 where subjects cannot take turns: rates,
    /// schedules, sleeping, a fixed amount of work, cold files; with --quick always 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub trials: Option<u32>,
    /// How often the subjects of a case are started anew to take turns [default: 10, with --quick
    /// 0, which is no turns at all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub starts: Option<u32>,
    /// Measure each case until every difference is known to this many per cent, or ten times as long
    /// as usual
    #[arg(long, value_name = "PERCENT", value_parser = arguments::percent)]
    pub until: Option<f64>,
    /// Whether memory that a subject has freed stays with its process, or goes back to the system
    /// as its allocator decides [default: the scenario's `allocator`, else untrimmed]
    #[arg(long, value_enum, value_name = "HOW")]
    pub allocator: Option<Allocator>,
    /// One short trial of each cell: to see that it works, not to decide by
    #[arg(long)]
    pub quick: bool,
    /// Worker threads of executors that can have several, whatever a scenario says
    /// [default: the scenario's `workers`, else the subject's CPUs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: Option<u32>,
}

#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    #[command(flatten)]
    pub scenarios: ScenarioOptions,
    #[command(flatten)]
    pub subjects: SubjectOptions,
    #[command(flatten)]
    pub cells: CellOptions,
    /// Seed of the order of trials and of all that is drawn by chance
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Count the system calls of each cell in a short pass of its own, and see by them whether the
    /// backend is what its name says
    #[arg(long)]
    pub evidence: bool,
    /// Take something away from the subjects, as most containers do, and see who notices
    #[arg(long, value_name = "WHAT")]
    pub forbid: Option<Forbidden>,
    /// Folder for the records [default: a new one in target/quadrant]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with an interrupted run, with the options it had
    #[arg(long, value_name = "DIR", conflicts_with_all = ["specs", "out", "seed", "trials", "starts", "until", "allocator", "quick", "runtime", "exclude", "axis", "workers", "evidence", "forbid", "time_limit", "memory_limit"])]
    pub resume: Option<PathBuf>,
    #[arg(long, default_value = "table", value_parser = arguments::format(&Format::ALL))]
    pub format: Format,
    /// Seconds a subject may take to become ready, and to end after its time
    #[arg(long, value_name = "SECONDS", default_value_t = usual_time_limit(), value_parser = seconds)]
    pub time_limit: f64,
    /// MiB of memory a subject may use
    #[arg(long, value_name = "MIB", default_value_t = usual_memory_limit(), value_parser = clap::value_parser!(u64).range(16..))]
    pub memory_limit: u64,
}

pub(super) fn usual_time_limit() -> f64 {
    Limits::USUAL.answer.as_secs_f64()
}

pub(super) fn usual_memory_limit() -> u64 {
    Limits::USUAL.rss_bytes >> 20
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("between 0.1 and 3600 seconds are possible".to_owned()),
    }
}

impl RunOptions {
    pub fn limits(&self) -> Limits {
        Limits {
            answer: Duration::from_secs_f64(self.time_limit),
            rss_bytes: self.memory_limit << 20,
            forbidden: self.forbid,
            ..Limits::USUAL
        }
    }
}

impl CellOptions {
    /// Of each cell by itself.
    pub fn trial_count(&self, takes_turns: bool) -> u32 {
        let usual = match (self.quick, takes_turns) {
            (true, _) => 1,
            (false, true) => TRIALS,
            (false, false) => TRIALS_WITHOUT_TURNS,
        };
        self.trials.unwrap_or(usual)
    }

    pub fn start_count(&self) -> u32 {
        self.starts.unwrap_or(if self.quick { 0 } else { STARTS })
    }

    /// As a share.
    pub fn until(&self) -> Option<f64> {
        self.until.map(|percent| percent / 100.0)
    }

    /// The most trials or starts that are made, where `usual` are made without `--until`.
    pub fn at_most(&self, usual: u32) -> u32 {
        if self.until.is_some() { usual * UNTIL_MAX } else { usual }
    }

    /// Warm-up and measuring time, out of what the scenario gives.
    pub fn times(&self, warmup_ns: u64, measure_ns: u64) -> (Duration, Duration) {
        let times = (Duration::from_nanos(warmup_ns), Duration::from_nanos(measure_ns));
        if self.quick { (times.0.min(QUICK_WARMUP), times.1.min(QUICK_MEASURE)) } else { times }
    }
}
