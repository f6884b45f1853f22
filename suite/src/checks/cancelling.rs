//! Cancelling and panicking.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use super::lab::{Guard, caught, panic_on_purpose};
use super::{Lab, Verdict, checks};
use crate::check_part::{Part, Signal};
use crate::panics::panic_text;
use crate::runtime::{Runtime, yield_once};

checks! {
    "handle-drop", Task, Differs("cancels", "detaches", "neither"), [], handle_drop,
        "Does dropping the handle of a task detach or cancel it?",
        "Code that moves between runtimes loses work, or leaks it, without a warning.";
    "cancel-awaits-drop", Task, Must, [Cancel], cancel_awaits_drop,
        "Is the future of a task gone when cancelling it has returned?",
        "Code that cancels a task, and then removes what the task uses, relies on it.";
    "panic-join", Task, Differs("an error", "nothing", "panics too", "hits spawner"), [], panic_join,
        "What does the joiner of a task see that panicked?",
        "An error can be handled; a panic of the joiner, or the end of the loop, cannot.";
    "panic-detached", Task, Differs("lives on", "hits spawner"), [], panic_detached,
        "Does the runtime live on after a detached task has panicked?",
        "One bad request must not end a server.";
    "panic-capacity", Task, Must, [], panic_capacity,
        "Can tasks still be spawned after 64 panics?",
        "A worker or a slot lost at each panic ends a server slowly.";
}

async fn handle_drop<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let (go, ended, dropped) = (Signal::default(), Signal::default(), Signal::default());
    let (wait, sender, guard) = (go.wait(), ended.clone(), Guard(dropped.clone()));
    let begun = Signal::default();
    let begins = begun.clone();
    let task = lab.spawn(async move {
        let _guard = guard;
        begins.set();
        wait.await;
        sender.set();
    });
    begun.wait().await;
    drop(task);
    lab.pause(Duration::from_millis(50)).await;
    let cancelled = dropped.is_set();
    go.set();
    lab.pause(Duration::from_millis(100)).await;
    match (cancelled, ended.is_set()) {
        (true, false) => Verdict::answer("cancels", "its future was dropped"),
        (false, true) => Verdict::answer("detaches", "the task went on to its end"),
        _ => Verdict::answer("neither", "its future was not dropped, and the task did not go on"),
    }
}

async fn cancel_awaits_drop<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const ROUNDS: usize = 20;
    let _deadline = lab.deadline(Duration::from_secs(5), "cancelling a task did not return");
    for round in 0..ROUNDS {
        let (begun, dropped) = (Signal::default(), Signal::default());
        let (begins, guard) = (begun.clone(), Guard(dropped.clone()));
        let task = lab.spawn(async move {
            let _late = Late { _guard: guard };
            begins.set();
            // Parked, or polled again and again.
            if round % 2 == 0 {
                pending::<()>().await;
            }
            loop {
                yield_once().await;
            }
        });
        begun.wait().await;
        R::cancel(task).await;
        if !dropped.is_set() {
            let state = if round % 2 == 0 { "parked" } else { "ready" };
            return Verdict::fail(format!(
                "cancelling returned before the future of a {state} task was dropped"
            ));
        }
    }
    Verdict::pass(format!("{ROUNDS} tasks were gone, half of them ready and half parked"))
}

/// Takes a while to drop, so that a return before the end of the drop is seen.
struct Late {
    _guard: Guard,
}

impl Drop for Late {
    fn drop(&mut self) {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Starts a task that panics. The panic may come out here, if the task is polled at once.
fn start_panicking<R: Runtime>(lab: &Lab<R>) -> Result<(), String> {
    let panicking = Part::Future(Box::pin(async { panic_on_purpose() }));
    catch_unwind(AssertUnwindSafe(|| lab.start(panicking))).map_err(|panic| panic_text(&*panic))
}

/// Waits until a new task has run.
async fn still_runs<R: Runtime>(lab: &Lab<R>) {
    let ran = Signal::default();
    let sender = ran.clone();
    lab.start(Part::Future(Box::pin(async move { sender.set() })));
    ran.wait().await;
}

async fn panic_join<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let joiner = async { R::join(lab.spawn(async { panic_on_purpose() })).await };
    match caught(joiner).await {
        Ok(Err(error)) => Verdict::answer("an error", error.to_string()),
        Ok(Ok(())) => Verdict::answer("nothing", "the join returned as if the task was complete"),
        Err(panic) => Verdict::answer("panics too", format!("the joiner got the panic: {panic}")),
    }
}

async fn panic_detached<R: Runtime>(lab: &Lab<R>) -> Verdict {
    if let Err(panic) = start_panicking(lab) {
        return Verdict::answer("hits spawner", format!("`spawn` itself panicked: {panic}"));
    }
    lab.pause(Duration::from_millis(50)).await;
    let _deadline = lab.deadline(Duration::from_secs(2), "a later task did not run");
    still_runs(lab).await;
    Verdict::answer("lives on", "a later task ran")
}

async fn panic_capacity<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const PANICS: usize = 64;
    let _deadline = lab.deadline(Duration::from_secs(10), "a later task did not run");
    for _ in 0..PANICS {
        let _ = start_panicking(lab);
        lab.pause(Duration::from_millis(1)).await;
    }
    still_runs(lab).await;
    Verdict::pass(format!("a task ran after {PANICS} panics"))
}
