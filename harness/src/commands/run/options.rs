//! The options of `quadrant run`. An interrupted run keeps them in `run.json`.
//!
//! Never reads a scenario: what it leaves open is decided case by case.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, Args, Command, FromArgMatches};
use quadrant_reports::format::Format;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::adapters::version;
use crate::commands::arguments::{self, TableOptions};
use crate::commands::selection::{AdapterOptions, ScenarioOptions, SubjectOptions};
use crate::system::allocator::Allocator;
use crate::system::forbid::Forbidden;
use crate::trial::Limits;

const QUICK_WARMUP: Duration = Duration::from_millis(50);
const QUICK_MEASURE: Duration = Duration::from_millis(200);
const TRIALS: u32 = 1;
/// Where a case has no turns, its trials decide the ranking as well.
const TRIALS_WITHOUT_TURNS: u32 = 5;
/// Where trials decide a claim: at least as many as an interval needs to be narrow.
const TRIALS_UNTIL_DECIDED: RangeInclusive<u32> = 3..=10;
const STARTS: u32 = 10;
/// The most trials or starts with `--until`, in multiples of the default.
const UNTIL_MAX: u32 = 10;
/// In MiB; more than any machine has.
const MEMORY_LIMIT_MAX: u64 = 1 << 30;

/// The options of every cell.
#[derive(Debug, Clone, Default, Args, Serialize)]
pub struct CellOptions {
    /// Trials of each cell by itself [default: 1; 5 where subjects cannot take turns: rates,
    /// schedules, sleeping, a fixed amount of work, cold files; 3 to 10, until its verdict is known,
    /// where they decide a claim; with --quick always 1]
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
    /// One short trial of each cell: to see that it works, not to compare
    #[arg(long)]
    pub quick: bool,
    /// Worker threads of executors that can have several, regardless of the scenario
    /// [default: the scenario's `workers`, else the subject's CPUs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: Option<u32>,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct RunOptions {
    #[command(flatten)]
    #[serde(flatten)]
    pub scenarios: ScenarioOptions,
    #[command(flatten)]
    #[serde(flatten)]
    pub subjects: SubjectOptions,
    #[command(flatten)]
    #[serde(flatten)]
    pub cells: CellOptions,
    /// Seed of the order of trials and of all that is drawn by chance
    #[arg(long, value_name = "N")]
    #[serde(skip)]
    pub seed: Option<u64>,
    /// Count the system calls of each cell in a short pass of its own, and check by them whether the
    /// backend is the one that the subject claims
    #[arg(long)]
    pub evidence: bool,
    /// Forbid the subjects something, as most containers do
    #[arg(long, value_name = "WHAT")]
    pub forbid: Option<Forbidden>,
    /// Folder for the records [default: a new one in target/quadrant]
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub out: Option<PathBuf>,
    /// Continue an interrupted run, with its options
    #[arg(long, value_name = "DIR", conflicts_with_all = ["specs", "out", "seed", "trials", "starts", "until", "allocator", "quick", "exclude", "axis", "workers", "evidence", "forbid", "time_limit", "memory_limit"], value_parser = arguments::results_folder())]
    #[serde(skip)]
    pub resume: Option<PathBuf>,
    #[arg(long, default_value = "table", value_parser = arguments::format(&Format::OF_RECORDS))]
    #[serde(skip)]
    pub format: Format,
    #[command(flatten)]
    #[serde(skip)]
    pub tables: TableOptions,
    /// End the run at the first trial that fails, crashes or times out
    #[arg(long)]
    #[serde(skip)]
    pub fail_fast: bool,
    /// Seconds a subject may take to become ready, and to end after its time
    #[arg(long, value_name = "SECONDS", default_value_t = usual_time_limit(), value_parser = seconds)]
    pub time_limit: f64,
    /// MiB of memory a subject may use, with all processes that it starts
    #[arg(long, value_name = "MIB", default_value_t = usual_memory_limit(), value_parser = clap::value_parser!(u64).range(16..=MEMORY_LIMIT_MAX))]
    pub memory_limit: u64,
}

fn usual_time_limit() -> f64 {
    Limits::USUAL.answer.as_secs_f64()
}

fn usual_memory_limit() -> u64 {
    Limits::USUAL.memory_bytes >> 20
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("between 0.1 and 3600 seconds are possible".to_owned()),
    }
}

