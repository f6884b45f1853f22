//! Tasks: how they are spawned, kept, joined and dropped.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::lab::{Guard, WakesAnother, pause_precisely, poll_once, resident_bytes};
use super::{Lab, Verdict, checks};
use crate::check_part::{Part, Signal};
use crate::runtime::{Runtime, yield_once};

checks! {
    "task-freed", Task, Must, [], task_freed,
        "Is a task's memory freed after it is complete?",
        "A server that keeps a little of every request ends within days.";
    "will-wake", Task, Differs("same", "changes"), [], will_wake,
        "Is the waker the same from poll to poll?",
        "Futures that compare wakers save a clone if it is.";
    "spawn-order", Task, Differs("in order", "last first", "mixed"), [], spawn_order,
        "Are tasks first polled in the order in which they were spawned?",
        "Code that relies on it breaks on another executor.";
    "spawn-inline", Task, Differs("polled inside", "polled later"), [], spawn_inline,
        "Is a task polled before `spawn` returns?",
        "A lock held across `spawn` deadlocks if it is.";
    "inert-task", Task, Differs("freed", "kept"), [], inert_task,
        "Is a detached task freed that nothing can wake any more?",
        "Its guards and sockets stay open if it is not.";
    "drop-wakes-sibling", Task, Must, [], drop_wakes_sibling,
        "Do tasks live on that wake each other while they are dropped?",
        "compio-rs/compio#888: a wake during the drop of another task crashed.";
    "join-drop-race", Task, Must, [], join_drop_race,
        "Is it safe to drop the handle of a task while another thread wakes it?",
        "bytedance/monoio#292: such a race used memory that was free already.";
    "drop-thread", Task, Must, [], drop_thread,
        "Does a thread that only holds a task's waker never drop its future?",
        "A drop there may deadlock, and is unsound for a future that is not `Send`.";
    "driven-elsewhere", Task, Must, [ForeignSpawn], driven_elsewhere,
        "Does a task run that another thread spawns while the loop rests?",
        "smol-rs/async-executor#104: such tasks waited on the thread that spawned them.";
    "task-bytes", Task, Metric, [], task_bytes,
        "How much memory does the runtime add to each task that waits?",
        "A server holds one task, or several, for each connection.";
    "join-fanout", Task, Metric, [], join_fanout,
        "How long does it take to spawn and join 10,000 tasks, for each?",
        "The price of one more task.";
}

