//! `quadrant check`: the behaviour kit on every subject.
//!
//! Never compares figures of runtimes; what a check measures is a note beside its answer.

mod explanation;
mod known;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use globset::{Glob, GlobMatcher};
use quadrant_reports::behaviour::{Answer, Asked, Findings};
use quadrant_reports::format::Format;
use quadrant_suite::checks::{self, Check, Kind, Verdict};
use quadrant_suite::description::Topology;
use quadrant_suite::plan::Plan;

use super::arguments;
use super::failure::Failure;
use super::selection::SubjectOptions;
use crate::adapters::discovery::Purpose;
use crate::adapters::subject::{State, Subject};
use crate::system::{cpus, interrupt, limits, orphans, paths};
use crate::terminal::color::Color;
use crate::terminal::nearest::{nearest, quoted};
use crate::terminal::progress::Progress;
use crate::terminal::standard_output;
use crate::trial::{CheckProcess, Limits, wait_for_any};

/// How often the processes are looked at when none of them says anything.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
A check is `must` (pass or fail), `differs` (runtimes may differ: an answer in words) or `metric` (a
number). Each runs in a process of its own; one that hangs or crashes is an answer too.

Exit codes: 0 no check failed but those of --known, 1 one did, 3 one could not be run, 4 no check ran
on any subject, 130 interrupted")]
pub struct CheckOptions {
    /// Only these checks: globs over their names, such as `sleep-*`; without one, all
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    subjects: SubjectOptions,
    /// Only what changes for code that moves from subject A to subject B
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "runtime")]
    between: Option<Vec<String>>,
    /// Failures that are expected, a YAML list of `check`, `subject`, `issue` and, if need be,
    /// `expires`. They do not count until they expire. Can be given several times
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
    /// Print the checks and their questions, and run none
    #[arg(long)]
    list: bool,
    /// Print what the checks ask, how, and the usual causes of a failure, and run none
    #[arg(long, conflicts_with = "list")]
    explain: bool,
    /// Seconds after which a check counts as hung
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    time_limit: u64,
    /// Seed of everything that is drawn at random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value = "table", value_parser = arguments::format(arguments::TESTS))]
    format: Format,
}

pub fn check(options: &CheckOptions, color: Color) -> Result<u8, Failure> {
    let wanted = wanted(&options.ids, "check", checks::GROUPS.iter())?;
    if options.explain {
        let checks = wanted.iter().map(|(_, check)| *check);
        standard_output::write(&explanation::of_all(checks))?;
        return Ok(0);
    }
    let declared = known::load(&options.known)?;
    let mut findings = Findings {
        checks: wanted.iter().map(|(group, check)| asked(group, check)).collect(),
        seed: options.seed,
        ..Findings::default()
    };
    let style = standard_output::style(color);
    if options.list {
        standard_output::write(&findings.list(options.format, style))?;
        return Ok(0);
    }
    limits::raise();
    let progress = Progress::new();
    let subjects = subjects(options, &progress)?;
    findings.subjects = subjects.iter().map(|subject| subject.id.clone()).collect();
    findings.known = known::in_cells(&declared, &wanted, &subjects);
    progress.trials((wanted.len() * subjects.len()) as u64);
    let limit = Duration::from_secs(options.time_limit);
    findings.answers = ask(&wanted, &subjects, options.seed, limit, &progress, || {
        progress.advance(1);
    })?;
    progress.end();
    let text = match options.between {
        Some(_) => findings.difference(options.format, style),
        None => findings.text(options.format, style),
    };
    standard_output::write(&text)?;
    Ok(exit_code(&findings))
}

fn exit_code(findings: &Findings) -> u8 {
    if findings.failures().next().is_some() {
        1
    } else if findings.each().any(|found| found.answer.is_unmeasured()) {
        3
    } else if !findings.has_answers() {
        4
    } else {
        0
    }
}

/// The checks that are asked for, with their groups. `word` is what they are called.
pub fn wanted(
    ids: &[String],
    word: &str,
    groups: impl Iterator<Item = &'static (&'static str, &'static [Check])>,
) -> Result<Vec<(&'static str, &'static Check)>, Failure> {
    let all = groups.flat_map(|(group, checks)| checks.iter().map(|check| (*group, check)));
    let all: Vec<(&'static str, &'static Check)> = all.collect();
    let glob = |id: &String| -> Result<GlobMatcher, Failure> {
        let glob = Glob::new(id).map_err(|error| Failure::usage(error.to_string()))?;
        let matcher = glob.compile_matcher();
        if all.iter().any(|(_, check)| matcher.is_match(check.id)) {
            return Ok(matcher);
        }
        let near = nearest(id, all.iter().map(|(_, check)| check.id));
        let near = near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
        Err(Failure::usage(format!(
            "there is no {word} {}{near}; `quadrant check --list` shows all",
            quoted(id)
        )))
    };
    let globs = ids.iter().map(glob).collect::<Result<Vec<_>, _>>()?;
    let is_wanted =
        |check: &Check| globs.is_empty() || globs.iter().any(|glob| glob.is_match(check.id));
    Ok(all.into_iter().filter(|(_, check)| is_wanted(check)).collect())
}

