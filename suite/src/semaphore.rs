//! A semaphore for tasks on any threads: permits are given in the order in which they were asked for.
//!
//! Never blocks a thread: a task waits by its waker.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

pub(crate) struct Semaphore(Mutex<State>);

struct State {
    free: u32,
    /// Those that wait, the longest first.
    waiting: VecDeque<(u64, Waker)>,
    /// Those that were given a permit and have not noticed it yet.
    granted: Vec<u64>,
    tickets: u64,
}

/// Gives its permit back when it is dropped.
pub(crate) struct Permit(&'static Semaphore);

/// The wait for a permit. A type with a name, of a semaphore that lives as long as the process: the
/// compiler can prove a future `Send` that holds it, but not one that holds a borrow.
pub(crate) struct Acquire {
    semaphore: &'static Semaphore,
    ticket: Option<Ticket>,
}

/// A place in the queue, which is given up when it is dropped.
struct Ticket {
    semaphore: &'static Semaphore,
    number: u64,
}

impl Semaphore {
    pub(crate) fn new(permits: u32) -> Self {
        let (waiting, granted) = (VecDeque::new(), Vec::new());
        Self(Mutex::new(State { free: permits, waiting, granted, tickets: 0 }))
    }

    /// Waits for a permit.
    pub(crate) fn acquire(&'static self) -> Acquire {
        Acquire { semaphore: self, ticket: None }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A permit goes to the task that has waited longest: it is free only if none waits.
    fn release(&self) {
        let mut state = self.state();
        let Some((number, waker)) = state.waiting.pop_front() else {
            state.free += 1;
            return;
        };
        state.granted.push(number);
        drop(state);
        waker.wake();
    }
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let semaphore = self.semaphore;
        let mut state = semaphore.state();
        let Some(Ticket { number, .. }) = self.ticket else {
            if state.free > 0 {
                state.free -= 1;
                return Poll::Ready(Permit(semaphore));
            }
            state.tickets += 1;
            let number = state.tickets;
            state.waiting.push_back((number, context.waker().clone()));
            self.ticket = Some(Ticket { semaphore, number });
            return Poll::Pending;
        };
        if let Some(at) = state.granted.iter().position(|it| *it == number) {
            state.granted.swap_remove(at);
            // The permit takes its place.
            std::mem::forget(self.ticket.take());
            return Poll::Ready(Permit(semaphore));
        }
        if let Some((_, waker)) = state.waiting.iter_mut().find(|(it, _)| *it == number) {
            waker.clone_from(context.waker());
        }
        Poll::Pending
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.semaphore.state();
        state.waiting.retain(|(number, _)| *number != self.number);
        let granted = state.granted.iter().position(|number| *number == self.number);
        if let Some(at) = granted {
            state.granted.swap_remove(at);
            drop(state);
            self.semaphore.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::task::Wake;

    use crate::block_on::block_on;

    fn leaked(permits: u32) -> &'static Semaphore {
        Box::leak(Box::new(Semaphore::new(permits)))
    }

    #[derive(Default)]
    struct Wakes(AtomicU32);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn permits_come_in_the_order_of_asking() {
        let wakes: [Arc<Wakes>; 3] = Default::default();
        let wakers = wakes.clone().map(Waker::from);
        let semaphore = leaked(1);
        let mut all = [0, 1, 2].map(|_| Box::pin(semaphore.acquire()));
        let mut poll =
            |index: usize| all[index].as_mut().poll(&mut Context::from_waker(&wakers[index]));
        let Poll::Ready(first) = poll(0) else { panic!("one was free") };
        assert!(poll(1).is_pending() && poll(2).is_pending());
        drop(first);
        assert_eq!(wakes.each_ref().map(|it| it.0.load(SeqCst)), [0, 1, 0]);
        // It was not free in between.
        assert!(pin!(semaphore.acquire()).poll(&mut Context::from_waker(&wakers[0])).is_pending());
        assert!(poll(2).is_pending());
        let Poll::Ready(second) = poll(1) else { panic!("it is its turn") };
        drop(second);
        assert!(poll(2).is_ready());
        assert_eq!(semaphore.state().free, 1);
    }

    #[test]
    fn a_cancelled_wait_gives_its_turn_to_the_next() {
        let context = &mut Context::from_waker(Waker::noop());
        let semaphore = leaked(1);
        let Poll::Ready(permit) = pin!(semaphore.acquire()).poll(context) else { panic!("free") };
        let mut gone = Box::pin(semaphore.acquire());
        let mut granted = Box::pin(semaphore.acquire());
        let mut last = Box::pin(semaphore.acquire());
        for wait in [&mut gone, &mut granted, &mut last] {
            assert!(wait.as_mut().poll(context).is_pending());
        }
        drop(gone);
        drop(permit);
        drop(granted);
        assert!(last.as_mut().poll(context).is_ready());
        assert_eq!(semaphore.state().free, 1);
    }

    #[test]
    fn never_more_are_in_use_than_there_are() {
        const PERMITS: u32 = 3;
        let semaphore = leaked(PERMITS);
        let (used, most) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let permit = block_on(semaphore.acquire());
                        most.fetch_max(used.fetch_add(1, SeqCst) + 1, SeqCst);
                        std::thread::yield_now();
                        used.fetch_sub(1, SeqCst);
                        drop(permit);
                    }
                });
            }
        });
        assert!((1..=PERMITS).contains(&most.load(SeqCst)));
        assert_eq!(semaphore.state().free, PERMITS);
    }
}
