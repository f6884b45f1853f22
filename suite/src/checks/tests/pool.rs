//! The pool of the tiny executor: a thread for each job.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use super::executor::{Executor, lock};
use super::rule::Rule;

pub(super) async fn offload<T: Send + 'static>(
    executor: &Executor,
    job: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    if executor.is(Rule::JobsInTheLoop) {
        return Ok(job());
    }
    let done = Arc::new((Mutex::new((false, None)), Mutex::new(None::<Waker>)));
    let sender = Arc::clone(&done);
    thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(job)).ok();
        *lock(&sender.0) = (true, result);
        let waker = lock(&sender.1).take();
        waker.into_iter().for_each(Waker::wake);
    });
    let loses = executor.is(Rule::LosesPanickedJobs);
    poll_fn(move |context| {
        *lock(&done.1) = Some(context.waker().clone());
        let mut state = lock(&done.0);
        match (state.0, state.1.take()) {
            (true, Some(result)) => Poll::Ready(Ok(result)),
            (true, None) if !loses => Poll::Ready(Err(io::Error::other("the job panicked"))),
            _ => Poll::Pending,
        }
    })
    .await
}