pub fn asked(group: &str, check: &Check) -> Asked {
    Asked {
        id: check.id.to_owned(),
        group: group.to_owned(),
        question: check.question.to_owned(),
        why: check.why.to_owned(),
        kind: check.kind,
    }
}

fn subjects(options: &CheckOptions, progress: &Progress) -> Result<Vec<Subject>, Failure> {
    let mut asked = options.subjects.clone();
    if let Some(between) = &options.between {
        asked.runtime.clone_from(between);
    }
    let subjects = asked.find(Purpose::Checks, Limits::USUAL, progress)?;
    let Some(between) = &options.between else { return Ok(subjects) };
    let one = |id: &String| -> Result<Subject, Failure> {
        let mut named = subjects.iter().filter(|subject| subject.id == *id);
        named.next().cloned().ok_or_else(|| {
            Failure::usage(format!(
                "`{id}` is no subject; `--between` takes two whole ids, as `quadrant list subjects` \
                 shows them"
            ))
        })
    };
    between.iter().map(one).collect()
}

/// Runs every check on every subject; for each check, an answer for each subject. `ended` is called
/// after each.
pub fn ask(
    wanted: &[(&str, &Check)],
    subjects: &[Subject],
    seed: u64,
    limit: Duration,
    progress: &Progress,
    ended: impl Fn(),
) -> Result<Vec<Vec<Answer>>, Failure> {
    let executable = paths::own_program()?;
    let side_by_side = cpus::allowed().len().max(1);
    let mut answers: Vec<Vec<Option<Answer>>> = vec![vec![None; subjects.len()]; wanted.len()];
    let cells = (0..wanted.len()).flat_map(|row| (0..subjects.len()).map(move |at| (row, at)));
    let mut waiting: VecDeque<(usize, usize)> = cells.collect();
    let mut running: Vec<((usize, usize), CheckProcess)> = Vec::new();
    while !(waiting.is_empty() && running.is_empty()) {
        if interrupt::requested() {
            break;
        }
        if running.len() < side_by_side
            && let Some((row, at)) = waiting.pop_front()
        {
            let (_, check) = wanted[row];
            match start(&executable, &subjects[at], check, seed, limit) {
                Ok(process) => {
                    progress.say(format!("{} on {}", check.id, subjects[at].id));
                    running.push(((row, at), process));
                }
                Err(answer) => {
                    ended();
                    answers[row][at] = Some(answer);
                }
            }
            continue;
        }
        let processes: Vec<&CheckProcess> = running.iter().map(|(_, process)| process).collect();
        wait_for_any(&processes, LOOK_EVERY);
        running.retain_mut(|((row, at), process)| {
            let answer = process.answer();
            let goes_on = answer.is_none();
            if !goes_on {
                ended();
                answers[*row][*at] = answer;
            }
            goes_on
        });
    }
    // Some still run after an interruption; then what they and all others have left behind.
    drop(running);
    orphans::end_all();
    let unmeasured = || Answer::Unmeasured("interrupted before it ran".to_owned());
    Ok(answers
        .into_iter()
        .map(|row| row.into_iter().map(|answer| answer.unwrap_or_else(unmeasured)).collect())
        .collect())
}

/// The process of a check, or the answer where none is needed.
fn start(
    executable: &Path,
    subject: &Subject,
    check: &Check,
    seed: u64,
    limit: Duration,
) -> Result<CheckProcess, Answer> {
    let (library, executor) = match &subject.state {
        State::Loadable { library, executor, .. } => (library, executor),
        State::Broken { reason } => return Err(Answer::Unmeasured(reason.clone())),
    };
    // With several roots only the first has something to do.
    let workers = if executor.topology == Topology::PerCore { 1 } else { 2 };
    let workers = subject.workers(workers);
    let plan = Plan {
        options: subject.options.clone(),
        check: Some(check.planned()),
        ..Plan::empty(&executor.executor, &executor.backend, workers, seed)
    };
    if let Some(reason) = subject.unsupported(&plan) {
        return Err(Answer::Found(Verdict::Unsupported { reason }));
    }
    // Metrics would contain it.
    let overwrites_freed_memory = check.kind == Kind::Must;
    CheckProcess::start(executable, library, &plan, limit, overwrites_freed_memory)
        .map_err(|error| Answer::Unmeasured(format!("{error:#}")))
}
