//! The rules that the tiny executor can break, and the checks that have to notice it.

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    LosesWakesDuringPolls,
    LosesForeignWakes,
    LosesForeignWakesOfTheRoot,
    LosesEveryHundredthWake,
    WakesWaitForTheLoop,
    HangsOnWakesOfDroppedTasks,
    TimersOnlyWhenIdle,
    ForeignWakesOnlyWhenIdle,
    YieldsNothing,
    PollsTheRootFirst,
    RunsTheLastWokenFirst,
    SleepsTooShort,
    OverflowsOnLongSleeps,
    MissesEarlierTimers,
    SleepsInTheLoop,
    LosesWorkers,
    JobsInTheLoop,
    LosesPanickedJobs,
    CrashesOnLateWakes,
    HangsAfterAPanicOfTheRoot,
    SocketsOnlyWhenIdle,
    ClosesBothDirections,
    HidesResets,
    BuffersWithoutLimit,
    // Not wrong, but another answer.
    NewWakers,
    SpawnsLastFirst,
    PollsInSpawn,
    FreesInertTasks,
    SleepsATick,
    CancelsOnDrop,
    JoinsPanicsSilently,
    EndsWithAPanic,
}

impl Rule {
    /// Each rule with the check that has to fail.
    pub(super) const ALL: &[(Rule, &str)] = &[
        (Rule::LosesWakesDuringPolls, "wake-in-poll"),
        (Rule::LosesForeignWakes, "wake-foreign-task"),
        (Rule::LosesForeignWakesOfTheRoot, "wake-foreign-root"),
        (Rule::LosesEveryHundredthWake, "wake-race"),
        (Rule::WakesWaitForTheLoop, "wake-nonblocking"),
        (Rule::HangsOnWakesOfDroppedTasks, "drop-wakes-sibling"),
        (Rule::TimersOnlyWhenIdle, "timer-vs-ready"),
        (Rule::ForeignWakesOnlyWhenIdle, "wake-vs-ready"),
        (Rule::YieldsNothing, "yield-fair"),
        (Rule::PollsTheRootFirst, "root-yield"),
        (Rule::TimersOnlyWhenIdle, "root-yield-timer"),
        (Rule::RunsTheLastWokenFirst, "pingpong"),
        (Rule::SleepsTooShort, "sleep-not-early"),
        (Rule::OverflowsOnLongSleeps, "sleep-max"),
        (Rule::MissesEarlierTimers, "timer-earlier"),
        (Rule::SleepsInTheLoop, "sequential-vs-join"),
        (Rule::LosesWorkers, "panic-capacity"),
        (Rule::JobsInTheLoop, "pool-isolates"),
        (Rule::LosesPanickedJobs, "panic-blocking"),
        (Rule::CrashesOnLateWakes, "wake-late"),
        (Rule::HangsAfterAPanicOfTheRoot, "panic-root-reuse"),
        (Rule::SocketsOnlyWhenIdle, "io-vs-ready"),
        (Rule::ClosesBothDirections, "half-close"),
        (Rule::HidesResets, "rst"),
        (Rule::BuffersWithoutLimit, "backpressure"),
    ];

    /// Each other way to do something, with the check whose answer it changes.
    pub(super) const OTHER_WAYS: &[(Rule, &str)] = &[
        (Rule::NewWakers, "will-wake"),
        (Rule::SpawnsLastFirst, "spawn-order"),
        (Rule::PollsInSpawn, "spawn-inline"),
        (Rule::FreesInertTasks, "inert-task"),
        (Rule::SleepsATick, "sleep-zero"),
        (Rule::CancelsOnDrop, "handle-drop"),
        (Rule::JoinsPanicsSilently, "panic-join"),
        (Rule::EndsWithAPanic, "panic-detached"),
    ];
}
