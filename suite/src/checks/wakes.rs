//! Wakes: that none is lost, and what they cost.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::lab::{in_micros, pause_precisely, percentile};
use super::{Lab, Verdict, checks};
use crate::check_part::Signal;
use crate::runtime::{Runtime, yield_once};
use crate::thread_times;

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
    "wake-idle", Task, Must, [], wake_idle,
        "Is a wake by another thread prompt after the loop has rested?",
        "lalinsky/zio#494: wakes were lost, and came late when a time limit ended the wait.";
    "wake-latency", Task, Metric, [], wake_latency,
        "How long from a wake by another thread to the poll, as a median?",
        "Every answer of a pool or a channel takes at least this long.";
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
    /// Beside busy processes a round takes milliseconds.
    const TIME: Duration = Duration::from_secs(3);
    let round = Arc::new(AtomicU64::new(0));
    let _deadline = lab.progress(&round, Duration::from_secs(5), "no poll followed the two wakes");
    let (begun, mut rounds) = (Instant::now(), 0);
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
            rounds = next;
            // The last round is also the end of the threads.
            round.store(if begun.elapsed() < TIME { next } else { ROUNDS }, SeqCst);
        }
    })
    .await;
    Verdict::pass(format!("{rounds} rounds"))
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

/// One wake by another thread.
struct Woken {
    /// To the next poll.
    took: Duration,
    /// How much of that the thread of this poll may have waited for a CPU.
    queued: Duration,
}

/// Wakes this task from another thread again and again, each time after a rest in which the loop may
/// stop.
async fn foreign_wakes<R: Runtime>(
    lab: &Lab<R>,
    wakes: u64,
    rest: impl Fn(u64) -> Duration + Send + 'static,
) -> Vec<Woken> {
    let woken = Arc::new(AtomicU64::new(0));
    let _deadline = lab.progress(&woken, Duration::from_secs(5), "no poll followed a wake");
    let (orders, inbox) = mpsc::channel::<(Signal, Arc<Mutex<Option<Instant>>>)>();
    thread::spawn(move || {
        for (number, (signal, sent)) in inbox.into_iter().enumerate() {
            pause_precisely(rest(number as u64));
            if let Ok(mut sent) = sent.lock() {
                *sent = Some(Instant::now());
            }
            signal.set();
        }
    });
    let mut all = Vec::new();
    let mut queued_before = HashMap::new();
    for _ in 0..wakes {
        let (signal, sent) = (Signal::default(), Arc::default());
        let _ = orders.send((signal.clone(), Arc::clone(&sent)));
        signal.wait().await;
        let sent = sent.lock().ok().and_then(|sent| *sent);
        let took = sent.map(|sent| sent.elapsed());
        let queued_ns = thread_times::read().run_queue_ns;
        // Unknown in the first poll on a thread.
        let before = queued_before.insert(thread::current().id(), queued_ns);
        if let (Some(took), Some(before)) = (took, before) {
            all.push(Woken {
                took,
                queued: Duration::from_nanos(queued_ns.saturating_sub(before)),
            });
        }
        woken.fetch_add(1, SeqCst);
    }
    all
}

async fn wake_latency<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let woken = foreign_wakes(lab, 200, |_| Duration::from_micros(500)).await;
    if woken.is_empty() {
        return Verdict::fail("no wake was answered");
    }
    in_micros(percentile(woken.iter().map(|wake| wake.took).collect(), 50))
}

async fn wake_idle<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const WAKES: u64 = 500;
    /// A busy machine may delay wakes as well, but not by the same time in each attempt.
    const ATTEMPTS: usize = 3;
    let seed = lab.seed();
    let rest = move |number: u64| {
        // Half of them at about the moment when the loop stops.
        let longest_ns = if number.is_multiple_of(2) { 30_000 } else { 1_500_000 };
        let drawn = (number ^ seed << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        Duration::from_nanos(drawn % longest_ns)
    };
    let mut plateaus: Vec<Duration> = Vec::new();
    for _ in 0..ATTEMPTS {
        let woken = foreign_wakes(lab, WAKES, rest).await;
        let mut took: Vec<Duration> =
            woken.iter().map(|wake| wake.took.saturating_sub(wake.queued)).collect();
        took.sort_unstable();
        let slowest = took.last().copied().unwrap_or_default();
        match plateau(&took) {
            Some(value) if plateaus.iter().all(|other| are_near(*other, value)) => {
                plateaus.push(value);
            }
            _ => return Verdict::pass(format!("{WAKES} wakes in at most {slowest:?}")),
        }
    }
    Verdict::fail(format!(
        "in each of {ATTEMPTS} attempts most late wakes took the same time, {plateaus:?}: a time \
         limit healed wakes that were lost"
    ))
}

/// The value around which most of the late times lie, if there is one. The times are in order.
fn plateau(took: &[Duration]) -> Option<Duration> {
    const LATE: Duration = Duration::from_millis(1);
    let late = &took[took.partition_point(|time| *time < LATE)..];
    let around = |value: Duration| late.iter().filter(|time| are_near(**time, value)).count();
    let value = late.iter().copied().max_by_key(|value| around(*value))?;
    let count = around(value);
    (count >= 3 && 2 * count > late.len()).then_some(value)
}

/// Within 5 %.
fn are_near(first: Duration, second: Duration) -> bool {
    first.abs_diff(second) <= first.max(second) / 20
}
