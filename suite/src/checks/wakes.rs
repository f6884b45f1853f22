//! Wakes and tasks.

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
    "wake-in-poll", Task, Must, [], wake_in_poll,
        "Is a wake during the task's own poll kept?",
        "A task that wakes itself and returns must be polled again, or it is lost for ever.";
    "wake-coalesce", Task, Metric, [], wake_coalesce,
        "How often is a task polled after 1,000 wakes in one poll?",
        "One more poll is enough; a poll for each wake costs time under load.";
    "wake-foreign-task", Task, Must, [], wake_foreign,
        "Can a thread of the system wake a task?",
        "Channels, pools and other libraries wake tasks from their own threads.";
    "wake-foreign-root", Root, Must, [], wake_foreign,
        "Can a thread of the system wake the root future?",
        "Some executors park in another way for the root than for tasks.";
    "wake-race", Task, Must, [], wake_race,
        "Do two racing wakers ever leave a task without a poll?",
        "A wake between the end of a poll and the executor's bookkeeping is easily lost.";
    "wake-nonblocking", Task, Must, [], wake_nonblocking,
        "Does a wake return while the executor is busy?",
        "A wake that waits for the executor stalls the thread that wakes.";
    "wake-latency", Task, Metric, [], wake_latency,
        "How long from a wake by another thread to the poll, as a median?",
        "Every answer of a pool or a channel takes at least this long.";
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
    "join-fanout", Task, Metric, [], join_fanout,
        "How long does it take to spawn and join 10,000 tasks, for each?",
        "The price of one more task.";
}

async fn wake_in_poll<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let _deadline = lab.deadline(Duration::from_secs(2), "the task was not polled again");
    let polled = Signal::default();
    let sender = polled.clone();
    let task = lab.spawn(async move {
        yield_once().await;
        sender.set();
    });
    polled.wait().await;
    let _ = R::join(task).await;
    Verdict::pass("the task was polled again")
}

async fn wake_coalesce<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const WAKES: usize = 1_000;
    let (polls, over) = (Arc::new(AtomicU64::new(0)), Signal::default());
    let (counter, mut end) = (Arc::clone(&polls), Box::pin(over.wait()));
    let task = lab.spawn(poll_fn(move |context| {
        if counter.fetch_add(1, SeqCst) == 0 {
            (0..WAKES).for_each(|_| context.waker().wake_by_ref());
        }
        end.as_mut().poll(context)
    }));
    lab.pause(Duration::from_millis(50)).await;
    let after_the_first = polls.load(SeqCst).saturating_sub(1);
    over.set();
    let _ = R::join(task).await;
    Verdict::number(after_the_first as f64, "polls")
}

async fn wake_foreign<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let _deadline = lab.deadline(Duration::from_secs(2), "no poll followed the wake");
    lab.pause(Duration::from_millis(30)).await;
    Verdict::pass("it was polled after the wake")
}

async fn wake_race<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const ROUNDS: u64 = 10_000;
    let round = Arc::new(AtomicU64::new(0));
    let _deadline = lab.progress(&round, Duration::from_secs(5), "no poll followed the two wakes");
    let slots: Arc<[(AtomicU64, Mutex<Option<Waker>>); 2]> = Arc::default();
    for side in 0..2 {
        let (round, slots) = (Arc::clone(&round), Arc::clone(&slots));
        thread::spawn(move || {
            let (done, waker) = &slots[side];
            for this in 1..=ROUNDS {
                done.store(this, SeqCst);
                if let Ok(mut waker) = waker.lock()
                    && let Some(waker) = waker.take()
                {
                    waker.wake();
                }
                while round.load(SeqCst) < this {
                    thread::yield_now();
                }
            }
        });
    }
    poll_fn(|context| {
        loop {
            let next = round.load(SeqCst) + 1;
            if next > ROUNDS {
                return Poll::Ready(());
            }
            for (_, slot) in slots.iter() {
                if let Ok(mut slot) = slot.lock() {
                    *slot = Some(context.waker().clone());
                }
            }
            if slots.iter().any(|(done, _)| done.load(SeqCst) < next) {
                return Poll::Pending;
            }
            round.store(next, SeqCst);
        }
    })
    .await;
    Verdict::pass(format!("{ROUNDS} rounds"))
}

async fn wake_nonblocking<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const WAKES: usize = 200;
    const SLOW: Duration = Duration::from_millis(5);
    const HOLD: Duration = Duration::from_millis(300);
    let (waker, known) = (Arc::new(Mutex::new(None)), Signal::default());
    let (slot, sender) = (Arc::clone(&waker), known.clone());
    let target = lab.spawn(poll_fn(move |context| {
        if let Ok(mut slot) = slot.lock() {
            *slot = Some(context.waker().clone());
        }
        sender.set();
        Poll::<()>::Pending
    }));
    known.wait().await;
    let took = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        let waker: Option<Waker> = waker.lock().ok().and_then(|mut waker| waker.take());
        let waker = waker?;
        let time = |_| {
            let begun = Instant::now();
            waker.wake_by_ref();
            begun.elapsed()
        };
        Some((0..WAKES).map(time).collect::<Vec<_>>())
    });
    // Holds the loop, as code that computes does.
    thread::sleep(HOLD);
    let took = took.join().ok().flatten().unwrap_or_default();
    // The target never completes.
    let _ = R::detach(target);
    let slow = took.iter().filter(|time| **time > SLOW).count();
    match slow {
        _ if took.len() < WAKES => Verdict::fail("the wakes did not end"),
        // A machine that is busy may delay a few.
        0..=5 => Verdict::pass(format!("{WAKES} wakes returned during a poll of 300 ms")),
        slow => Verdict::fail(format!("{slow} of {WAKES} wakes took longer than 5 ms")),
    }
}

async fn wake_latency<R: Runtime>(_lab: &Lab<R>) -> Verdict {
    const WAKES: usize = 200;
    let mut took = Vec::with_capacity(WAKES);
    for _ in 0..WAKES {
        let (signal, sent) = (Signal::default(), Arc::new(Mutex::new(None)));
        let (sender, slot) = (signal.clone(), Arc::clone(&sent));
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_micros(500));
            if let Ok(mut slot) = slot.lock() {
                *slot = Some(Instant::now());
            }
            sender.set();
        });
        signal.wait().await;
        let sent = sent.lock().ok().and_then(|sent| *sent);
        took.extend(sent.map(|sent| sent.elapsed()));
        let _ = thread.join();
    }
    took.sort_unstable();
    took.get(took.len() / 2).map_or_else(
        || Verdict::fail("no wake was answered"),
        |median| Verdict::number(median.as_nanos() as f64 / 1_000.0, "µs"),
    )
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
