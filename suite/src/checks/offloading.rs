//! Offloading: blocking work beside the loop, and the pool of threads that it runs on.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use super::lab::{Gaps, caught, expect_panics, panic_on_purpose};
use super::process::{Limit, count, no_more_threads};
use super::{Lab, Verdict, checks};
use crate::check_part::{Job, Part, Signal};
use crate::plain_calls;
use crate::runtime::Runtime;

checks! {
    "pool-isolates", Task, Must, [Offload, Timers], pool_isolates,
        "Does the loop go on during a blocking job of 200 ms?",
        "That is what a pool for blocking work is for.";
    "cpu-inline", Task, Metric, [Timers], cpu_inline,
        "How long do ticks of 5 ms stop at most while a task computes for 300 ms?",
        "Every other connection waits that long.";
    "cpu-offloaded", Task, Metric, [Offload, Timers], cpu_offloaded,
        "How long do ticks of 5 ms stop at most while a job computes for 300 ms?",
        "Compared with `cpu-inline`, what offloading is worth.";
    "pool-cap", Task, Metric, [Offload], pool_cap,
        "How many of 700 blocking jobs run at once?",
        "A job beyond the cap waits for the slowest others.";
    "pool-overflow", Task, Must, [Offload], pool_overflow,
        "Do all of 700 jobs end, those beyond the pool's cap too?",
        "A burst of requests must be queued, not lost.";
    "pool-meet", Task, Must, [Offload], pool_meet,
        "Do jobs run at once that wait for each other, up to the pool's cap?",
        "tokio-rs/tokio#8056: two jobs were given to one idle thread, and one waited for ever.";
    "pool-eagain", Task, Must, [Offload], pool_eagain,
        "Do jobs end, at least with an error, when no thread can be made?",
        "Containers limit threads; a request that waits for ever is worse than one that fails.";
    "pool-decay", Task, Metric, [Offload], pool_decay,
        "How many of 32 pool threads are left after 2 idle seconds?",
        "Idle threads hold memory; new ones cost time.";
    "panic-blocking", Task, Must, [Offload], panic_blocking,
        "Does the awaiter of a job that panics continue?",
        "An awaiter that waits for ever holds its connection and its memory.";
}

async fn pool_isolates<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let (stop, ticks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let period = Duration::from_millis(10);
    lab.start(Part::Tick { period, stop: Arc::clone(&stop), count: Arc::clone(&ticks) });
    let result = lab.runtime.offload(|| thread::sleep(Duration::from_millis(200))).await;
    let ticks = ticks.load(SeqCst);
    stop.store(true, SeqCst);
    match result {
        Err(error) => Verdict::fail(format!("the job failed: {error}")),
        // Some 20 on an idle machine.
        Ok(()) if ticks >= 3 => Verdict::pass(format!("{ticks} ticks of 10 ms meanwhile")),
        Ok(()) => Verdict::fail(format!("only {ticks} ticks of 10 ms in 200 ms")),
    }
}

async fn panic_blocking<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let _deadline = lab.deadline(Duration::from_secs(2), "the awaiter did not continue");
    let first = caught(lab.runtime.offload(|| -> u8 { panic_on_purpose() })).await;
    let seen = match first {
        Ok(Ok(_)) => return Verdict::fail("the job that panicked counts as completed"),
        Ok(Err(error)) => format!("an error: {error}"),
        Err(panic) => format!("the panic: {panic}"),
    };
    match lab.runtime.offload(|| 7).await {
        Ok(7) => Verdict::pass(format!("it got {seen}; the next job ran")),
        Ok(_) => Verdict::fail("the next job gave another result"),
        Err(error) => Verdict::fail(format!("the next job failed: {error}")),
    }
}

const COMPUTES: Duration = Duration::from_millis(300);

async fn cpu_inline<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let gaps = Gaps::begin(lab).await;
    plain_calls::use_cpu(COMPUTES);
    gaps.longest(lab).await
}

async fn cpu_offloaded<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let gaps = Gaps::begin(lab).await;
    if let Err(error) = lab.runtime.offload(|| plain_calls::use_cpu(COMPUTES)).await {
        return Verdict::fail(format!("the job failed: {error}"));
    }
    gaps.longest(lab).await
}

