//! Nesting: code that waits, in a blocking way, inside a task.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::lab::expect_panics;
use super::{Lab, Verdict, checks};
use crate::block_on::block_on;
use crate::check_part::{Part, Signal};
use crate::panics::panic_text;
use crate::runtime::{Refusal, Runtime};

checks! {
    "nested-root", Root, Differs("works", "panics", "deadlocks", "fails", "returns early"), [], nested_root,
        "What happens when the runtime is started again inside its root?",
        "A library that offers blocking calls starts a runtime in each of them.";
    "nested-task", Task, Differs("works", "panics", "deadlocks", "fails", "returns early"), [], nested_task,
        "What happens when a task starts the runtime again, and a task is joined there?",
        "A blocking wrapper around async code, called from async code, may wait for itself.";
    "foreign-block-on", Task, Differs("works", "deadlocks"), [], foreign_block_on,
        "A task parks its thread until another task has run: does that task run?",
        "Executors of other libraries park the thread, whatever runs on it.";
}

/// Long enough for a task on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// Starts the runtime again on this thread, for this part.
fn start_again<R: Runtime>(lab: &Lab<R>, part: Part, ran: &Signal) -> Verdict {
    expect_panics();
    let _deadlock = lab.answer_after(
        PATIENCE,
        Verdict::answer("deadlocks", format!("not over within {} s", PATIENCE.as_secs())),
    );
    match catch_unwind(AssertUnwindSafe(|| lab.runtime.block_on(lab.task_of(part)))) {
        Err(panic) => Verdict::answer("panics", panic_text(&*panic)),
        Ok(Err(Refusal::Unsupported(reason))) => Verdict::Unsupported { reason },
        Ok(Err(Refusal::Failed(reason))) => Verdict::answer("fails", reason),
        Ok(Ok(())) if ran.is_set() => Verdict::answer("works", "the inner task was complete"),
        Ok(Ok(())) => Verdict::answer("returns early", "before the inner task was complete"),
    }
}

async fn nested_root<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let ran = Signal::default();
    let sender = ran.clone();
    start_again(lab, Part::Future(Box::pin(async move { sender.set() })), &ran)
}

async fn nested_task<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let ran = Signal::default();
    let sender = ran.clone();
    let then = Box::new(move |joined: Result<(), String>| {
        if joined.is_ok() {
            sender.set();
        }
    });
    start_again(lab, Part::SpawnAndJoin { then }, &ran)
}

async fn foreign_block_on<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let ran = Signal::default();
    let sender = ran.clone();
    let seen = format!("the other task did not run within {} s", PATIENCE.as_secs());
    let _deadlock = lab.answer_after(PATIENCE, Verdict::answer("deadlocks", seen));
    lab.start(Part::Future(Box::pin(async move { sender.set() })));
    // As an executor of another library does.
    block_on(ran.wait());
    Verdict::answer("works", "the other task ran while the thread was parked")
}
