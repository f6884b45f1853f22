//! The list of faults. They are implemented where they occur: the run (`lib`), the process, the
//! operations, or the table.

macro_rules! faults {
    ($($(#[$meaning:meta])* $fault:ident = $name:literal,)*) => {
        /// What this adapter does wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Fault {
            $($(#[$meaning])* $fault,)*
        }

        impl Fault {
            pub(crate) const ALL: &[Fault] = &[$(Fault::$fault),*];

            /// The executor that stands for it.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Fault::$fault => $name,)*
                }
            }
        }
    };
}

faults! {
    /// No fault: the control of every test.
    Behaves = "behaves",

    /// Claims to use io_uring, but uses blocking calls like all the others here.
    ClaimsIoUring = "claims-io_uring",

    // Before anything runs.
    /// Refuses the plan as unsupported.
    Refuses = "refuses",
    /// Refuses the plan as failed.
    Fails = "fails",
    /// Never becomes ready, and uses no CPU time for it.
    Deadlocks = "deadlocks",
    /// Publishes a port on which it does not listen, and aborts a moment later: a subject that dies
    /// just after it has become ready.
    DiesWhenReady = "dies-when-ready",
    /// The run returns at once.
    ReturnsEarly = "returns-early",
    /// Joining a task returns at once.
    JoinsEarly = "joins-early",

    // Before the window, when the instruments are tested.
    /// Ignores the request to inject a stall.
    HidesStall = "hides-stall",
    /// Ignores pings.
    IgnoresPings = "ignores-pings",

    // To the whole process, some 20 ms after the window has opened.
    /// The run panics while its tasks go on.
    PanicsInRun = "panics-in-run",
    Aborts = "aborts",
    /// Exits with code 7.
    Exits = "exits",
    /// Accesses unmapped memory.
    Segfaults = "segfaults",
    /// To standard output and standard error, as fast as possible.
    PrintsWithoutEnd = "prints-without-end",
    /// And writes to that memory, up to 1.6 GiB a second.
    AllocatesWithoutEnd = "allocates-without-end",
    /// Starts `sleep 1000`, which inherits the standard streams and outlives the trial.
    LeaksChild = "leaks-child",

    // In single operations, while the window is open.
    /// A task panics, at the tenth operation and then at every hundredth.
    PanicsInTask = "panics-in-task",
    /// Reports answers as written and sends none.
    SwallowsAnswers = "swallows-answers",
    /// Flips a bit in every tenth answer of a connection.
    AnswersWrongly = "answers-wrongly",
    /// Flips a bit in the middle of every file.
    ReadsWrongly = "reads-wrongly",
    /// Writes half of every file.
    WritesWrongly = "writes-wrongly",
    /// Closes each connection after ten answers.
    ClosesConnections = "closes-connections",
    /// A yield is ready at once.
    YieldsNot = "yields-not",
    /// Joining a task that was spawned in the window returns at once.
    JoinsAtOnce = "joins-at-once",
    /// Drops tasks that are spawned in the window.
    DropsTasks = "drops-tasks",
    /// The second task that is spawned never runs.
    LosesTask = "loses-task",
    /// Holds a poll for 50 ms, as often.
    Stalls = "stalls",
    /// Delays each request by a millisecond, from half a second after the start of the window.
    SlowsDown = "slows-down",
    /// Spins when it has to stop.
    Hangs = "hangs",

    // At the end of an orderly trial.
    /// Returns a text that is not an outcome.
    ReturnsGarbage = "returns-garbage",
    /// Returns bytes that are not text.
    ReturnsNoText = "returns-no-text",
    /// Returns its outcome twice.
    ReturnsTwice = "returns-twice",
    /// Returns without an outcome.
    ReturnsNothing = "returns-nothing",
}

impl Fault {
    /// The backend that its description names.
    pub(crate) fn claimed_backend(self) -> &'static str {
        if self == Fault::ClaimsIoUring { "io_uring" } else { "none" }
    }

    /// Whether it needs a runtime whose operations do not block: on the others a yield is one of the
    /// system, and the system decides when a task runs.
    pub(crate) fn is_of_non_blocking(self) -> bool {
        matches!(self, Fault::YieldsNot | Fault::LosesTask)
    }

    pub(crate) fn named(name: &str) -> Option<Fault> {
        Fault::ALL.iter().copied().find(|fault| fault.name() == name)
    }
}
