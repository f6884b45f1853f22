//! Tasks: how they are spawned, kept, joined and dropped.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::lab::Guard;
use super::{Lab, Verdict, checks};
use crate::check_part::{Part, Signal};
use crate::runtime::{Runtime, yield_once};

checks! {
    "task-freed", Task, Must, [], task_freed,
        "Is a task's memory freed after it is complete?",
        "A server that keeps a little of every request ends within days.";
    "will-wake", Task, Differs, [], will_wake,
        "Is the waker the same from poll to poll?",
        "Futures that compare wakers save a clone if it is.";
    "spawn-order", Task, Differs, [], spawn_order,
        "Are tasks first polled in the order in which they were spawned?",
        "Code that relies on it breaks on another executor.";
    "spawn-inline", Task, Differs, [], spawn_inline,
        "Is a task polled before `spawn` returns?",
        "A lock held across `spawn` deadlocks if it is.";
    "inert-task", Task, Differs, [], inert_task,
        "Is a detached task freed that nothing can wake any more?",
        "Its guards and sockets stay open if it is not.";
    "drop-wakes-sibling", Task, Must, [], drop_wakes_sibling,
        "Do tasks live on that wake each other while they are dropped?",
        "compio-rs/compio#888: a wake during the drop of another task crashed.";
    "join-fanout", Task, Metric, [], join_fanout,
        "How long does it take to spawn and join 10,000 tasks, for each?",
        "The price of one more task.";
}

async fn task_freed<R: Runtime>(lab: &Lab<R>) -> Verdict {
    /// The allocator takes some memory once; less than this for a task is no leak.
    const BYTES_MAX: u64 = 64;
    let tasks: u32 = if R::CALLS_BLOCK { 2_000 } else { 60_000 };
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = status.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
        pages.unwrap_or(0) * rustix::param::page_size() as u64
    };
    // What is taken once is taken before.
    for _ in 0..tasks {
        let _ = R::join(lab.spawn(yield_once())).await;
    }
    let before = resident();
    for _ in 0..tasks {
        let _ = R::join(lab.spawn(yield_once())).await;
    }
    let more = resident().saturating_sub(before);
    let seen = format!("{} KiB more after {tasks} tasks, one after the other", more >> 10);
    if more > BYTES_MAX * u64::from(tasks) + (1 << 20) {
        Verdict::fail(seen)
    } else {
        Verdict::pass(seen)
    }
}

async fn will_wake<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let same = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&same);
    let mut last: Option<Waker> = None;
    let mut polls = 0;
    let task = lab.spawn(poll_fn(move |context| {
        let waker = context.waker();
        if last.as_ref().is_some_and(|last| last.will_wake(waker)) {
            counter.fetch_add(1, SeqCst);
        }
        last = Some(waker.clone());
        polls += 1;
        waker.wake_by_ref();
        if polls > 10 { Poll::Ready(()) } else { Poll::Pending }
    }));
    let _ = R::join(task).await;
    match same.load(SeqCst) {
        10 => Verdict::answer("same", "in 10 of 10 polls"),
        same => Verdict::answer("changes", format!("the same in {same} of 10 polls")),
    }
}

async fn spawn_order<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<R::Join> = (0..8)
        .map(|number| {
            let order = Arc::clone(&order);
            lab.spawn(async move {
                if let Ok(mut order) = order.lock() {
                    order.push(number);
                }
            })
        })
        .collect();
    for task in tasks {
        let _ = R::join(task).await;
    }
    let order = order.lock().map(|order| order.clone()).unwrap_or_default();
    let word = if order.is_sorted() {
        "in order"
    } else if order.is_sorted_by(|first, second| first > second) {
        "last first"
    } else {
        "mixed"
    };
    Verdict::answer(word, format!("{order:?}"))
}

async fn spawn_inline<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let polled = Signal::default();
    let (sender, caller) = (polled.clone(), thread::current().id());
    let mut is_inline = None;
    let seen = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&seen);
    let task = lab.spawn(async move {
        if let Ok(mut slot) = slot.lock() {
            *slot = Some(thread::current().id());
        }
        sender.set();
    });
    // On another thread it may have begun as well; that is not inside `spawn`.
    if polled.is_set() {
        is_inline = seen.lock().ok().and_then(|seen| *seen).map(|thread| thread == caller);
    }
    let _ = R::join(task).await;
    match is_inline {
        Some(true) => Verdict::answer("polled inside", "before `spawn` returned"),
        _ => Verdict::answer("polled later", "after `spawn` returned, or on another thread"),
    }
}

async fn inert_task<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let freed = Signal::default();
    let guard = Guard(freed.clone());
    lab.start(Part::Future(Box::pin(async move {
        let _guard = guard;
        pending::<()>().await;
    })));
    lab.pause(Duration::from_millis(200)).await;
    if freed.is_set() {
        Verdict::answer("freed", "within 200 ms")
    } else {
        Verdict::answer("kept", "for more than 200 ms")
    }
}

async fn drop_wakes_sibling<R: Runtime>(lab: &Lab<R>) -> Verdict {
    /// Wakes another task when it is dropped.
    struct WakesAnother(Arc<Mutex<Option<Waker>>>);
    impl Drop for WakesAnother {
        fn drop(&mut self) {
            let waker = self.0.lock().ok().and_then(|mut waker| waker.take());
            waker.into_iter().for_each(Waker::wake);
        }
    }
    const TASKS: usize = 100;
    let wakers: Vec<Arc<Mutex<Option<Waker>>>> = (0..TASKS).map(|_| Arc::default()).collect();
    let over = Signal::default();
    let tasks: Vec<R::Join> = (0..TASKS)
        .map(|this| {
            let own = Arc::clone(&wakers[this]);
            let other = WakesAnother(Arc::clone(&wakers[(this + 1) % TASKS]));
            let mut end = Box::pin(over.wait());
            lab.spawn(poll_fn(move |context| {
                let _other = &other;
                if let Ok(mut own) = own.lock() {
                    *own = Some(context.waker().clone());
                }
                end.as_mut().poll(context)
            }))
        })
        .collect();
    let _deadline = lab.deadline(Duration::from_secs(5), "the tasks did not complete");
    lab.pause(Duration::from_millis(20)).await;
    over.set();
    for task in tasks {
        let _ = R::join(task).await;
    }
    Verdict::pass(format!("{TASKS} tasks woke each other"))
}

async fn join_fanout<R: Runtime>(lab: &Lab<R>) -> Verdict {
    // A thread for each task is much dearer, and more do not fit.
    let tasks: u32 = if R::CALLS_BLOCK { 1_000 } else { 10_000 };
    let begun = Instant::now();
    let spawned: Vec<R::Join> = (0..tasks).map(|_| lab.spawn(async {})).collect();
    for task in spawned {
        if let Err(error) = R::join(task).await {
            return Verdict::fail(format!("a task was lost: {error}"));
        }
    }
    Verdict::number(begun.elapsed().as_nanos() as f64 / f64::from(tasks) / 1_000.0, "µs")
}
