//! A ball that two tasks pass to each other: the smallest conversation between tasks.
//!
//! It needs nothing of a runtime but that a waker wakes. Never spins and never blocks.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

/// Which of the two players.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Opener = 0,
    Partner = 1,
}

/// The table between them.
#[derive(Default)]
pub(crate) struct Table {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How often the ball was played; whose turn it is follows from it.
    hits: u64,
    waiting: [Option<Waker>; 2],
}

impl Table {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits for the ball and plays it back. Answers with the number of hits there were.
    fn play(&self, side: Side) -> impl Future<Output = u64> + Send + '_ {
        poll_fn(move |context| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.hits % 2 != side as u64 {
                let waiting = &mut state.waiting[side as usize];
                if !waiting.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                    *waiting = Some(context.waker().clone());
                }
                return Poll::Pending;
            }
            let hits = state.hits;
            state.hits += 1;
            let other = state.waiting[1 - side as usize].take();
            // The other side must be able to take the lock at once.
            drop(state);
            if let Some(waker) = other {
                waker.wake();
            }
            Poll::Ready(hits)
        })
    }

    /// Plays `rounds` balls; an error says which ball came out of turn.
    pub(crate) async fn rally(&self, side: Side, rounds: u32) -> Result<(), String> {
        for round in 0..u64::from(rounds) {
            let hits = self.play(side).await;
            let expected = 2 * round + side as u64;
            if hits != expected {
                return Err(format!("ball {expected} of a ping-pong arrived as ball {hits}"));
            }
        }
        Ok(())
    }
}
