//! In which quadrant an operation is, by two experiments: when does control come back, and is the
//! work done while the task holds its thread?
//!
//! Takes nothing for granted: what the other side does comes before or after control is back, and
//! the order decides, not a time.

use std::fs;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::lab::Deadline;
use super::{Lab, Verdict};
use crate::check_part::Signal;
use crate::runtime::Runtime;

pub(super) const SYNC_BLOCKING: &str = "sync blocking";
pub(super) const SYNC_NON_BLOCKING: &str = "sync non-blocking";
pub(super) const ASYNC_BLOCKING: &str = "async blocking";
pub(super) const ASYNC_NON_BLOCKING: &str = "async non-blocking";
/// The work goes on while the thread sleeps, but not while it computes, or the reverse.
pub(super) const MIXED: &str = "mixed";
pub(super) const DEADLOCKS: &str = "deadlocks";

/// Control is not back if it takes longer, and the other side acts then.
const BACK_WITHIN: Duration = Duration::from_millis(250);
/// For the loop to hand the operation to the system, before the task holds its thread.
const GO_ROUND: Duration = Duration::from_millis(10);
/// Between the beginning of the hold and the other side's act.
const BEFORE_ACTING: Duration = Duration::from_millis(20);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// What is done stays done: an answer that is only on its way is not taken for it.
const LOOKS: u32 = 3;
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// What completes an operation, and how its completion shows outside of its task.
pub(super) struct Other {
    /// Lets it complete. Called on a thread of the system.
    pub(super) act: Box<dyn FnOnce() + Send>,
    /// Whether the work is done; nothing where only a wake shows it.
    pub(super) is_done: Option<Box<dyn FnMut() -> bool + Send>>,
    /// How long the thread is held for the work, at most.
    pub(super) hold: Duration,
}

impl Other {
    pub(super) fn new(
        act: impl FnOnce() + Send + 'static,
        is_done: impl FnMut() -> bool + Send + 'static,
    ) -> Self {
        let hold = Duration::from_millis(200);
        Self { act: Box::new(act), is_done: Some(Box::new(is_done)), hold }
    }
}

/// How the task keeps its thread from the runtime.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hold {
    Spinning,
    Sleeping,
}

/// One experiment's result.
pub(super) enum Seen {
    /// Control came back with the result. Whether another thread had to wake this one, if it is known.
    Blocked { back_after: Duration, by_another: Option<bool> },
    /// Control came back at once. When the work was done while the thread was held, and which thread
    /// woke the task.
    Returned { back_after: Duration, done: Option<(Duration, Option<String>)> },
    /// The result came before the other side had acted.
    TooEarly,
}

#[derive(Default)]
struct State {
    is_back: bool,
    /// The task holds its thread.
    is_held: bool,
    has_acted: bool,
    /// The thread need not be held any longer.
    is_over: bool,
    has_ended: bool,
    /// The name of the thread that woke the task first.
    woken_by: Option<String>,
    /// Whether that which woke it last was another one than the task's.
    woken_by_another: Option<bool>,
    /// Whether the task's thread slept for another to wake it, as long as control was not back.
    is_parked: Option<bool>,
    done_after: Option<Duration>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Whether it is so within this time.
    fn wait(&self, limit: Duration, is_so: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), limit, |state| !is_so(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        is_so(&state)
    }
}

/// Wakes the task, and notes by which thread.
struct Noting {
    shared: Arc<Shared>,
    task: Waker,
    thread: ThreadId,
}

impl Wake for Noting {
    fn wake(self: Arc<Self>) {
        let thread = thread::current();
        let name = thread.name().unwrap_or("without a name").to_owned();
        self.shared.change(|state| {
            state.woken_by.get_or_insert(name);
            state.woken_by_another = Some(thread.id() != self.thread);
        });
        self.task.wake_by_ref();
    }
}