impl RunOptions {
    /// The options of an interrupted run, which goes on with `given` on the command line. The
    /// folder of a run may be anybody's, so libraries are loaded only from folders that are given.
    pub fn resumed(self, given: Self) -> Result<Self, String> {
        let run = self.subjects.source;
        let given_source = given.subjects.source;
        if given_source.adapters.is_empty() && !run.adapters.is_empty() {
            let option = |folder: &PathBuf| format!("--adapters {}", folder.display());
            return Err(format!(
                "the run used adapters of a folder that only its run.json names, which is not \
                 loaded unasked: add {}",
                run.adapters.iter().map(option).collect::<Vec<_>>().join(" ")
            ));
        }
        let needed: Vec<&String> =
            self.subjects.runtime.iter().filter(|it| version::is_elsewhere(it)).collect();
        let given_runtime = given.subjects.runtime;
        if needed.iter().any(|needed| !given_runtime.contains(needed)) {
            let option = |pattern: &&String| format!("-r '{pattern}'");
            return Err(format!(
                "the run used code that only its run.json names, which is not built unasked: add {}",
                needed.iter().map(option).collect::<Vec<_>>().join(" ")
            ));
        }
        if let Some(new) = given_runtime.iter().find(|given| !needed.contains(given)) {
            return Err(format!(
                "a resumed run has the subjects that it began with: leave out -r '{new}'"
            ));
        }
        let source = AdapterOptions {
            adapters: given_source.adapters,
            no_build: run.no_build || given_source.no_build,
            ..run
        };
        let subjects = SubjectOptions { source, ..self.subjects };
        Ok(Self {
            resume: given.resume,
            format: given.format,
            tables: given.tables,
            fail_fast: given.fail_fast,
            subjects,
            ..self
        })
    }

    pub fn limits(&self) -> Limits {
        Limits {
            answer: Duration::from_secs_f64(self.time_limit),
            memory_bytes: self.memory_limit << 20,
            forbidden: self.forbid,
            ..Limits::USUAL
        }
    }
}

/// The options in a `run.json`. They are read as a command line, so that they pass the same checks.
impl TryFrom<Map<String, Value>> for RunOptions {
    type Error = String;

    fn try_from(stored: Map<String, Value>) -> Result<Self, String> {
        let command = RunOptions::augment_args(Command::new("run").no_binary_name(true));
        let given = |arg: &Arg| Some(words(arg, stored.get(arg.get_id().as_str())?));
        let words: Vec<String> = command.get_arguments().filter_map(given).flatten().collect();
        let matches = command.try_get_matches_from(words);
        matches.and_then(|matches| RunOptions::from_arg_matches(&matches)).map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        })
    }
}

/// The words on a command line that give an option this value.
fn words(arg: &Arg, value: &Value) -> Vec<String> {
    let values = match value {
        Value::Array(values) => values,
        one => std::slice::from_ref(one),
    };
    let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
    let word = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match (arg.get_long(), value) {
            (_, Value::Null) => None,
            (Some(_), Value::Bool(false)) if is_switch => None,
            (Some(long), Value::Bool(true)) if is_switch => Some(format!("--{long}")),
            (Some(long), _) => Some(format!("--{long}={text}")),
            (None, _) => Some(text),
        }
    };
    values.iter().filter_map(word).collect()
}

impl CellOptions {
    /// Trials of each cell by itself.
    pub fn trial_count(&self, takes_turns: bool) -> u32 {
        let usual = match (self.quick, takes_turns) {
            (true, _) => 1,
            (false, true) => TRIALS,
            (false, false) => TRIALS_WITHOUT_TURNS,
        };
        self.trials.unwrap_or(usual)
    }

    /// The fewest and the most trials of each cell that decide a claim, unless options say otherwise.
    pub fn trials_until_decided(&self) -> Option<RangeInclusive<u32>> {
        let is_given = self.quick || self.trials.is_some() || self.until.is_some();
        (!is_given).then_some(TRIALS_UNTIL_DECIDED)
    }

    pub fn start_count(&self) -> u32 {
        self.starts.unwrap_or(if self.quick { 0 } else { STARTS })
    }

    /// `--until` as a share.
    pub fn until(&self) -> Option<f64> {
        self.until.map(|percent| percent / 100.0)
    }

    /// The most trials or starts, where there are `usual` without `--until`.
    pub fn at_most(&self, usual: u32) -> u32 {
        if self.until.is_some() { usual * UNTIL_MAX } else { usual }
    }

