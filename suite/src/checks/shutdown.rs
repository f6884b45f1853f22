//! Shutting down: what is left of a runtime that has ended, and whether it can be built again.

use std::fs;
use std::future::pending;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::lab::{Guard, Outside};
use super::{Check, Kind, Place, Verdict};
use crate::check_part::{Part, RootPart, Signal};
use crate::description::Capability;
use crate::runtime::Refusal;

type Run = fn(&Outside) -> Result<Verdict, Refusal>;

macro_rules! checks {
    ($($id:literal, $kind:ident, [$($need:ident),*], $run:ident, $question:literal, $why:literal;)+) => {
        pub(super) const CHECKS: &[Check] = &[$(Check {
            id: $id,
            question: $question,
            kind: Kind::$kind,
            needs: &[$(Capability::$need),*],
            why: $why,
            place: Place::Outside,
        }),+];
        const RUNS: &[(&str, Run)] = &[$(($id, $run)),+];
    };
}

checks! {
    "spawn-then-return", Differs, [], spawn_then_return,
        "The root returns at once: does the task that it spawned run?",
        "Work handed over at the very end is lost on some runtimes.";
    "drop-parked", Differs, [Shutdown], drop_parked,
        "Is a parked task dropped with its runtime?",
        "Its guards run, its files are flushed, only if it is.";
    "drop-sleeper", Differs, [Shutdown, Timers], drop_sleeper,
        "Is a task dropped with its runtime that sleeps for an hour?",
        "A runtime that waits for it cannot be ended.";
    "wake-late", Must, [Shutdown], wake_late,
        "Is a wake safe after the runtime is gone?",
        "Wakers outlive their runtime in channels and caches.";
    "churn-fds", Must, [Shutdown], churn_descriptors,
        "Are descriptors closed when a runtime is built and ended 20 times?",
        "Tests and plugins build many runtimes in one process.";
    "churn-threads", Must, [Shutdown], churn_threads,
        "Do threads end when a runtime is built and ended 20 times?",
        "Tests and plugins build many runtimes in one process.";
    "memlock-low", Differs, [], memlock_low,
        "Does it start where a process may lock 64 KiB of memory?",
        "The default of many systems and containers; a ring that needs more does not start there.";
    "panic-root-reuse", Must, [], panic_root_reuse,
        "Can the runtime be built and run again after a panic of the root?",
        "A test that fails must not spoil the next one.";
}

pub(super) fn run(outside: &Outside, id: &str) -> Verdict {
    let run = RUNS.iter().find(|(name, _)| *name == id);
    match run.map(|(_, run)| run(outside)) {
        Some(Ok(verdict)) => verdict,
        Some(Err(Refusal::Unsupported(reason))) => Verdict::Unsupported { reason },
        Some(Err(Refusal::Failed(reason))) => {
            Verdict::fail(format!("the runtime did not run: {reason}"))
        }
        None => Verdict::fail(format!("there is no check `{id}`")),
    }
}

fn nothing() -> RootPart {
    RootPart::Start { parts: Vec::new(), until: None }
}

fn spawn_then_return(outside: &Outside) -> Result<Verdict, Refusal> {
    let ran = Signal::default();
    let sender = ran.clone();
    let task = Part::Future(Box::pin(async move { sender.set() }));
    outside.run(RootPart::Start { parts: vec![task], until: None })?;
    // A thread of its own may still be about to begin.
    Ok(if ran.wait_on_thread(Duration::from_millis(300)) {
        Verdict::answer("runs", "within 300 ms")
    } else {
        Verdict::answer("does not run", "not within 300 ms")
    })
}

/// Ends the runtime under a task that waits; the guard is in the task.
fn ended_under(
    outside: &Outside,
    task: impl FnOnce(Guard, Signal) -> Part,
) -> Result<Verdict, Refusal> {
    let (dropped, begun) = (Signal::default(), Signal::default());
    let task = task(Guard(dropped.clone()), begun.clone());
    outside.run(RootPart::Start { parts: vec![task], until: Some(begun) })?;
    Ok(if dropped.wait_on_thread(Duration::from_millis(300)) {
        Verdict::answer("dropped", "with the runtime")
    } else {
        Verdict::answer("kept", "300 ms after the runtime's end")
    })
}

fn drop_parked(outside: &Outside) -> Result<Verdict, Refusal> {
    ended_under(outside, |guard, begun| {
        Part::Future(Box::pin(async move {
            let _guard = guard;
            begun.set();
            pending::<()>().await;
        }))
    })
}

