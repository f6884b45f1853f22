//! Two tasks that wake each other in turn: the smallest exchange between tasks.
//!
//! It uses nothing of the runtime but wakers. Never spins and never blocks.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

/// One of the two tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Opener = 0,
    Partner = 1,
}

/// The state that both tasks share.
#[derive(Default)]
pub(crate) struct Exchange {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Turns taken so far; even: the opener is next.
    turns: u64,
    waiting: [Option<Waker>; 2],
}

impl Exchange {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits for this side's turn and takes it. Returns the number of turns before it.
    fn take_turn(&self, side: Side) -> impl Future<Output = u64> + Send + '_ {
        poll_fn(move |context| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.turns % 2 != side as u64 {
                let waiting = &mut state.waiting[side as usize];
                if !waiting.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                    *waiting = Some(context.waker().clone());
                }
                return Poll::Pending;
            }
            let turns = state.turns;
            state.turns += 1;
            let other = state.waiting[1 - side as usize].take();
            // Unlock before waking, so that the other side finds the lock free.
            drop(state);
            if let Some(waker) = other {
                waker.wake();
            }
            Poll::Ready(turns)
        })
    }

    /// Takes `rounds` turns; an error names the turn that came out of order.
    pub(crate) async fn run(&self, side: Side, rounds: u32) -> Result<(), String> {
        for round in 0..u64::from(rounds) {
            let turns = self.take_turn(side).await;
            let expected = 2 * round + side as u64;
            if turns != expected {
                return Err(format!("turn {expected} of a ping-pong came as turn {turns}"));
            }
        }
        Ok(())
    }
}