    /// Warm-up and measuring time for those of the scenario.
    pub fn times(&self, warmup_ns: u64, measure_ns: u64) -> (Duration, Duration) {
        let times = (Duration::from_nanos(warmup_ns), Duration::from_nanos(measure_ns));
        if self.quick { (times.0.min(QUICK_WARMUP), times.1.min(QUICK_MEASURE)) } else { times }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: RunOptions,
    }

    fn options(words: &[&str]) -> RunOptions {
        CommandLine::parse_from([&["run"], words].concat()).options
    }

    #[test]
    fn an_interrupted_run_keeps_its_options() {
        let first = options(&[
            "tour",
            "-r",
            "a/**",
            "--starts",
            "3",
            "--until",
            "2",
            "--forbid",
            "io_uring",
            "--allocator",
            "system",
            "--adapters",
            "here",
            "--adapters",
            "there",
            "--time-limit",
            "7",
            "--seed",
            "5",
        ]);
        let written = serde_json::to_string(&first).unwrap();
        let read: RunOptions = serde_json::from_str(&written).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), written);

        let given =
            [&["--resume", "dir", "--no-build", "--format", "csv"][..], &["--adapters", "moved"]]
                .concat();
        let given = options(&given);
        let unasked = read.clone().resumed(options(&["--resume", "dir"])).unwrap_err();
        assert!(unasked.ends_with(": add --adapters here --adapters there"), "{unasked}");
        let resumed = read.resumed(given).unwrap();
        assert_eq!(resumed.scenarios.specs, ["tour"]);
        assert_eq!(resumed.cells.starts, Some(3));
        assert_eq!(resumed.forbid, Some(Forbidden::IoUring));
        assert_eq!(resumed.time_limit, 7.0);
        assert_eq!(resumed.subjects.source.adapters, [PathBuf::from("moved")]);
        assert!(resumed.subjects.source.no_build);
        assert_eq!(resumed.format, Format::Csv);
        assert_eq!((resumed.resume, resumed.seed), (Some(PathBuf::from("dir")), None));
    }

    #[test]
    fn code_of_a_folder_is_named_again() {
        let run = || options(&["-r", "x@path:a", "-r", "y@1.0.0"]);
        let resumed =
            |words: &[&str]| run().resumed(options(&[&["--resume", "d"], words].concat()));
        assert!(resumed(&[]).unwrap_err().ends_with(": add -r 'x@path:a'"));
        assert!(resumed(&["-r", "x@path:a", "-r", "z"]).unwrap_err().ends_with("leave out -r 'z'"));
        assert_eq!(resumed(&["-r", "x@path:a"]).unwrap().subjects.runtime.len(), 2);
    }

    #[test]
    fn options_of_earlier_versions_can_be_read() {
        let text =
            r#"{"specs":["tour"],"axis":[],"runtime":[],"exclude":[],"quick":true,"workers":null}"#;
        let read: RunOptions = serde_json::from_str(text).unwrap();
        assert_eq!((read.cells.quick, read.cells.trials), (true, None));
        assert_eq!(read.time_limit, usual_time_limit());
        assert_eq!(read.format, Format::Table);
        assert!(read.subjects.source.adapters.is_empty());
        for (written, folders) in [("null", vec![]), ("\"here\"", vec![PathBuf::from("here")])] {
            let text = text.replace('{', &format!("{{\"adapters\":{written},"));
            let read: RunOptions = serde_json::from_str(&text).unwrap();
            assert_eq!(read.subjects.source.adapters, folders);
        }
    }

    #[test]
    fn stored_options_pass_the_checks_of_the_command_line() {
        let deep = "[".repeat(100) + &"]".repeat(100);
        for (option, values) in [
            ("trials", &["0", "18446744073709551615", "-1", "1.5", "true", "\"x\"", "{}"][..]),
            ("starts", &["1001", "[1, 2]", "\"\""]),
            ("until", &["-1", "1e300", "\"NaN\""]),
            ("workers", &["0", "65"]),
            ("time_limit", &["0", "-1", "1e300", "\"NaN\"", "\"inf\"", &deep]),
            ("memory_limit", &["0", "17592186044416", "18446744073709551615"]),
            ("allocator", &["\"--quick\"", "7"]),
            ("forbid", &["\"all\"", "0"]),
            ("quick", &["1", "\"yes\""]),
        ] {
            for value in values {
                let text = format!("{{\"{option}\": {value}}}");
                let error = serde_json::from_str::<RunOptions>(&text).unwrap_err().to_string();
                let named = format!("--{}", option.replace('_', "-"));
                assert!(error.contains(&named), "{text}: {error}");
                assert!(!error.contains('\n'), "{error}");
            }
        }
    }
}
