//! One behaviour check on one subject, in a process of its own.
//!
//! Never measures: the subject answers, or does not.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use quadrant_reports::behaviour::Answer;
use quadrant_suite::checks::Verdict;
use quadrant_suite::outcome::Outcome;
use quadrant_suite::plan::Plan;

use super::adapter_process::AdapterProcess;
use super::inside::NOT_LOADED;
use super::library_file::LibraryFile;
use super::order::Limits;
use crate::system::board_memory::BoardMemory;
use crate::system::child::{ending, wait_for_output};

/// Makes glibc overwrite memory that is freed, so that its later use seldom goes unnoticed.
const OVERWRITE: (&str, &str) = ("MALLOC_PERTURB_", "165");

/// Dropping it ends the process with all that it has started.
pub struct CheckProcess {
    process: AdapterProcess,
    /// The subject counts its polls there, as in a trial.
    _board: BoardMemory,
    limit: Duration,
    end: Instant,
}

impl CheckProcess {
    pub fn start(
        executable: &Path,
        library: &LibraryFile,
        plan: &Plan,
        limit: Duration,
        overwrites_freed_memory: bool,
    ) -> Result<Self> {
        let memory = BoardMemory::create()?;
        let board = memory.inherited()?;
        let text = serde_json::to_vec(plan)?;
        let complete = |command: &mut std::process::Command| {
            command.args(["--board", &board.number().to_string()]).envs(plan.environment());
            command.envs(overwrites_freed_memory.then_some(OVERWRITE));
        };
        let process =
            AdapterProcess::spawn(executable, "__trial", library, Limits::USUAL, complete, &text)?;
        Ok(Self { process, _board: memory, limit, end: Instant::now() + limit })
    }

    /// The answer, once there is one. Never waits.
    pub fn answer(&mut self) -> Option<Answer> {
        let status = self.process.ended_within(Duration::ZERO).ok().flatten();
        self.process.read_output();
        if let Some(line) = self.process.answer() {
            return Some(answer(&line));
        }
        if let Some(status) = status {
            let seen =
                format!("the process {}{}", ending(status), self.process.last_line_printed());
            return Some(Answer::Crashed(seen));
        }
        if let Some(excess) = self.process.excess() {
            return Some(failed(format!("it {excess}")));
        }
        (Instant::now() >= self.end)
            .then(|| Answer::Hung(format!("no answer within {} s", self.limit.as_secs())))
    }
}

/// Sleeps until one of these has something to read or has ended, at most for this time.
pub fn wait_for_any(processes: &[&CheckProcess], limit: Duration) {
    wait_for_output(processes.iter().flat_map(|it| it.process.sources()), limit);
}

fn answer(line: &str) -> Answer {
    if let Some(reason) = line.strip_prefix(NOT_LOADED) {
        return Answer::Unmeasured(reason.to_owned());
    }
    match serde_json::from_str(line) {
        Ok(Outcome::Checked(verdict)) => Answer::Found(verdict),
        Ok(Outcome::Unsupported { reason }) => Answer::Found(Verdict::Unsupported { reason }),
        Ok(Outcome::Failed { reason }) => failed(reason),
        Ok(Outcome::Finished(_)) => failed("it ran a trial instead of the check".to_owned()),
        Err(error) => failed(format!("its answer is not readable: {error}")),
    }
}

fn failed(seen: String) -> Answer {
    Answer::Found(Verdict::Fail { seen })
}
