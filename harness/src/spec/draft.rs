//! A program under construction, and the rules on what may follow what in it.
//!
//! Never reads a value; it sees steps only after that.

use quadrant_suite::plan::{Action, Program, Step as PlanStep};

use super::error::{Place, Problem};

/// Who runs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runner {
    Connection,
    Task,
    Spawned,
    Branch,
}

/// A program under construction.
pub(super) struct Draft {
    pub(super) steps: Program,
    runner: Runner,
    pub(super) depth: usize,
    /// Inside `repeat`.
    pub(super) repeated: bool,
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
            depth,
            repeated: false,
            spawned: None,
            recv: None,
            send: None,
        }
    }

    pub(super) fn push(&mut self, action: Action, row: Option<usize>) {
        self.steps.push(PlanStep { action, row });
    }

    pub(super) fn close(&mut self, row: Option<usize>) {
        if let Some(row) = row {
            self.push(Action::Close { row }, None);
        }
    }

    pub(super) fn check_joined(&self) -> Result<(), Problem> {
        match self.spawned {
            None => Ok(()),
            Some(at) => Err(Problem::new(at, "nothing waits for these tasks")
                .help("add `- join` further down in the same list of steps".to_owned())),
        }
    }

    /// That `recv` and `send` may stand here, and come once and in order.
    pub(super) fn check_exchange(
        &mut self,
        word: &str,
        at: Place,
        receives: bool,
        sends: bool,
    ) -> Result<(), Problem> {
        let wrong = |why: String| Err(Problem::new(at, why));
        let connectionless = match self.runner {
            Runner::Connection => None,
            Runner::Task => Some("a task"),
            Runner::Spawned => Some("a spawned task"),
            Runner::Branch => Some("a branch of `gather`"),
        };
        if let Some(who) = connectionless {
            return wrong(format!(
                "`{word}` cannot stand here: {who} has no connection; only the steps of `server` have one"
            ));
        }
        if self.repeated {
            return wrong(format!(
                "`{word}` cannot stand in `repeat`: a request is received once and answered once"
            ));
        }
        let once = |before: Option<Place>, verb: &str| match before {
            Some(before) => wrong(format!(
                "line {} has {verb} already: a request is received once and answered once",
                before.line
            )),
            None => Ok(()),
        };
        if receives {
            once(self.recv, "received")?;
            self.recv = Some(at);
        }
        if sends {
            once(self.send, "answered")?;
            if self.recv.is_none() {
                return wrong(
                    "`send` comes before `recv`: a request is received, then answered".to_owned(),
                );
            }
            self.send = Some(at);
        }
        Ok(())
    }

    pub(super) fn check_answered(&self, at: Place) -> Result<(), Problem> {
        let missing = match (self.recv, self.send) {
            (Some(_), Some(_)) => return Ok(()),
            (None, None) => "`recv` and `send` are missing",
            (None, Some(_)) => "`recv` is missing",
            (Some(_), None) => "`send` is missing",
        };
        Err(Problem::new(
            at,
            format!("{missing}: a server receives each request once and answers it once"),
        )
        .help("the shortest server is `server: { steps: [echo] }`".to_owned()))
    }
}
