//! The pool of the tiny executor: a thread for each job.

use std::future::{pending, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use super::executor::{Executor, lock};
use super::rule::Rule;

pub(super) async fn offload<T: Send + 'static>(
    executor: &Arc<Executor>,
    job: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    if executor.is(Rule::JobsInTheLoop) {
        return Ok(job());
    }
    let running = executor.jobs_running.load(SeqCst);
    if executor.is(Rule::LosesJobsBeyondACap) && running >= 8 {
        return pending().await;
    }
    executor.jobs_running.fetch_add(1, SeqCst);
    let number = executor.jobs.fetch_add(1, SeqCst);
    let done = Arc::new((Mutex::new((false, None)), Mutex::new(None::<Waker>)));
    let (sender, pool) = (Arc::clone(&done), Arc::clone(executor));
    let work = move || {
        // As if it was in the queue of a thread that is busy with another job.
        let is_behind = pool.is(Rule::GivesTwoJobsToOneThread) && number % 7 == 6;
        while is_behind && pool.jobs_running.load(SeqCst) > 1 {
            thread::sleep(Duration::from_millis(1));
        }
        let result = catch_unwind(AssertUnwindSafe(job)).ok();
        *lock(&sender.0) = (true, result);
        pool.jobs_running.fetch_sub(1, SeqCst);
        let waker = lock(&sender.1).take();
        waker.into_iter().for_each(Waker::wake);
    };
    if let Err(error) = thread::Builder::new().spawn(work) {
        executor.jobs_running.fetch_sub(1, SeqCst);
        return if executor.is(Rule::HangsWithoutThreads) { pending().await } else { Err(error) };
    }
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
