//! What the hidden subcommands do in the child process of a trial.
//!
//! It loads exactly one adapter, runs exactly one plan and hands in exactly one outcome. Never
//! measures anything itself.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, RawFd};
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use clap::Args;
use quadrant_reports::record::evidence;
use quadrant_suite::outcome::Outcome;
use quadrant_suite::plan::Plan;

use super::memory::MemoryArguments;
use crate::system::board_memory::BoardMemory;
use crate::system::child::die_with_parent;
use crate::system::forbid::{self, Forbidden};
use crate::system::{cpus, features, limits};
use crate::trial::library::AdapterLibrary;

/// Stands on the pipe before the reason why nothing could be run.
pub const NOT_LOADED: &str = "not loaded: ";

/// Takes outcomes and descriptions: a pipe of its own, so that nothing an adapter prints is taken for
/// one.
static ANSWER: OnceLock<File> = OnceLock::new();
/// What is being run; read only to explain a failure.
static PLAN: OnceLock<String> = OnceLock::new();

#[derive(Debug, Args)]
pub struct InsideArguments {
    /// For messages.
    library: PathBuf,
    /// Descriptor of the library.
    #[arg(long)]
    file: RawFd,
    /// Descriptor that takes the answer.
    #[arg(long)]
    answer: RawFd,
    /// Descriptor of the board.
    #[arg(long)]
    board: Option<RawFd>,
    /// CPUs to stay on.
    #[arg(long, value_delimiter = ',')]
    cpus: Vec<usize>,
    /// The process whose end is this one's, too.
    #[arg(long)]
    parent: u32,
    /// What the process is forbidden to use.
    #[arg(long)]
    forbid: Option<Forbidden>,
    #[command(flatten)]
    memory: MemoryArguments,
}

/// `__describe`: hands in the adapter's description of itself.
pub fn describe(arguments: &InsideArguments) -> Result<()> {
    begin(arguments)?;
    match AdapterLibrary::load(&arguments.library, arguments.file) {
        Ok(adapter) => answer(adapter.describe().unwrap_or_default().as_bytes()),
        Err(error) => answer(format!("{NOT_LOADED}{error}").as_bytes()),
    }
    Ok(())
}

/// `__trial`: runs the plan that comes on standard input.
pub fn run(arguments: &InsideArguments) -> Result<()> {
    begin(arguments)?;
    let board = arguments.board.context("--board is missing")?;
    let board = BoardMemory::from_inherited(board).context("the board cannot be reached")?;
    let mut plan = String::new();
    std::io::stdin().read_to_string(&mut plan).context("the plan cannot be read")?;
    let plan = PLAN.get_or_init(|| plan);
    match AdapterLibrary::load(&arguments.library, arguments.file) {
        Ok(adapter) => adapter.run(plan, board, answer_outcome),
        Err(error) => answer(format!("{NOT_LOADED}{error}").as_bytes()),
    }
    Ok(())
}

fn begin(arguments: &InsideArguments) -> Result<()> {
    arguments.memory.apply();
    // SAFETY: the parent opened this descriptor for this process alone, which takes it here
    // and nowhere else.
    #[allow(unsafe_code)]
    let pipe = unsafe { File::from_raw_fd(arguments.answer) };
    ANSWER.set(pipe).expect("a child begins once");
    // What the system refuses here is no failure of the subject.
    prepare(arguments).inspect_err(|error| answer(format!("{NOT_LOADED}{error:#}").as_bytes()))
}

fn prepare(arguments: &InsideArguments) -> Result<()> {
    die_with_parent(arguments.parent)?;
    if let Some(forbidden) = arguments.forbid {
        forbid::forbid(forbidden).with_context(|| format!("{forbidden} cannot be forbidden"))?;
    }
    Ok(cpus::stay_on(&arguments.cpus)?)
}

/// Hands in an outcome. If the machine is its cause, the outcome names that.
fn answer_outcome(text: &[u8]) {
    match explained(text) {
        Some(explained) => answer(&explained),
        None => answer(text),
    }
}

/// A runtime whose backend does not work panics or returns a number. The cause is found here, in the
/// process where the same things are forbidden.
fn explained(text: &[u8]) -> Option<Vec<u8>> {
    let (reported, is_refusal) = match serde_json::from_slice(text) {
        Ok(Outcome::Unsupported { reason }) => (reason, true),
        Ok(Outcome::Failed { reason }) => (reason, false),
        _ => return None,
    };
    let plan: Plan = serde_json::from_str(PLAN.get()?).ok()?;
    if !evidence::needs_ring(&plan.backend) {
        return None;
    }
    // A small ring may fit where a runtime's does not.
    let too_small = || {
        let bytes = limits::locked_memory_max().filter(|_| is_refusal)?;
        Some(format!(
            "only {} KiB of memory may be locked here, which its rings may need more of; `ulimit \
             -l unlimited` allows it",
            bytes >> 10
        ))
    };
    let cause = features::io_uring_works().err().or_else(too_small)?;
    serde_json::to_vec(&Outcome::Unsupported { reason: format!("{cause} ({reported})") }).ok()
}

/// One line on the answer pipe, of which the parent reads the first.
fn answer(text: &[u8]) {
    let Some(mut pipe) = ANSWER.get() else { return };
    let line = [text, b"\n"].concat();
    // It fails only when the parent is gone.
    let _ = pipe.write_all(&line);
}
