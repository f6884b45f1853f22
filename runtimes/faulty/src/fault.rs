//! The faults by name, and what each of them is. What they do stands with what they spoil:
//! the run (`lib`), the process, the operations, or the table.

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
    /// None at all: the control of every test.
    Behaves = "behaves",

    /// Says that it works by io_uring, and blocks its threads like all the others here.
    ClaimsIoUring = "claims-io_uring",

    // Before anything runs.
    /// Says that it does not support the plan.
    Refuses = "refuses",
    /// Says that it could not be started.
    Fails = "fails",
    /// Never becomes ready, and uses no CPU time for it.
    Deadlocks = "deadlocks",
    /// Says that it is ready, where nobody listens any more, and aborts a moment later: what is
    /// seen of a subject that dies right then.
    DiesWhenReady = "dies-when-ready",
    /// The run comes back at once.
    ReturnsEarly = "returns-early",

    // Before the trial, where the instruments are tried.
    /// Does not hear that it has to make a stall.
    HidesStall = "hides-stall",
    /// Hears no ping.
    IgnoresPings = "ignores-pings",

    // To the whole process, some 20 ms after the window has opened.
    /// The run panics while its tasks go on.
    PanicsInRun = "panics-in-run",
    Aborts = "aborts",
    /// Leaves with code 7.
    Exits = "exits",
    /// Touches memory it does not have.
    Segfaults = "segfaults",
    /// To standard output and standard error, as fast as they take it.
    PrintsWithoutEnd = "prints-without-end",
    /// And touches what it gets, up to 1.6 GiB a second.
    AllocatesWithoutEnd = "allocates-without-end",
    /// Starts `sleep 1000`, which inherits the standard streams and outlives the trial.
    LeaksChild = "leaks-child",

    // In single operations, while the window is open.
    /// A task panics, at the tenth operation and then at every hundredth.
    PanicsInTask = "panics-in-task",
    /// Flips a bit in every tenth answer of a connection.
    AnswersWrongly = "answers-wrongly",
    /// Flips a bit in the middle of every file.
    ReadsWrongly = "reads-wrongly",
    /// Closes each connection after ten answers.
    ClosesConnections = "closes-connections",
    /// Holds a poll for 50 ms, as often.
    Stalls = "stalls",
    /// Takes a millisecond more for each request, from half a second after the window has opened.
    SlowsDown = "slows-down",
    /// Hears that it has to stop, and spins instead.
    Hangs = "hangs",

    // At the end of an orderly trial.
    /// Hands in a text that is no outcome.
    ReturnsGarbage = "returns-garbage",
    /// Hands in bytes that are no text.
    ReturnsNoText = "returns-no-text",
    /// Hands in its outcome twice.
    ReturnsTwice = "returns-twice",
    /// Hands in nothing and comes back.
    ReturnsNothing = "returns-nothing",
}

impl Fault {
    /// The backend that its description names.
    pub(crate) fn claimed_backend(self) -> &'static str {
        if self == Fault::ClaimsIoUring { "io_uring" } else { "none" }
    }

    pub(crate) fn named(name: &str) -> Option<Fault> {
        Fault::ALL.iter().copied().find(|fault| fault.name() == name)
    }
}
