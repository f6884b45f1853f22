//! Timers.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::lab::{in_micros, percentile, poll_once, resident_bytes, wake_caught};
use super::{Lab, Verdict, checks};
use crate::check_part::{Part, Signal};
use crate::runtime::Runtime;

checks! {
    "sleep-not-early", Task, Must, [Timers], sleep_not_early,
        "Does a sleep never end earlier than asked?",
        "Retries, leases and rate limits rely on it.";
    "sleep-granularity", Task, Metric, [Timers], sleep_granularity,
        "How late does a sleep of 1 ms end, as a median?",
        "Timers of whole milliseconds round up, some by one more.";
    "sleep-zero", Task, Differs("at once", "after a tick"), [Timers], sleep_zero,
        "Does a sleep of zero return at once?",
        "Some runtimes yield, some round it up to a tick.";
    "sleep-max", Task, Must, [Timers], sleep_max,
        "Is the longest duration safe to sleep for?",
        "`Duration::MAX` is how `never` is written; adding it to a clock may overflow.";
    "sleep-max-cancelled", Task, Must, [Timers], sleep_max_cancelled,
        "Does a sleep end in a task that has cancelled the longest one?",
        "embassy-rs/embassy#4736: the task kept the deadline of the sleep that was dropped.";
    "timer-earlier", Task, Must, [Timers], timer_earlier,
        "Does a new short timer end a wait for a longer one?",
        "A loop that sleeps until its first timer must notice an earlier one.";
    "sequential-vs-join", Task, Must, [Timers], in_turn_and_together,
        "Do three sleeps of 100 ms take 300 ms in turn and 100 ms together?",
        "The first promise of async code.";
    "timer-churn", Task, Metric, [Timers], timer_churn,
        "How much memory is left of a timer of an hour that was dropped at once?",
        "Each request with a time limit makes such a timer.";
    "interval-drift", Task, Metric, [Timers], interval_drift,
        "How late are ticks on a schedule of 2 ms with work in between, at the 99th percentile?",
        "Players, games and controllers work by such ticks.";
    "idle-after-burst", Task, Must, [], idle_after_burst,
        "Is the loop idle again after 100,000 messages from another thread?",
        "compio-rs/compio#984: a burst left the loop busy for ever.";
}

/// Sleeps in tasks of their own; returns when all have ended.
async fn sleep_in_tasks<R: Runtime>(lab: &Lab<R>, time: Duration, tasks: usize) {
    let ends: Vec<Signal> = (0..tasks).map(|_| Signal::default()).collect();
    for end in &ends {
        let sender = end.clone();
        lab.start(Part::Sleep { time, then: Box::new(move || sender.set()) });
    }
    for end in ends {
        end.wait().await;
    }
}

async fn sleep_not_early<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const SLEEPS: u64 = 200;
    let mut earliest = Duration::ZERO;
    for number in 0..SLEEPS {
        let asked = Duration::from_micros(300 + 97 * (number % 40));
        let begun = Instant::now();
        lab.runtime.sleep(asked).await;
        earliest = earliest.max(asked.saturating_sub(begun.elapsed()));
    }
    if earliest.is_zero() {
        Verdict::pass(format!("{SLEEPS} sleeps of 0.3 to 4 ms"))
    } else {
        Verdict::fail(format!("a sleep ended {earliest:?} too early"))
    }
}

async fn sleep_granularity<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const ASKED: Duration = Duration::from_millis(1);
    let mut late = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        lab.runtime.sleep(ASKED).await;
        late.push(begun.elapsed().saturating_sub(ASKED));
    }
    in_micros(percentile(late, 50))
}

async fn sleep_zero<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        lab.runtime.sleep(Duration::ZERO).await;
        took.push(begun.elapsed());
    }
    let median = percentile(took, 50);
    let word = if median < Duration::from_micros(500) { "at once" } else { "after a tick" };
    Verdict::answer(word, format!("a median of {median:?}"))
}

async fn sleep_max<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let ended = Signal::default();
    let sender = ended.clone();
    lab.start(Part::Sleep { time: Duration::MAX, then: Box::new(move || sender.set()) });
    let _deadline = lab.deadline(Duration::from_secs(2), "a sleep of 30 ms beside it did not end");
    lab.runtime.sleep(Duration::from_millis(30)).await;
    if ended.is_set() {
        Verdict::fail("the longest sleep ended at once")
    } else {
        Verdict::pass("it goes on, and a sleep of 30 ms beside it ended")
    }
}