async fn task_freed<R: Runtime>(lab: &Lab<R>) -> Verdict {
    /// The allocator takes some memory once; less than this for a task is no leak.
    const BYTES_MAX: u64 = 64;
    let tasks: u32 = if R::CALLS_BLOCK { 2_000 } else { 60_000 };
    // What is taken once is taken before.
    for _ in 0..tasks {
        let _ = R::join(lab.spawn(yield_once())).await;
    }
    let before = resident_bytes();
    for _ in 0..tasks {
        let _ = R::join(lab.spawn(yield_once())).await;
    }
    let more = resident_bytes().saturating_sub(before);
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

async fn join_drop_race<R: Runtime>(lab: &Lab<R>) -> Verdict {
    struct Counts(Arc<AtomicU64>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let rounds: u64 = if R::CALLS_BLOCK { 1_000 } else { 5_000 };
    let dropped = Arc::new(AtomicU64::new(0));
    let _deadline = lab.progress(
        &dropped,
        Duration::from_secs(5),
        "a task whose handle was dropped neither ended nor was dropped",
    );
    let (orders, inbox) = mpsc::channel::<Signal>();
    thread::spawn(move || inbox.into_iter().for_each(|signal| signal.set()));
    for round in 0..rounds {
        let go = Signal::default();
        let (wait, guard) = (go.wait(), Counts(Arc::clone(&dropped)));
        let task = lab.spawn(async move {
            let _guard = guard;
            wait.await;
        });
        R::step_aside().await;
        let _ = orders.send(go);
        pause_precisely(Duration::from_nanos(round % 64 * 500));
        drop(task);
    }
    while dropped.load(SeqCst) < rounds {
        lab.pause(Duration::from_millis(1)).await;
    }
    Verdict::pass(format!("{rounds} rounds"))
}

async fn drop_thread<R: Runtime>(lab: &Lab<R>) -> Verdict {
    /// Notes the thread that drops it.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Option<ThreadId>>>);
    struct Notes(Seen);
    impl Drop for Notes {
        fn drop(&mut self) {
            if let Ok(mut seen) = self.0.0.lock() {
                *seen = Some(thread::current().id());
            }
        }
    }
    let start = |completes: bool| {
        let (sender, wakers) = mpsc::channel();
        let seen = Seen::default();
        let notes = Notes(seen.clone());
        let mut has_waker = false;
        lab.start(Part::Future(Box::pin(poll_fn(move |context| {
            let _notes = &notes;
            if has_waker && completes {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut has_waker, true) {
                let _ = sender.send(context.waker().clone());
            }
            Poll::Pending
        }))));
        (wakers, seen)
    };
    let (inert, woken) = (start(false), start(true));
    let over = Signal::default();
    let sender = over.clone();
    let holder = thread::spawn(move || {
        let wakers: [Option<Waker>; 2] = [inert.0.recv().ok(), woken.0.recv().ok()];
        // Until the polls that these come from have ended.
        thread::sleep(Duration::from_millis(20));
        let [inert, woken] = wakers;
        drop(inert);
        woken.into_iter().for_each(Waker::wake);
        thread::sleep(Duration::from_millis(50));
        sender.set();
    });
    let holder_id = holder.thread().id();
    over.wait().await;
    let by = |seen: &Seen| match seen.0.lock().ok().and_then(|seen| *seen) {
        None => "was kept",
        Some(thread) if thread == holder_id => "was dropped by the thread that held its waker",
        Some(_) => "was dropped by a thread of the runtime",
    };
    let seen = format!(
        "a task without a waker {}, and one that was woken and ended {}",
        by(&inert.1),
        by(&woken.1)
    );
    if seen.contains("held its waker") { Verdict::fail(seen) } else { Verdict::pass(seen) }
}

async fn driven_elsewhere<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const TASKS: u64 = 300;
    let ran = Arc::new(AtomicU64::new(0));
    let _deadline = lab.progress(
        &ran,
        Duration::from_secs(2),
        "a task that a thread of the system had spawned did not run",
    );
    let (spawn, over) = (lab.runtime.spawner(), Signal::default());
    let (count, sender) = (Arc::clone(&ran), over.clone());
    thread::spawn(move || {
        for number in 0..TASKS {
            pause_precisely(Duration::from_micros(number % 2 * number));
            let (count, ends) = (Arc::clone(&count), Signal::default());
            let ended = ends.clone();
            spawn(Box::pin(async move {
                count.fetch_add(1, SeqCst);
                ends.set();
            }));
            // The next one finds the loop at rest.
            if !ended.wait_on_thread(Duration::from_secs(3)) {
                return;
            }
        }
        sender.set();
    });
    over.wait().await;
    Verdict::pass(format!("{TASKS} tasks ran"))
}

async fn task_bytes<R: Runtime>(lab: &Lab<R>) -> Verdict {
    // A thread for each task is much dearer, and more do not fit.
    let tasks: u32 = if R::CALLS_BLOCK { 1_000 } else { 20_000 };
    let waits = || {
        let mut waker = None;
        poll_fn(move |context| {
            let _ = waker.insert(context.waker().clone());
            Poll::Pending
        })
    };
    let before = resident_bytes();
    // The futures alone, as the kit makes them.
    let mut futures = Vec::new();
    for _ in 0..tasks {
        let mut future = Box::pin(lab.task(waits()).run());
        let _ = poll_once(future.as_mut()).await;
        futures.push(future);
    }
    let between = resident_bytes();
    let spawned: Vec<R::Join> = (0..tasks).map(|_| lab.spawn(waits())).collect();
    // Until all have been polled.
    let _ = R::join(lab.spawn(async {})).await;
    lab.pause(Duration::from_millis(50)).await;
    let after = resident_bytes();
    // They never complete.
    spawned.into_iter().for_each(|task| drop(R::detach(task)));
    let added = after.saturating_sub(between).saturating_sub(between.saturating_sub(before));
    Verdict::number(added as f64 / f64::from(tasks), "B")
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
