//! Wakers and queues: how a task becomes ready.
//!
//! A wake on the executor's own thread takes no lock. A wake from another thread goes through the
//! inbox, and calls the waker only if the executor sleeps. A task is never queued twice, and nothing
//! here polls a task.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

/// The task that a waker refers to; it may have ended.
pub(super) struct Handle {
    key: usize,
    /// Whether it is queued already.
    is_queued: AtomicBool,
    inbox: Arc<Inbox>,
}

/// Tasks that other threads have woken.
pub(super) struct Inbox {
    state: Mutex<InboxState>,
    doorbell: mio::Waker,
}

#[derive(Default)]
struct InboxState {
    woken: Vec<Arc<Handle>>,
    is_executor_asleep: bool,
}

/// Tasks that are ready, on the thread of their executor.
struct ReadyQueue {
    /// Address of the inbox whose executor runs on this thread; 0 without one.
    home: Cell<usize>,
    tasks: RefCell<VecDeque<Arc<Handle>>>,
}

thread_local! {
    static READY: ReadyQueue =
        const { ReadyQueue { home: Cell::new(0), tasks: RefCell::new(VecDeque::new()) } };
}

impl Handle {
    /// A new task, which is ready at once. Only for the executor's thread.
    pub(super) fn ready(key: usize, inbox: &Arc<Inbox>) -> Arc<Self> {
        let is_queued = AtomicBool::new(true);
        let handle = Arc::new(Self { key, is_queued, inbox: Arc::clone(inbox) });
        READY.with(|ready| ready.tasks.borrow_mut().push_back(Arc::clone(&handle)));
        handle
    }

    pub(super) fn key(&self) -> usize {
        self.key
    }

    /// To be called before each poll: later wakes request another poll. Earlier wakes are coalesced
    /// into this poll, which must see what their threads had written; a plain store would not
    /// synchronise with them.
    pub(super) fn begin_poll(&self) {
        self.is_queued.swap(false, Ordering::AcqRel);
    }

    fn enqueue(self: Arc<Self>) {
        let is_home = READY.try_with(|ready| ready.home.get() == self.inbox.address());
        if is_home == Ok(true) {
            READY.with(|ready| ready.tasks.borrow_mut().push_back(self));
        } else {
            Arc::clone(&self.inbox).push(self);
        }
    }
}

impl Wake for Handle {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.enqueue();
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            Arc::clone(self).enqueue();
        }
    }
}

impl Inbox {
    /// The inbox of this thread's only executor. `doorbell` has to end the sleep that
    /// `let_executor_sleep` allows.
    pub(super) fn open(doorbell: mio::Waker) -> Arc<Self> {
        let inbox = Arc::new(Self { state: Mutex::default(), doorbell });
        READY.with(|ready| {
            assert_eq!(ready.home.get(), 0, "a thread has one executor");
            ready.home.set(inbox.address());
        });
        inbox
    }

    /// The executor of this thread polls no more.
    pub(super) fn close(&self) {
        READY.with(|ready| {
            ready.tasks.borrow_mut().clear();
            ready.home.set(0);
        });
    }

    fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    fn push(&self, handle: Arc<Handle>) {
        let mut state = self.state();
        state.woken.push(handle);
        let has_to_ring = std::mem::take(&mut state.is_executor_asleep);
        drop(state);
        if has_to_ring && let Err(error) = self.doorbell.wake() {
            eprintln!("the executor could not be woken: {error}");
        }
    }

    /// Whether the inbox is empty. If so, the next push calls the waker: both are decided under one
    /// lock, so no push is missed.
    pub(super) fn let_executor_sleep(&self) -> bool {
        let mut state = self.state();
        state.is_executor_asleep = state.woken.is_empty();
        state.is_executor_asleep
    }

    /// The executor is awake: moves the inbox to the ready queue.
    pub(super) fn empty(&self) {
        let mut state = self.state();
        state.is_executor_asleep = false;
        READY.with(|ready| ready.tasks.borrow_mut().extend(state.woken.drain(..)));
    }

    fn state(&self) -> MutexGuard<'_, InboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of this thread's executor that has been ready for the longest time.
pub(super) fn next_ready() -> Option<Arc<Handle>> {
    READY.with(|ready| ready.tasks.borrow_mut().pop_front())
}

pub(super) fn is_any_ready() -> bool {
    READY.with(|ready| !ready.tasks.borrow().is_empty())
}