/// Wakes a task, and the thread that waits inside it.
struct Both {
    task: Waker,
    thread: Waker,
}

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.task.wake_by_ref();
        self.thread.wake_by_ref();
    }
}

/// Waits on the spot. The task is woken too, so that an experiment notes by which thread.
pub(super) async fn wait_here<R: Runtime, T>(operation: impl Future<Output = T>) -> T {
    let mut operation = pin!(operation);
    poll_fn(|outer| {
        let wait = poll_fn(|inner| {
            let both = Both { task: outer.waker().clone(), thread: inner.waker().clone() };
            operation.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(both))))
        });
        Poll::Ready(R::wait_here(wait))
    })
    .await
}

/// Runs an operation whose other side is a thread of the system.
pub(super) async fn experiment<T>(
    operation: impl Future<Output = T>,
    other: Other,
    hold: Hold,
) -> (Seen, T) {
    let shared = Arc::new(Shared::default());
    let (watched, task) = (Arc::clone(&shared), rustix::thread::gettid().as_raw_nonzero().get());
    let watcher = thread::spawn(move || watch(&watched, other, task));
    let mut operation = pin!(operation);
    let begun = Instant::now();
    let first = poll_fn(|context| {
        let (shared, task) = (Arc::clone(&shared), context.waker().clone());
        let noting = Noting { shared, task, thread: thread::current().id() };
        let waker = Waker::from(Arc::new(noting));
        Poll::Ready(operation.as_mut().poll(&mut Context::from_waker(&waker)))
    })
    .await;
    let back_after = begun.elapsed();
    let (acted_before, by_another) = {
        let mut state = shared.lock();
        state.is_back = true;
        // A thread that waits for events may be woken by another one, or by itself.
        (state.has_acted, state.woken_by_another.or(state.is_parked))
    };
    shared.changed.notify_all();
    let is_early = first.is_ready() && !acted_before;
    let result = match first {
        Poll::Ready(result) => result,
        Poll::Pending => {
            if !acted_before {
                Signal::after(GO_ROUND).wait().await;
                hold_until_over(&shared, hold);
            }
            operation.await
        }
    };
    shared.change(|state| state.has_ended = true);
    let _ = watcher.join();
    let mut state = shared.lock();
    let seen = if is_early {
        Seen::TooEarly
    } else if acted_before {
        Seen::Blocked { back_after, by_another }
    } else {
        let woken_by = state.woken_by.take();
        Seen::Returned { back_after, done: state.done_after.map(|after| (after, woken_by)) }
    };
    (seen, result)
}

