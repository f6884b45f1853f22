//! Offloading: blocking work beside the loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use super::lab::{caught, panic_on_purpose};
use super::{Lab, Verdict, checks};
use crate::check_part::Part;
use crate::runtime::Runtime;

checks! {
    "pool-isolates", Task, Must, [Offload, Timers], pool_isolates,
        "Does the loop go on during a blocking job of 200 ms?",
        "That is what a pool for blocking work is for.";
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
