//! Shutting down: what is left of a runtime that has ended, and whether it can be built again.

use std::future::{pending, poll_fn};
use std::mem::take;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Resource;

use super::lab::{Guard, Outside, WakesAnother, expect_panics, take_left_spawn, wake_caught};
use super::process::{Limit, count};
use super::{Check, Kind, Place, Verdict};
use crate::check_part::{Job, Part, RootPart, Signal};
use crate::description::Capability;
use crate::panics::panic_text;
use crate::runtime::Refusal;

type Run = fn(&Outside) -> Result<Verdict, Refusal>;

macro_rules! checks {
    ($($id:literal, $kind:ident $(($($word:literal),+))?, [$($need:ident),*], $run:ident, $question:literal, $why:literal;)+) => {
        pub(super) const CHECKS: &[Check] = &[$(Check {
            id: $id,
            question: $question,
            kind: Kind::$kind,
            needs: &[$(Capability::$need),*],
            why: $why,
            words: &[$($($word),+)?],
            place: Place::Outside,
        }),+];
        const RUNS: &[(&str, Run)] = &[$(($id, $run)),+];
    };
}

checks! {
    "spawn-then-return", Differs("runs", "does not run"), [], spawn_then_return,
        "The root returns at once: does the task that it spawned run?",
        "Work handed over at the very end is lost on some runtimes.";
    "drop-parked", Differs("dropped", "kept"), [Shutdown], drop_parked,
        "Is a parked task dropped with its runtime?",
        "Its guards run, its files are flushed, only if it is.";
    "drop-sleeper", Differs("dropped", "kept"), [Shutdown, Timers], drop_sleeper,
        "Is a task dropped with its runtime that sleeps for an hour?",
        "A runtime that waits for it cannot be ended.";
    "between-runs", Differs("goes on", "pauses", "ends", "never starts"), [Timers], between_runs,
        "Does a task make progress after the runtime has returned?",
        "Work in the background stops between two calls that wait, or goes on after the end.";
    "drop-waits-blocking", Differs("waits", "does not wait"), [Offload], drop_waits_blocking,
        "Does the runtime's end wait for a blocking job?",
        "A job that is stuck keeps the program from ending.";
    "spawn-at-shutdown", Must, [Shutdown], spawn_at_shutdown,
        "Does the runtime end while a task that it drops spawns another and wakes a third?",
        "Guards that clean up in the background do this; a lock held meanwhile is a deadlock.";
    "thread-count", Metric, [], thread_count,
        "How many threads has the process while nothing happens, with the one that started it?",
        "Each one costs memory and a place in the scheduler.";
    "wake-late", Must, [Shutdown], wake_late,
        "Is a wake safe after the runtime is gone?",
        "Wakers outlive their runtime in channels and caches.";
    "wake-at-shutdown", Must, [Shutdown], wake_at_shutdown,
        "Is a wake safe while the runtime ends?",
        "Pools and channels do not wait for the end of a runtime.";
    "spawn-no-context", Differs("panics", "runs", "drops it", "keeps it"), [], spawn_no_context,
        "What happens to a task that is spawned on a thread where no runtime runs?",
        "Libraries that spawn by themselves panic on some runtimes, and lose work on others.";
    "short-runs", Differs("ends", "is dropped", "stands still"), [Timers], short_runs,
        "Does a sleeper end that is spawned in the first of 50 short runs?",
        "Tests and scripts run for a moment, again and again; what an earlier run left may be lost.";
    "churn-fds", Must, [Shutdown], churn_descriptors,
        "Are descriptors closed when a runtime is built and ended 20 times?",
        "Tests and plugins build many runtimes in one process.";
    "churn-threads", Must, [Shutdown], churn_threads,
        "Do threads end when a runtime is built and ended 20 times?",
        "Tests and plugins build many runtimes in one process.";
    "memlock-low", Differs("starts", "does nothing", "refuses"), [], memlock_low,
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
    ended_under(outside, |guard, begun| {
        begun.set_after(Duration::from_millis(50));
        let time = Duration::from_secs(3_600);
        Part::Sleep { time, then: Box::new(move || drop(guard)) }
    })
}