/// Jobs that hold their threads until they are released.
#[derive(Clone, Default)]
struct Crowd {
    begun: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
    error: Arc<Mutex<Option<String>>>,
    released: Arc<(Mutex<bool>, Condvar)>,
}

impl Crowd {
    /// Starts this number of jobs, each in a task of its own.
    fn start<R: Runtime>(lab: &Lab<R>, jobs: u64) -> Self {
        let crowd = Crowd::default();
        for _ in 0..jobs {
            let (held, over) = (crowd.clone(), crowd.clone());
            let then = Box::new(move |result: Result<(), String>| {
                if let Err(error) = result {
                    *over.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
                over.ended.fetch_add(1, SeqCst);
            });
            lab.start(Part::Offload { job: Job::new(move || held.hold()), then });
        }
        crowd
    }

    fn hold(&self) {
        self.begun.fetch_add(1, SeqCst);
        let (released, changed) = &*self.released;
        let released = released.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_while(released, |released| !*released));
    }

    /// Releases them once all have begun or no more begin, and returns how many were held then. A
    /// thread of the system does it, because a full pool may hold up the loop.
    async fn release_when_settled(&self, jobs: u64) -> u64 {
        let (settled, crowd) = (Signal::default(), self.clone());
        let sender = settled.clone();
        let held = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&held);
        thread::spawn(move || {
            let (mut last, mut looks) = (0, 0);
            while last < jobs && looks < 10 {
                thread::sleep(Duration::from_millis(50));
                let now = crowd.begun.load(SeqCst);
                looks = if now == last { looks + 1 } else { 0 };
                last = now;
            }
            count.store(last, SeqCst);
            crowd.release();
            sender.set();
        });
        settled.wait().await;
        held.load(SeqCst)
    }

    fn release(&self) {
        *self.released.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.released.1.notify_all();
    }

    fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const BURST: u64 = 700;

async fn pool_cap<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let _deadline = lab.deadline(Duration::from_secs(10), "the jobs did not begin");
    let crowd = Crowd::start(lab, BURST);
    let at_once = crowd.release_when_settled(BURST).await;
    Verdict::number(at_once as f64, "of 700 jobs at once")
}

async fn pool_overflow<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let crowd = Crowd::start(lab, BURST);
    let at_once = crowd.release_when_settled(BURST).await;
    let _deadline = lab.progress(&crowd.ended, Duration::from_secs(5), "no further job ended");
    while crowd.ended.load(SeqCst) < BURST {
        lab.pause(Duration::from_millis(5)).await;
    }
    match crowd.error() {
        Some(error) => Verdict::fail(format!("a job of {BURST} was lost: {error}")),
        None => Verdict::pass(format!("{BURST} jobs ended, {at_once} of them were held at once")),
    }
}

/// Jobs that are complete only when all of them have begun. False if one of them did not begin.
async fn meet<R: Runtime>(lab: &Lab<R>, jobs: u64) -> bool {
    let crowd = Crowd::start(lab, jobs);
    for _ in 0..1_500 {
        if crowd.begun.load(SeqCst) == jobs {
            break;
        }
        lab.pause(Duration::from_millis(1)).await;
    }
    let have_met = crowd.begun.load(SeqCst) == jobs;
    crowd.release();
    while crowd.ended.load(SeqCst) < jobs {
        lab.pause(Duration::from_millis(1)).await;
    }
    have_met
}

