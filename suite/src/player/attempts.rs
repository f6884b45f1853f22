//! `how: polling`: try, and try again after all other tasks, until it does not have to wait any more.
//!
//! Never waits for a wake: the task is ready all the time.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::runtime::Runtime;

/// Repeats a call that returns `WouldBlock` instead of waiting.
pub(super) async fn attempts<R: Runtime, T>(
    mut attempt: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => R::step_aside().await,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Looks at a future again and again; its wakes are ignored.
pub(super) async fn looks<R: Runtime, T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(result) = polled {
            return result;
        }
        R::step_aside().await;
    }
}