fn between_runs(outside: &Outside) -> Result<Verdict, Refusal> {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let period = Duration::from_millis(1);
    let task = Part::Tick { period, stop: Arc::clone(&stop), count: Arc::clone(&count) };
    let ticks_in_a_run = |parts| -> Result<u64, Refusal> {
        let (before, until) = (count.load(SeqCst), Signal::after(Duration::from_millis(200)));
        outside.run(RootPart::Start { parts, until: Some(until) })?;
        Ok(count.load(SeqCst) - before)
    };
    if ticks_in_a_run(vec![task])? == 0 {
        return Ok(Verdict::answer("never starts", "no tick of 1 ms in a run of 200 ms"));
    }
    // One that is already under way.
    thread::sleep(Duration::from_millis(20));
    let before = count.load(SeqCst);
    thread::sleep(Duration::from_millis(300));
    let between = count.load(SeqCst) - before;
    let later = ticks_in_a_run(Vec::new())?;
    stop.store(true, SeqCst);
    let seen = format!("{between} ticks of 1 ms within 300 ms, and {later} in the next run");
    Ok(Verdict::answer(
        match (between > 1, later > 1) {
            (true, _) => "goes on",
            (false, true) => "pauses",
            (false, false) => "ends",
        },
        seen,
    ))
}

fn drop_waits_blocking(outside: &Outside) -> Result<Verdict, Refusal> {
    let (begun, ended) = (Signal::default(), Signal::default());
    let (begins, ends) = (begun.clone(), ended.clone());
    let job = Job::new(move || {
        begins.set();
        thread::sleep(Duration::from_millis(600));
        ends.set();
    });
    let task = Part::Offload { job, then: Box::new(|_| ()) };
    outside.run(RootPart::Start { parts: vec![task], until: Some(begun) })?;
    Ok(if ended.is_set() {
        Verdict::answer("waits", "for a job of 600 ms")
    } else {
        Verdict::answer("does not wait", "for a job of 600 ms")
    })
}

fn spawn_at_shutdown(outside: &Outside) -> Result<Verdict, Refusal> {
    const TASKS: u64 = 16;
    expect_panics();
    let (begun, left) = (Signal::default(), Arc::new(AtomicU64::new(TASKS)));
    // All tasks wait for it, and each sets it when it is dropped: it wakes some that are gone.
    let never = Signal::default();
    let spawned = Arc::new(Mutex::new(Vec::new()));
    let task = |_| {
        let (begins, left, spawned) = (begun.clone(), Arc::clone(&left), Arc::clone(&spawned));
        let then = move |result: Result<(), String>| {
            spawned.lock().unwrap_or_else(PoisonError::into_inner).push(result);
        };
        let begun = move || {
            if left.fetch_sub(1, SeqCst) == 1 {
                begins.set();
            }
        };
        let until = never.clone();
        Part::SpawnWhenDropped { begun: Box::new(begun), until, then: Box::new(then) }
    };
    let parts = (0..TASKS).map(task).collect();
    outside.run(RootPart::Start { parts, until: Some(begun) })?;
    let spawned = spawned.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = spawned.iter().filter_map(|result| result.as_ref().err());
    Ok(match (spawned.len(), failed.clone().next()) {
        (0, _) => {
            let reason = "the runtime drops no task when it ends".to_owned();
            Verdict::Unsupported { reason }
        }
        (dropped, None) => Verdict::pass(format!("each of {dropped} dropped tasks spawned one")),
        (dropped, Some(panic)) => {
            let count = failed.count();
            Verdict::pass(format!("{dropped} tasks were dropped; {count} spawns panicked: {panic}"))
        }
    })
}

fn thread_count(outside: &Outside) -> Result<Verdict, Refusal> {
    let (over, threads) = (Signal::default(), Arc::new(AtomicU64::new(0)));
    let (sender, counter) = (over.clone(), Arc::clone(&threads));
    // Without those of the harness, and with the one that counts.
    let own = count("task") as u64 + 1;
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        counter.store(count("task") as u64, SeqCst);
        sender.set();
    });
    let task = Part::Future(Box::pin(async {}));
    outside.run(RootPart::Start { parts: vec![task], until: Some(over) })?;
    Ok(Verdict::number((threads.load(SeqCst) + 1).saturating_sub(own) as f64, "threads"))
}

