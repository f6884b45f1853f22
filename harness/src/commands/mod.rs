//! The command line: what can be asked, and who answers it.

pub mod arguments;
mod check;
mod classify;
mod compare;
pub mod doctor;
mod drive;
pub mod duel;
pub mod failure;
mod lint;
mod list;
mod report;
pub mod run;
pub mod selection;
pub mod selftest;

use clap::{Parser, Subcommand};

use crate::driver;
use crate::fixtures::slow_disk;
use crate::responder;
use crate::terminal::color::Color;
use crate::trial::inside::{self, InsideArguments};
use check::CheckOptions;
use classify::ClassifyOptions;
use compare::CompareOptions;
use doctor::DoctorOptions;
use drive::DriveOptions;
use duel::DuelOptions;
use failure::Failure;
use lint::LintOptions;
use list::ListOptions;
use report::ReportOptions;
use run::RunOptions;
use selftest::SelfTestOptions;
use selftest::hog::{self, HogArguments};
use selftest::watcher::{self, WatcherArguments};

/// Which async runtime, which executor, which OS backend, and does it behave?
///
/// Runs a workload, described in YAML, unchanged on every runtime, and shows how many things
/// really ran at once, how many threads it took, and how long the loop stood still.
#[derive(Debug, Parser)]
#[command(name = "quadrant", version, after_help = AFTER_HELP)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
    #[arg(long, global = true, value_enum, default_value_t)]
    color: Color,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  all well
  1  an expectation of a scenario was not met, a check failed, `compare` found a regression, or
     `selftest` a number that is not reached
  2  the command line or a scenario is wrong, or two runs are too unlike to compare;
     nothing was run
  3  something could not be measured: it failed, crashed, timed out or did not load
  4  nothing was run or compared: nothing matched, or all of it is unsupported here
  130  interrupted; what was measured is kept

Environment:
  QUADRANT_HOME  the folder of the scenarios and adapters [default: the workspace around the current
                 folder, else the place of the program, else where the program was built]";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios on subjects and print tables; without SPEC: the tour
    Run(Box<RunOptions>),
    /// Check how runtimes behave: what each must do, and in what they differ
    Check(CheckOptions),
    /// Find out in which quadrant each operation is: when control comes back, and what does the work
    Classify(ClassifyOptions),
    /// Compare two runs cell by cell: regressed, improved, same, or cannot tell
    Compare(CompareOptions),
    /// Let two subjects take turns in lock-step, the sharpest comparison
    Duel(DuelOptions),
    /// Send the load of scenarios to any server that echoes requests
    Drive(DriveOptions),
    /// Print the tables of a run again, from its records
    Report(ReportOptions),
    /// Show what there is: specs, subjects, or the cells that would run
    List(ListOptions),
    /// Tell what on this machine spoils measuring, and what to do about it
    Doctor(DoctorOptions),
    /// Show how accurately this machine measures: every instrument against a known truth
    Selftest(SelfTestOptions),
    /// Check scenarios and lists of known failures
    Lint(LintOptions),
    #[command(name = "__trial", hide = true)]
    Trial(InsideArguments),
    #[command(name = "__describe", hide = true)]
    Describe(InsideArguments),
    #[command(name = "__driver", hide = true)]
    Driver,
    #[command(name = slow_disk::process::SUBCOMMAND, hide = true)]
    SlowDisk,
    #[command(name = responder::process::SUBCOMMAND, hide = true)]
    Responder,
    #[command(name = hog::SUBCOMMAND, hide = true)]
    Hog(HogArguments),
    #[command(name = watcher::SUBCOMMAND, hide = true)]
    Watcher(WatcherArguments),
}

impl CommandLine {
    /// Does what was asked and answers with the exit code.
    pub fn carry_out(self) -> Result<u8, Failure> {
        Ok(match self.command {
            Command::Run(options) => run::run(*options, self.color)?,
            Command::Check(options) => check::check(&options, self.color)?,
            Command::Classify(options) => classify::classify(&options, self.color)?,
            Command::Compare(options) => compare::compare(&options, self.color)?,
            Command::Duel(options) => duel::duel(&options, self.color)?,
            Command::Drive(options) => drive::drive(&options, self.color)?,
            Command::Report(options) => report::report(&options, self.color)?,
            Command::List(options) => list::list(&options)?,
            Command::Doctor(options) => doctor::doctor(&options, self.color)?,
            Command::Selftest(options) => selftest::selftest(&options, self.color)?,
            Command::Lint(options) => lint::lint(&options)?,
            Command::Trial(arguments) => inside::run(&arguments).map(|()| 0)?,
            Command::Describe(arguments) => inside::describe(&arguments).map(|()| 0)?,
            Command::Hog(arguments) => hog::run(&arguments).map(|()| 0)?,
            Command::Watcher(arguments) => watcher::run(&arguments).map(|()| 0)?,
            Command::SlowDisk => slow_disk::process::run_from_stdin().map(|()| 0)?,
            Command::Driver => driver::run_from_stdin(),
            Command::Responder => responder::run_from_stdin(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_on_the_pages_for_authors_exist() {
        let pages = [
            include_str!("../../../runtimes/README.md"),
            include_str!("../../../runtimes/ci.md"),
            include_str!("../../../specs/behaviours/README.md"),
        ];
        let mut count = 0;
        for line in pages.iter().flat_map(|page| page.lines()) {
            let Some(words) = line.trim().strip_prefix("quadrant ") else { continue };
            let words = words.split(" >").next().unwrap_or_default().split_whitespace();
            let parsed = CommandLine::try_parse_from(["quadrant"].into_iter().chain(words));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            count += 1;
            if let Command::Selftest(SelfTestOptions { part: Some(part), .. }) =
                parsed.unwrap().command
            {
                assert!(selftest::wanted_parts(&part).is_ok(), "there is no part {part}");
            }
        }
        assert!(count > 8, "{count}");
    }

    #[test]
    fn the_workflow_fits_on_one_page() {
        let page = include_str!("../../../runtimes/ci.md");
        let workflow = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
        assert!(workflow.is_some_and(|text| (20..=40).contains(&text.lines().count())));
    }
}
