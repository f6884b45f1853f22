//! A program under construction, and the rules on what may follow what in it.
//!
//! Never reads a value; it sees steps only after that.

use quadrant_suite::plan::{Action, Program, Step};

use super::error::{Place, SpecError, error};

/// What runs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runner {
    Connection,
    Task,
    Spawned,
    Branch,
    /// A step, by its word, in the task that it stands in.
    Inner(&'static str),
}

/// What surrounds a program.
#[derive(Debug, Clone, Default)]
pub(super) struct Around {
    /// The step that may drop the program before its end.
    pub(super) cancelled_by: Option<&'static str>,
    /// The locks that are held meanwhile, by their indexes.
    pub(super) locks: Vec<usize>,
    /// Whether a task of a group runs it itself.
    pub(super) is_of_group: bool,
}

pub(super) struct Draft {
    pub(super) steps: Program,
    runner: Runner,
    pub(super) around: Around,
    /// Step lists around this one.
    pub(super) depth: usize,
    /// Inside `repeat`.
    pub(super) repeated: bool,
    /// A step is missing because it has a mistake.
    pub(super) is_incomplete: bool,
    /// The last `spawn` that no `join` has followed yet.
    pub(super) spawned: Option<Place>,
    recv: Option<Place>,
    send: Option<Place>,
}

impl Draft {
    pub(super) fn new(runner: Runner, depth: usize) -> Self {
        Self {
            steps: Program::new(),
            runner,
            around: Around { is_of_group: runner == Runner::Task, ..Around::default() },
            depth,
            repeated: false,
            is_incomplete: false,
            spawned: None,
            recv: None,
            send: None,
        }
    }

    /// For a program that a step in this one runs.
    pub(super) fn inside(&self, runner: Runner) -> Self {
        let is_of_group = self.around.is_of_group && matches!(runner, Runner::Inner(_));
        let around = Around { is_of_group, ..self.around.clone() };
        Self { around, ..Self::new(runner, self.depth + 1) }
    }

    /// That what surrounds the program allows this step.
    pub(super) fn check_around(&self, word: &str, at: Place) -> Result<(), SpecError> {
        let reason = match (word, self.around.cancelled_by) {
            ("spawn" | "gather" | "ping_pong", Some(_)) => {
                "the tasks that it starts would go on after it was cancelled"
            }
            ("send_to", Some(_)) => "a cancelled message would be missing in its channel",
            ("write_file", Some(_)) => {
                "a cancelled write would leave a file that cannot be checked"
            }
            ("barrier", Some(_)) => "the other tasks would wait for one that was cancelled",
            _ => "",
        };
        if let (Some(by), false) = (self.around.cancelled_by, reason.is_empty()) {
            return Err(error!(at, "`{word}` cannot stand in `{by}`: {reason}"));
        }
        if word == "barrier" && !self.around.locks.is_empty() {
            let rule = "the other tasks could not arrive while one holds the lock";
            return Err(error!(at, "`barrier` cannot stand in `lock`: {rule}"));
        }
        let is_for_groups = matches!(word, "barrier" | "send_to" | "receive_from");
        if is_for_groups && !self.around.is_of_group {
            return Err(error!(
                at,
                "`{word}` cannot stand here: it is for the tasks of a group, not for connections, spawned tasks and branches of `gather`"
            ));
        }
        Ok(())
    }

    pub(super) fn push(&mut self, action: Action, row: Option<usize>) {
        self.steps.push(Step { action, row });
    }

    pub(super) fn open(&mut self, row: Option<usize>) {
        if let Some(row) = row {
            self.push(Action::Open { row }, None);
        }
    }

    pub(super) fn close(&mut self, row: Option<usize>) {
        if let Some(row) = row {
            self.push(Action::Close { row }, None);
        }
    }

    pub(super) fn check_joined(&self) -> Result<(), SpecError> {
        let Some(at) = self.spawned else { return Ok(()) };
        Err(error!(at, "nothing waits for these tasks")
            .help("add `- join` further down in the same list of steps")
            .consequence_if(self.is_incomplete))
    }

    /// That `recv`, `send` or `echo` may stand here, and comes once and in order.
    pub(super) fn check_exchange(&mut self, word: &str, at: Place) -> Result<(), SpecError> {
        let connectionless = match self.runner {
            Runner::Inner(outer) => {
                let why = match self.around.cancelled_by {
                    Some(_) => "what a cancelled one has moved would be lost",
                    None => "its steps run without the connection",
                };
                return Err(error!(at, "`{word}` cannot stand in `{outer}`: {why}")
                    .help("receive before it and send after it"));
            }
            Runner::Connection => None,
            Runner::Task => Some("a task"),
            Runner::Spawned => Some("a spawned task"),
            Runner::Branch => Some("a branch of `gather`"),
        };
        if let Some(runner) = connectionless {
            return Err(error!(
                at,
                "`{word}` cannot stand here: {runner} has no connection; only the steps of `server` have one"
            ));
        }
        if self.repeated {
            return Err(error!(
                at,
                "`{word}` cannot stand in `repeat`: a request is received once and answered once"
            ));
        }
        let once = |before: Option<Place>, verb: &str| match before {
            Some(Place { line, .. }) => Err(error!(
                at,
                "line {line} has {verb} already: a request is received once and answered once"
            )),
            None => Ok(()),
        };
        if word != "send" {
            once(self.recv, "received")?;
            self.recv = Some(at);
        }
        if word != "recv" {
            once(self.send, "answered")?;
            self.send = Some(at);
        }
        if self.recv.is_none() {
            let rule = "a request is received, then answered";
            return Err(
                error!(at, "`send` comes before `recv`: {rule}").consequence_if(self.is_incomplete)
            );
        }
        Ok(())
    }

    pub(super) fn check_finished(&self, at: Place) -> Result<(), SpecError> {
        self.check_joined()?;
        let missing = match (self.recv, self.send) {
            _ if self.runner != Runner::Connection => return Ok(()),
            (Some(_), Some(_)) => return Ok(()),
            (Some(_), None) => "`send` is missing",
            (None, _) => "`recv` and `send` are missing",
        };
        Err(error!(at, "{missing}: a server receives each request once and answers it once")
            .help("the shortest server is `server: { steps: [echo] }`")
            .consequence_if(self.is_incomplete))
    }
}
