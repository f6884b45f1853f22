//! The executor: the tasks, and the loop that polls those that are ready.
//!
//! One thread polls, any thread may wake. It never sleeps while a task is ready, and never spins
//! while none is.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;

use super::pool::Pool;
use super::reactor::Reactor;
use super::timers::Timers;
use super::wakes::{Handle, Inbox, is_any_ready, next_ready};

/// Tasks polled before sockets and timers are checked again.
const BATCH: usize = 64;

pub(super) struct Executor {
    tasks: RefCell<Slab<Entry>>,
    inbox: Arc<Inbox>,
    reactor: Rc<Reactor>,
    timers: Rc<Timers>,
    pool: Arc<Pool>,
}

struct Entry {
    /// Taken out while it is polled.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    handle: Arc<Handle>,
    completion: Rc<Completion>,
}

impl Executor {
    /// An executor for this thread, which has no other.
    pub(super) fn new() -> io::Result<Self> {
        let reactor = Rc::new(Reactor::new()?);
        let inbox = Inbox::open(reactor.doorbell()?);
        Ok(Self {
            tasks: RefCell::default(),
            inbox,
            reactor,
            timers: Rc::default(),
            pool: Arc::default(),
        })
    }

    pub(super) fn reactor(&self) -> &Rc<Reactor> {
        &self.reactor
    }