async fn pool_meet<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const LARGEST: u64 = 16;
    const ROUNDS: u64 = 10;
    let met = Arc::new(AtomicU64::new(0));
    let _deadline = lab.progress(&met, Duration::from_secs(10), "the jobs did not end");
    // Each size meets a pool with one idle thread less, and then one with enough of them.
    for jobs in 2..=LARGEST {
        for round in 0..ROUNDS {
            if meet(lab, jobs).await {
                met.fetch_add(1, SeqCst);
                continue;
            }
            // A pool's cap explains it, if it is seen each time.
            met.fetch_add(1, SeqCst);
            let met_later = meet(lab, jobs).await || meet(lab, jobs).await;
            met.fetch_add(1, SeqCst);
            let crowd = Crowd::start(lab, 2 * LARGEST);
            let cap = crowd.release_when_settled(2 * LARGEST).await;
            let seen = format!(
                "{jobs} jobs that wait for each other did not all begin within 1.5 s, in round {}; \
                 {cap} of {} ran at once then",
                round + 1,
                2 * LARGEST
            );
            let is_capped = cap < jobs && !met_later;
            return if is_capped { capped(jobs - 1, cap) } else { Verdict::fail(seen) };
        }
    }
    Verdict::pass(format!("2 to {LARGEST} jobs, {ROUNDS} times each"))
}

fn capped(met: u64, cap: u64) -> Verdict {
    match met {
        0 | 1 => Verdict::Unsupported { reason: format!("its pool runs {cap} job at a time") },
        _ => Verdict::pass(format!("up to {met} jobs; the pool runs {cap} at once")),
    }
}

async fn pool_eagain<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const JOBS: usize = 4;
    expect_panics();
    // Made while threads can be made.
    let (lifted, lift) = (Signal::default(), Signal::default());
    let (sender, waiting) = (lifted.clone(), lift.clone());
    let (limit, limits) = std::sync::mpsc::channel::<Limit>();
    let lifter = thread::spawn(move || {
        waiting.wait_on_thread(Duration::from_secs(2));
        drop(limits.recv());
        sender.set();
    });
    match no_more_threads() {
        Ok(imposed) => drop(limit.send(imposed)),
        Err(reason) => return Verdict::Unsupported { reason },
    }
    let mut jobs = Vec::new();
    for _ in 0..JOBS {
        let runtime = lab.runtime.clone();
        jobs.push(Some(Box::pin(async move { caught(runtime.offload(|| ())).await })));
    }
    let (mut ended, mut how) = (0, String::new());
    let mut over = pin!(lifted.wait());
    // All of them begin in the first poll, on the thread that the limit binds.
    poll_fn(|context| {
        for job in &mut jobs {
            let polled = job.as_mut().map(|job| job.as_mut().poll(context));
            if let Some(Poll::Ready(result)) = polled {
                *job = None;
                ended += 1;
                how = match result {
                    Ok(Ok(())) => "it ran".to_owned(),
                    Ok(Err(error)) => format!("an error: {error}"),
                    Err(panic) => format!("a panic: {panic}"),
                };
            }
        }
        if ended == JOBS { Poll::Ready(()) } else { over.as_mut().poll(context) }
    })
    .await;
    lift.set();
    let _ = lifter.join();
    if ended < JOBS {
        let later = Crowd::start(lab, 1);
        later.release();
        lab.pause(Duration::from_millis(500)).await;
        let then = if later.ended.load(SeqCst) == 1 { "runs" } else { "does not run" };
        return Verdict::fail(format!(
            "{} of {JOBS} jobs did not end within 2 s; a job {then} when threads can be made again",
            JOBS - ended
        ));
    }
    let _deadline = lab.deadline(Duration::from_secs(2), "the first job after that did not end");
    match caught(lab.runtime.offload(|| ())).await {
        Ok(Ok(())) => Verdict::pass(format!("the last of {JOBS} jobs: {how}; a later one ran")),
        other => Verdict::fail(format!("the first job after that did not run: {other:?}")),
    }
}

async fn pool_decay<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const JOBS: u64 = 32;
    let _deadline = lab.deadline(Duration::from_secs(10), "the jobs did not begin");
    let before = count("task");
    let crowd = Crowd::start(lab, JOBS);
    let at_once = crowd.release_when_settled(JOBS).await;
    while crowd.ended.load(SeqCst) < JOBS {
        lab.pause(Duration::from_millis(5)).await;
    }
    lab.pause(Duration::from_secs(2)).await;
    // The thread of the pause may not be gone yet.
    thread::sleep(Duration::from_millis(10));
    let left = count("task").saturating_sub(before).min(at_once as usize);
    Verdict::number(left as f64, &format!("of {at_once} threads left after 2 s"))
}