fn drop_sleeper(outside: &Outside) -> Result<Verdict, Refusal> {
    let begun_soon = |begun: Signal| {
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            begun.set();
        });
    };
    ended_under(outside, |guard, begun| {
        begun_soon(begun);
        let time = Duration::from_secs(3_600);
        Part::Sleep { time, then: Box::new(move || drop(guard)) }
    })
}

fn wake_late(outside: &Outside) -> Result<Verdict, Refusal> {
    let (slot, begun) = (Arc::new(Mutex::new(None)), Signal::default());
    let (keep, sender) = (Arc::clone(&slot), begun.clone());
    let task = Part::Future(Box::pin(std::future::poll_fn(move |context| {
        if let Ok(mut keep) = keep.lock() {
            *keep = Some(context.waker().clone());
        }
        sender.set();
        Poll::Pending
    })));
    outside.run(RootPart::Start { parts: vec![task], until: Some(begun) })?;
    let waker: Option<Waker> = slot.lock().ok().and_then(|mut slot| slot.take());
    let Some(waker) = waker else {
        return Ok(Verdict::fail("the task was not polled"));
    };
    waker.wake_by_ref();
    let other = waker.clone();
    let _ = thread::spawn(move || other.wake()).join();
    drop(waker);
    Ok(Verdict::pass("woken twice after the runtime's end"))
}

fn memlock_low(outside: &Outside) -> Result<Verdict, Refusal> {
    const BYTES: u64 = 64 * 1024;
    let before = getrlimit(Resource::Memlock);
    let limit = Rlimit { current: Some(BYTES), maximum: before.maximum };
    setrlimit(Resource::Memlock, limit).map_err(io::Error::from)?;
    let ran = Signal::default();
    let sender = ran.clone();
    let task = Part::Future(Box::pin(async move { sender.set() }));
    let until = Some(ran.clone());
    let started = outside.run(RootPart::Start { parts: vec![task], until });
    let _ = setrlimit(Resource::Memlock, before);
    Ok(match started {
        Ok(()) if ran.is_set() => Verdict::answer("starts", "and its first task ran"),
        Ok(()) => Verdict::answer("does nothing", "it ended without an error, and ran no task"),
        Err(refusal) => Verdict::answer("refuses", refusal.to_string()),
    })
}

/// How many entries a folder of this process in `/proc` has.
fn count(folder: &str) -> usize {
    fs::read_dir(format!("/proc/self/{folder}")).map_or(0, Iterator::count)
}

/// Builds and ends the runtime, and compares a count of the system before and after.
fn churn(outside: &Outside, folder: &str, of: &str) -> Result<Verdict, Refusal> {
    const TIMES: usize = 20;
    /// What is opened once for all runtimes of a process is no leak.
    const ONCE: usize = 3;
    for _ in 0..ONCE {
        outside.run(nothing())?;
    }
    // Threads may need a moment to end.
    let settled = |enough: usize| {
        let look = |_| {
            thread::sleep(Duration::from_millis(10));
            count(folder)
        };
        (0..100).map(look).enumerate().find(|(looks, now)| *looks >= 30 && *now <= enough)
    };
    let before = settled(usize::MAX).map_or(0, |(_, now)| now);
    for _ in 0..TIMES {
        outside.run(nothing())?;
    }
    let after = settled(before).map_or_else(|| count(folder), |(_, now)| now);
    let seen = format!("{before} {of} before and {after} after {TIMES} runtimes");
    Ok(if after > before { Verdict::fail(seen) } else { Verdict::pass(seen) })
}

fn churn_descriptors(outside: &Outside) -> Result<Verdict, Refusal> {
    churn(outside, "fd", "descriptors")
}

fn churn_threads(outside: &Outside) -> Result<Verdict, Refusal> {
    churn(outside, "task", "threads")
}

fn panic_root_reuse(outside: &Outside) -> Result<Verdict, Refusal> {
    let first = catch_unwind(AssertUnwindSafe(|| outside.run(RootPart::Panic)));
    let first = match first {
        Err(_) => "the panic came out",
        Ok(Err(_)) => "an error came out",
        Ok(Ok(())) => "nothing came out",
    };
    let ran = Signal::default();
    let sender = ran.clone();
    let task = Part::Future(Box::pin(async move { sender.set() }));
    let until = Some(ran.clone());
    let again = catch_unwind(AssertUnwindSafe(|| {
        outside.run(RootPart::Start { parts: vec![task], until })
    }));
    Ok(match again {
        Ok(Ok(())) if ran.is_set() => Verdict::pass(format!("{first}, and a new one ran")),
        Ok(Ok(())) => Verdict::fail(format!("{first}, and a new one did not run its task")),
        Ok(Err(error)) => Verdict::fail(format!("{first}, and a new one did not run: {error}")),
        Err(_) => Verdict::fail(format!("{first}, and a new one panicked")),
    })
}