fn wake_late(outside: &Outside) -> Result<Verdict, Refusal> {
    let (slot, begun) = (Arc::new(Mutex::new(None)), Signal::default());
    let (keep, sender) = (Arc::clone(&slot), begun.clone());
    let task = Part::Future(Box::pin(poll_fn(move |context| {
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

fn wake_at_shutdown(outside: &Outside) -> Result<Verdict, Refusal> {
    const ROUNDS: usize = 1_000;
    const TIME: Duration = Duration::from_secs(1);
    const TASKS: usize = 16;
    let begun = Instant::now();
    let mut rounds = 0;
    while rounds < ROUNDS && begun.elapsed() < TIME {
        let slots: Vec<Arc<Mutex<Option<Waker>>>> = (0..TASKS).map(|_| Arc::default()).collect();
        let (over, polled) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let started = Signal::default();
        let task = |this: usize| {
            let keep = Arc::clone(&slots[this]);
            let other = WakesAnother(Arc::clone(&slots[(this + 1) % TASKS]));
            let (polled, sender) = (Arc::clone(&polled), started.clone());
            let ends = Arc::clone(&over);
            let mut is_first = true;
            Part::Future(Box::pin(poll_fn(move |context| {
                let _other = &other;
                if let Ok(mut keep) = keep.lock() {
                    *keep = Some(context.waker().clone());
                }
                if take(&mut is_first) && polled.fetch_add(1, SeqCst) + 1 == TASKS {
                    sender.set();
                }
                // For threads, which end no other way.
                if ends.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
            })))
        };
        let parts = (0..TASKS).map(task).collect();
        let (ends, stopped) = (Arc::clone(&over), Signal::default());
        let (stops, panic) = (stopped.clone(), Arc::new(Mutex::new(None)));
        let panicked = Arc::clone(&panic);
        thread::spawn(move || {
            let mut is_last = false;
            while !is_last {
                is_last = ends.load(SeqCst);
                for slot in &slots {
                    let waker = slot.lock().ok().and_then(|slot| slot.clone());
                    let woken = waker.map_or(Ok(()), wake_caught);
                    if let (Err(text), Ok(mut panic)) = (&woken, panicked.lock()) {
                        *panic = Some(text.clone());
                    }
                    is_last |= woken.is_err();
                }
            }
            stops.set();
        });
        outside.run(RootPart::Start { parts, until: Some(started) })?;
        over.store(true, SeqCst);
        if !stopped.wait_on_thread(Duration::from_secs(3)) {
            let seen = format!("a wake did not return in round {}", rounds + 1);
            return Ok(Verdict::fail(seen));
        }
        if let Some(text) = panic.lock().ok().and_then(|mut panic| panic.take()) {
            return Ok(Verdict::fail(format!("a wake panicked in round {}: {text}", rounds + 1)));
        }
        rounds += 1;
    }
    Ok(Verdict::pass(format!("{rounds} runtimes ended while their tasks were woken")))
}

fn spawn_no_context(outside: &Outside) -> Result<Verdict, Refusal> {
    let (ran, dropped) = (Signal::default(), Signal::default());
    let (sender, guard) = (ran.clone(), Guard(dropped.clone()));
    let task = Part::Future(Box::pin(async move {
        let _guard = guard;
        sender.set();
    }));
    outside.run(RootPart::LeaveSpawn(task))?;
    let Some(spawn) = take_left_spawn() else {
        let reason = "its root runs on a thread that has ended then".to_owned();
        return Ok(Verdict::Unsupported { reason });
    };
    Ok(match catch_unwind(AssertUnwindSafe(spawn)) {
        Err(panic) => Verdict::answer("panics", panic_text(&*panic)),
        Ok(()) if ran.wait_on_thread(Duration::from_millis(300)) => {
            Verdict::answer("runs", "within 300 ms")
        }
        Ok(()) if dropped.is_set() => Verdict::answer("drops it", "it did not run"),
        Ok(()) => Verdict::answer("keeps it", "it did not run within 300 ms"),
    })
}

fn short_runs(outside: &Outside) -> Result<Verdict, Refusal> {
    const RUNS: usize = 50;
    let (ended, dropped) = (Signal::default(), Signal::default());
    let (sender, guard) = (ended.clone(), Guard(dropped.clone()));
    let then = Box::new(move || {
        sender.set();
        drop(guard);
    });
    let mut parts = vec![Part::Sleep { time: Duration::from_millis(30), then }];
    for run in 1..=RUNS {
        let until = Signal::after(Duration::from_millis(2));
        let parts = take(&mut parts);
        outside.run(RootPart::Start { parts, until: Some(until) })?;
        let seen = format!("after {run} runs of 2 ms");
        match (dropped.is_set(), ended.is_set()) {
            (_, true) => return Ok(Verdict::answer("ends", seen)),
            (true, false) => return Ok(Verdict::answer("is dropped", seen)),
            (false, false) => {}
        }
    }
    Ok(Verdict::answer("stands still", format!("for {RUNS} runs of 2 ms")))
}

fn memlock_low(outside: &Outside) -> Result<Verdict, Refusal> {
    const BYTES: u64 = 64 * 1024;
    let limit = Limit::lowered(Resource::Memlock, BYTES)?;
    let ran = Signal::default();
    let sender = ran.clone();
    let task = Part::Future(Box::pin(async move { sender.set() }));
    let until = Some(ran.clone());
    let started = outside.run(RootPart::Start { parts: vec![task], until });
    drop(limit);
    Ok(match started {
        Ok(()) if ran.is_set() => Verdict::answer("starts", "and its first task ran"),
        Ok(()) => Verdict::answer("does nothing", "it ended without an error, and ran no task"),
        Err(refusal) => Verdict::answer("refuses", refusal.to_string()),
    })
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