/// Begins to sleep, and drops the sleep; false if that cannot be done.
async fn cancel_sleep<R: Runtime>(lab: &Lab<R>, time: Duration) -> bool {
    !R::CALLS_BLOCK && poll_once(pin!(lab.runtime.sleep(time))).await.is_none()
}

fn not_cancelled<R: Runtime>() -> Verdict {
    if R::CALLS_BLOCK {
        let reason = "a sleep holds its thread and cannot be dropped".to_owned();
        return Verdict::Unsupported { reason };
    }
    Verdict::fail("a long sleep ended at once")
}

async fn sleep_max_cancelled<R: Runtime>(lab: &Lab<R>) -> Verdict {
    if !cancel_sleep(lab, Duration::MAX).await {
        return not_cancelled::<R>();
    }
    let _deadline = lab.deadline(Duration::from_secs(2), "a sleep of 30 ms after it did not end");
    lab.runtime.sleep(Duration::from_millis(30)).await;
    Verdict::pass("a sleep of 30 ms after it ended")
}

async fn timer_churn<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const TIMERS: u64 = 200_000;
    let before = resident_bytes();
    for number in 0..TIMERS {
        if !cancel_sleep(lab, Duration::from_secs(3_600)).await {
            return not_cancelled::<R>();
        }
        if number % 64 == 0 {
            R::step_aside().await;
        }
    }
    let more = resident_bytes().saturating_sub(before);
    Verdict::number(more as f64 / TIMERS as f64, "B")
}

async fn interval_drift<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const TICKS: u32 = 300;
    const PERIOD: Duration = Duration::from_millis(2);
    const WORK: Duration = Duration::from_micros(300);
    let begun = Instant::now();
    let mut late = Vec::new();
    for tick in 1..=TICKS {
        let due = begun + PERIOD * tick;
        lab.runtime.sleep(due.saturating_duration_since(Instant::now())).await;
        late.push(due.elapsed());
        let work = Instant::now();
        while work.elapsed() < WORK {
            std::hint::spin_loop();
        }
    }
    in_micros(percentile(late, 99))
}

async fn idle_after_burst<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const MESSAGES: u64 = 100_000;
    let sent = Arc::new(AtomicU64::new(0));
    {
        let waker = Arc::new(Mutex::new(None::<Waker>));
        let (count, slot) = (Arc::clone(&sent), Arc::clone(&waker));
        let _deadline =
            lab.progress(&sent, Duration::from_secs(5), "the last message was not seen");
        let scene = lab.scene();
        let mut begins = Some(move || {
            for message in 1..=MESSAGES {
                count.fetch_add(1, SeqCst);
                // Not under the lock: a waker may run the task at once.
                let waker = slot.lock().ok().and_then(|waker| waker.clone());
                if let Err(text) = waker.map_or(Ok(()), wake_caught) {
                    let seen = format!("the wake for message {message} panicked: {text}");
                    return scene.answer(Verdict::fail(seen));
                }
            }
        });
        poll_fn(|context| {
            if let Ok(mut waker) = waker.lock() {
                *waker = Some(context.waker().clone());
            }
            begins.take().map(thread::spawn);
            if sent.load(SeqCst) == MESSAGES { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    let share = lab.cpu_share().await;
    let seen = format!("{:.1} % of a CPU in the second after it", 100.0 * share);
    if share <= 0.05 { Verdict::pass(seen) } else { Verdict::fail(seen) }
}

async fn timer_earlier<R: Runtime>(lab: &Lab<R>) -> Verdict {
    lab.start(Part::Sleep { time: Duration::from_secs(30), then: Box::new(|| ()) });
    lab.pause(Duration::from_millis(50)).await;
    let _deadline = lab.deadline(Duration::from_secs(2), "a sleep of 1 ms did not end");
    sleep_in_tasks(lab, Duration::from_millis(1), 1).await;
    Verdict::pass("a sleep of 1 ms ended while the loop waited for one of 30 s")
}

async fn in_turn_and_together<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const TIME: Duration = Duration::from_millis(100);
    let begun = Instant::now();
    for _ in 0..3 {
        lab.runtime.sleep(TIME).await;
    }
    let in_turn = begun.elapsed();
    let begun = Instant::now();
    sleep_in_tasks(lab, TIME, 3).await;
    let together = begun.elapsed();
    let seen = format!("{} ms in turn, {} ms together", in_turn.as_millis(), together.as_millis());
    // Not later than two of three: a busy machine may delay both.
    if in_turn >= 3 * TIME && together >= TIME && together < in_turn * 2 / 3 {
        Verdict::pass(seen)
    } else {
        Verdict::fail(seen)
    }
}