fn hold_until_over(shared: &Shared, hold: Hold) {
    shared.change(|state| {
        state.is_held = true;
        // Those by the task's own polls are no work of others.
        state.woken_by = None;
    });
    match hold {
        Hold::Spinning => {
            while !shared.lock().is_over {
                for _ in 0..10_000 {
                    std::hint::spin_loop();
                }
            }
        }
        Hold::Sleeping => {
            let waited = shared.changed.wait_while(shared.lock(), |state| !state.is_over);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Acts as the other side, and looks from outside how far the operation is.
fn watch(shared: &Shared, mut other: Other, task: i32) {
    let is_back = shared.wait(BACK_WITHIN, |state| state.is_back);
    if is_back {
        // It may have ended instead.
        shared.wait(ENDS_WITHIN, |state| state.is_held || state.has_ended);
        thread::sleep(BEFORE_ACTING);
    } else {
        let is_parked = is_parked(task);
        let mut state = shared.lock();
        state.has_acted = !state.is_back;
        state.is_parked = is_parked;
    }
    (other.act)();
    let acted = Instant::now();
    let mut looks = 0;
    while acted.elapsed() < other.hold && looks < LOOKS && !shared.lock().has_ended {
        let is_done = match &mut other.is_done {
            Some(is_done) => is_done(),
            None => shared.lock().woken_by.is_some(),
        };
        let after = acted.elapsed();
        looks = if is_done { looks + 1 } else { 0 };
        if looks == 1 {
            shared.lock().done_after = Some(after);
        }
        thread::sleep(LOOK_EVERY);
    }
    if looks < LOOKS {
        shared.lock().done_after = None;
    } else {
        // The thread that has done it may be about to wake the task.
        shared.wait(BEFORE_ACTING, |state| state.woken_by.is_some());
    }
    shared.change(|state| state.is_over = true);
    // Some need more than one act.
    while !shared.wait(LOOK_EVERY, |state| state.has_ended) {
        other.is_done.as_mut().map(|is_done| is_done());
    }
}

/// Whether a thread of this process sleeps until another wakes it; nothing where the system does not
/// show the call that a thread is in.
fn is_parked(thread: i32) -> Option<bool> {
    let futex = if cfg!(target_arch = "x86_64") { "202" } else { "98" };
    let call = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).ok()?;
    Some(call.split_whitespace().next()? == futex)
}

/// What both experiments have shown, one with a thread that computes and one with a thread that sleeps.
pub(super) struct Report {
    _deadline: Deadline,
    done: Vec<bool>,
    texts: Vec<String>,
}

impl Report {
    /// An operation that never ends is an answer as well.
    pub(super) fn begin<R: Runtime>(lab: &Lab<R>) -> Self {
        let seen = format!("it did not end within {} s", ENDS_WITHIN.as_secs());
        let deadline = lab.answer_after(ENDS_WITHIN, Verdict::answer(DEADLOCKS, seen));
        Self { _deadline: deadline, done: Vec::new(), texts: Vec::new() }
    }

    /// How the thread is held in the next experiment.
    pub(super) fn hold(&self) -> Hold {
        if self.done.is_empty() { Hold::Spinning } else { Hold::Sleeping }
    }

    /// The verdict, if this experiment decides.
    pub(super) fn add(&mut self, seen: Seen) -> Option<Verdict> {
        let (back_after, progress) = match seen {
            Seen::TooEarly => {
                let reason = "it was complete before the other side had acted".to_owned();
                return Some(Verdict::Unsupported { reason });
            }
            Seen::Blocked { back_after, by_another } => {
                return Some(blocked(back_after, by_another));
            }
            Seen::Returned { back_after, done } => (back_after, done),
        };
        if self.texts.is_empty() {
            self.texts.push(format!("control back after {}", text(back_after)));
        }
        let hold = match self.hold() {
            Hold::Spinning => "computed",
            Hold::Sleeping => "slept",
        };
        self.texts.push(match &progress {
            Some((after, woken_by)) => {
                let wake = woken_by.as_ref().map_or_else(
                    || "without a wake".to_owned(),
                    |thread| format!("and woken by thread `{thread}`"),
                );
                format!("done after {} while its thread {hold}, {wake}", text(*after))
            }
            None => format!("not done while its thread {hold}"),
        });
        self.done.push(progress.is_some());
        let word = match self.done.as_slice() {
            [true, true] => ASYNC_NON_BLOCKING,
            [false, false] => SYNC_NON_BLOCKING,
            [_, _] => MIXED,
            _ => return None,
        };
        Some(Verdict::answer(word, self.texts.join("; ")))
    }
}

fn blocked(back_after: Duration, by_another: Option<bool>) -> Verdict {
    let back = format!("control back with the result, after {}", text(back_after));
    match by_another {
        Some(true) => {
            let seen = format!("{back}; its thread slept until another one woke it");
            Verdict::answer(ASYNC_BLOCKING, seen)
        }
        Some(false) => {
            Verdict::answer(SYNC_BLOCKING, format!("{back}; its thread was in the call"))
        }
        None => Verdict::Unsupported {
            reason: format!("{back}; the system does not show in which call its thread was"),
        },
    }
}

fn text(time: Duration) -> String {
    match time.as_micros() {
        micros if micros < 1_000 => format!("{micros} µs"),
        micros => format!("{} ms", micros / 1_000),
    }
}
