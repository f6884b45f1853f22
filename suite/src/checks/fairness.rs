//! Fairness: whether one task can keep others from running.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::{Lab, Verdict, checks};
use crate::check_part::{Part, Signal};
use crate::ping_pong::{Exchange, Side};
use crate::runtime::Runtime;

checks! {
    "timer-vs-ready", Task, Must, [Timers], timer_beside_ready,
        "Does a timer fire beside a task that always yields?",
        "A loop that looks at its timers only when it is idle delays them for ever.";
    "wake-vs-ready", Task, Must, [], wake_beside_ready,
        "Is a wake by another thread seen beside a task that always yields?",
        "A loop that looks at such wakes only when it is idle loses channels and pools under load.";
    "yield-fair", Task, Must, [], yield_fair,
        "Do four tasks that yield share the time?",
        "A `yield` that continues the same task is no yield.";
    "root-yield", Root, Must, [], root_yield,
        "Does a root that yields let tasks run?",
        "Some executors poll the root again before any task.";
    "root-yield-timer", Root, Must, [Timers], timer_beside_ready,
        "Does a root that yields let a timer of 30 ms fire?",
        "A root that polls something in a loop must not stop all timers.";
    "pingpong", Task, Must, [], beside_ping_pong,
        "Does a third task run beside two that wake each other all the time?",
        "A slot for the task woken last may keep all others from running.";
}

const BOUND: Duration = Duration::from_secs(2);

/// Yields here until the signal is set, or the bound has passed.
async fn yield_until<R: Runtime>(lab: &Lab<R>, signal: &Signal) -> (bool, u64) {
    let begun = Instant::now();
    let mut yields = 0;
    while !signal.is_set() && begun.elapsed() < BOUND {
        lab.runtime.yield_now().await;
        yields += 1;
    }
    (signal.is_set(), yields)
}

async fn timer_beside_ready<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let fired = Signal::default();
    let sender = fired.clone();
    let time = Duration::from_millis(30);
    lab.start(Part::Sleep { time, then: Box::new(move || sender.set()) });
    match yield_until(lab, &fired).await {
        (true, yields) => Verdict::pass(format!("after {yields} yields")),
        (false, yields) => {
            Verdict::fail(format!("a sleep of 30 ms did not end within 2 s and {yields} yields"))
        }
    }
}

async fn yield_fair<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const TASKS: usize = 4;
    let stop = Arc::new(AtomicBool::new(false));
    let counts: Vec<Arc<AtomicU64>> = (0..TASKS).map(|_| Arc::default()).collect();
    let _deadline = lab.deadline(BOUND, "the four tasks did not end");
    let part = |count| Part::Yield { stop: Arc::clone(&stop), count: Arc::clone(count) };
    let tasks: Vec<R::Join> = counts.iter().map(|count| lab.spawn_part(part(count))).collect();
    let stopper = Arc::clone(&stop);
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        stopper.store(true, SeqCst);
    });
    for task in tasks {
        let _ = R::join(task).await;
    }
    let counts: Vec<u64> = counts.iter().map(|count| count.load(SeqCst)).collect();
    // One more than none: a task that is first polled at the end yields once.
    if counts.iter().all(|count| *count > 1) {
        Verdict::pass(format!("yields in 200 ms: {counts:?}"))
    } else {
        Verdict::fail(format!("a task did not run; yields in 200 ms: {counts:?}"))
    }
}

async fn wake_beside_ready<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    lab.start(Part::Yield { stop: Arc::clone(&stop), count: Arc::clone(&count) });
    let _deadline = lab.deadline(BOUND, "no poll followed the wake");
    lab.pause(Duration::from_millis(30)).await;
    stop.store(true, SeqCst);
    Verdict::pass(format!("after {} yields of the other task", count.load(SeqCst)))
}

async fn root_yield<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let ran = Signal::default();
    let sender = ran.clone();
    let task = lab.spawn(async move { sender.set() });
    let (has_run, yields) = yield_until(lab, &ran).await;
    let _ = R::detach(task);
    if has_run {
        Verdict::pass(format!("the task ran after {yields} yields of the root"))
    } else {
        Verdict::fail(format!("the task did not run within 2 s and {yields} yields of the root"))
    }
}

async fn beside_ping_pong<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const ROUNDS: u32 = 1_000_000;
    let exchange = Exchange::new();
    for side in [Side::Opener, Side::Partner] {
        let exchange = Arc::clone(&exchange);
        lab.start(Part::Future(Box::pin(async move {
            let _ = exchange.run(side, ROUNDS).await;
        })));
    }
    let ran = Signal::default();
    let sender = ran.clone();
    let _deadline = lab.deadline(BOUND, "a third task did not run");
    lab.pause(Duration::from_millis(20)).await;
    lab.start(Part::Future(Box::pin(async move { sender.set() })));
    ran.wait().await;
    Verdict::pass("a third task ran")
}