    pub(super) fn timers(&self) -> &Rc<Timers> {
        &self.timers
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(super) fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Rc<Completion> {
        let mut tasks = self.tasks.borrow_mut();
        let entry = tasks.vacant_entry();
        let handle = Handle::ready(entry.key(), &self.inbox);
        let completion = Rc::<Completion>::default();
        entry.insert(Entry {
            future: Some(Box::pin(future)),
            handle,
            completion: Rc::clone(&completion),
        });
        completion
    }

    /// Runs all tasks until this one has ended; then drops the others.
    pub(super) fn run_until(&self, last: &Completion) -> io::Result<()> {
        // After a panic of a task this thread may run another executor.
        let ran = catch_unwind(AssertUnwindSafe(|| self.run(last)));
        // A task that is dropped here may drop a handle on the executor, or wake another.
        drop(self.tasks.take());
        self.inbox.close();
        ran.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn run(&self, last: &Completion) -> io::Result<()> {
        loop {
            let is_idle = self.poll_batch();
            if last.is_done.get() {
                return Ok(());
            }
            let patience = if is_idle && self.inbox.let_executor_sleep() {
                self.timers.patience()
            } else {
                Some(Duration::ZERO)
            };
            self.reactor.wait(patience)?;
            self.inbox.empty();
            self.timers.wake_due();
        }
    }

    /// Polls some of the ready tasks; returns whether these were all.
    fn poll_batch(&self) -> bool {
        for _ in 0..BATCH {
            let Some(handle) = next_ready() else {
                return true;
            };
            self.poll_task(handle);
        }
        !is_any_ready()
    }

    fn poll_task(&self, handle: Arc<Handle>) {
        let key = handle.key();
        let Some(mut future) = self.take_future(&handle) else {
            return; // woken in its last poll, or after it
        };
        handle.begin_poll();
        self.reactor.begin_poll();
        let waker = Waker::from(handle);
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.tasks.borrow_mut()[key].future = Some(future);
        } else {
            let entry = self.tasks.borrow_mut().remove(key);
            // Drop the task's state before joiners are notified.
            drop(future);
            entry.completion.finish();
        }
    }

    /// Takes the future of a task, unless the task has ended and its key belongs to another.
    fn take_future(&self, handle: &Arc<Handle>) -> Option<Pin<Box<dyn Future<Output = ()>>>> {
        let mut tasks = self.tasks.borrow_mut();
        let entry = tasks.get_mut(handle.key())?;
        if Arc::ptr_eq(&entry.handle, handle) { entry.future.take() } else { None }
    }
}

/// Whether a task has ended, and the wakers that wait for it.
#[derive(Default)]
pub(super) struct Completion {
    is_done: Cell<bool>,
    waiting: Cell<Option<Waker>>,
}

impl Completion {
    fn finish(&self) {
        self.is_done.set(true);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    pub(super) fn wait(&self) -> impl Future<Output = ()> {
        poll_fn(|context| {
            if self.is_done.get() {
                return Poll::Ready(());
            }
            self.waiting.set(Some(context.waker().clone()));
            Poll::Pending
        })
    }
}

#[cfg(test)]
impl Executor {
    /// Lets a test that waits in vain fail, where it would hang.
    pub(super) fn fail_when_stuck(&self) {
        let sleep = self.timers.sleep(Duration::from_secs(60));
        self.spawn(async {
            sleep.await;
            panic!("the executor sleeps, and nothing will wake it");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::thread;

    fn run<F: Future<Output = ()> + 'static>(future: impl FnOnce(&Rc<Executor>) -> F) {
        let executor = Rc::new(Executor::new().unwrap());
        executor.fail_when_stuck();
        let root = executor.spawn(future(&executor));
        executor.run_until(&root).unwrap();
        assert!(root.is_done.get());
    }

    async fn yield_once() {
        quadrant_suite::runtime::yield_once().await;
    }

    #[test]
    fn a_task_woken_in_its_own_poll_is_polled_again_and_only_once() {
        let polls = Rc::new(Cell::new(0));
        let seen = Rc::clone(&polls);
        run(|_| {
            poll_fn(move |context| {
                seen.set(seen.get() + 1);
                for _ in 0..3 {
                    context.waker().wake_by_ref();
                }
                if seen.get() == 1_000 { Poll::Ready(()) } else { Poll::Pending }
            })
        });
        assert_eq!(polls.get(), 1_000);
    }

    #[test]
    fn a_hundred_thousand_tasks_end_and_are_joined() {
        let ended = Rc::new(Cell::new(0));
        let count = Rc::clone(&ended);
        run(|executor| {
            let executor = Rc::clone(executor);
            async move {
                let task = || {
                    let count = Rc::clone(&count);
                    async move {
                        yield_once().await;
                        count.set(count.get() + 1);
                    }
                };
                let joins: Vec<_> = (0..100_000).map(|_| executor.spawn(task())).collect();
                for join in joins {
                    join.wait().await;
                }
                let (itself, watchman) = (1, 1);
                assert_eq!(executor.tasks.borrow().len(), itself + watchman);
            }
        });
        assert_eq!(ended.get(), 100_000);
    }

    /// Every round is one chance to lose a wake: the other thread answers at once, or so late
    /// that the executor sleeps, or anywhere between.
    #[test]
    fn no_wake_from_another_thread_is_lost() {
        const ROUNDS: u64 = 20_000;
        let (sender, wakers) = mpsc::channel::<Waker>();
        let answered = Arc::new(AtomicU64::new(0));
        let answers = Arc::clone(&answered);
        let other = thread::spawn(move || {
            for (round, waker) in wakers.iter().enumerate() {
                for _ in 0..round % 97 * 20 {
                    std::hint::spin_loop();
                }
                answers.fetch_add(1, Ordering::Relaxed);
                waker.wake();
            }
        });
        run(|_| async move {
            for round in 1..=ROUNDS {
                let mut sent = false;
                poll_fn(|context| {
                    if !sent {
                        sent = true;
                        sender.send(context.waker().clone()).unwrap();
                    }
                    // Even this relaxed look sees what was written before the wake.
                    if answered.load(Ordering::Relaxed) == round {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
            }
        });
        other.join().unwrap();
    }

    #[test]
    fn many_threads_may_wake_one_task_at_once() {
        let count = Arc::new(AtomicU64::new(0));
        run(|_| async move {
            let mut threads = Vec::new();
            poll_fn(|context| {
                while threads.len() < 4 {
                    let (waker, count) = (context.waker().clone(), Arc::clone(&count));
                    threads.push(thread::spawn(move || {
                        for _ in 0..10_000 {
                            count.fetch_add(1, Ordering::Relaxed);
                            waker.wake_by_ref();
                        }
                    }));
                }
                if count.load(Ordering::Relaxed) == 40_000 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }

    #[test]
    fn the_waker_of_an_ended_task_does_not_wake_its_successor() {
        let polls = Rc::new(Cell::new(0));
        let seen = Rc::clone(&polls);
        run(|executor| {
            let executor = Rc::clone(executor);
            async move {
                let stale = Rc::new(RefCell::new(None));
                let leave = Rc::clone(&stale);
                let first = executor.spawn(poll_fn(move |context| {
                    *leave.borrow_mut() = Some(context.waker().clone());
                    Poll::Ready(())
                }));
                first.wait().await;
                let second = executor.spawn(poll_fn(move |_| {
                    seen.set(seen.get() + 1);
                    Poll::<()>::Pending
                }));
                for _ in 0..10 {
                    stale.borrow().iter().for_each(Waker::wake_by_ref);
                    yield_once().await;
                }
                assert!(!second.is_done.get());
            }
        });
        assert_eq!(polls.get(), 1);
    }

    #[test]
    fn a_task_that_is_always_ready_does_not_hold_up_timers() {
        run(|executor| {
            let busy = async {
                loop {
                    yield_once().await;
                }
            };
            executor.spawn(busy);
            let timers = Rc::clone(executor.timers());
            async move { timers.sleep(Duration::from_millis(5)).await }
        });
    }

    #[test]
    fn what_still_runs_at_the_end_is_dropped() {
        let held = Rc::new(());
        let hold = Rc::clone(&held);
        run(|executor| {
            executor.spawn(async move {
                let _hold = hold;
                std::future::pending::<()>().await;
            });
            yield_once()
        });
        assert_eq!(Rc::strong_count(&held), 1);
    }
}
