//! The pool for blocking work: threads start when jobs wait and end when idle. It uses nothing of
//! the executor but wakers.

use std::any::Any;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

const THREADS_MAX: usize = 64;
/// Idle time after which a thread ends.
const IDLE_MAX: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Waiting threads, including those that have been notified of a job.
    idle: usize,
}

impl Pool {
    /// Runs `job` on a thread of the pool; dropping the future does not stop it.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let errand = Arc::new(Errand::default());
        let answer = Arc::clone(&errand);
        self.submit(Box::new(move || {
            answer.finish(catch_unwind(AssertUnwindSafe(job)));
        }))?;
        errand.result().await.map_err(|_| io::Error::other("the job panicked"))
    }

    fn submit(self: &Arc<Self>, job: Job) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.jobs.push_back(job);
        if state.jobs.len() <= state.idle {
            drop(state);
            self.work.notify_one();
        } else if state.threads < THREADS_MAX {
            let pool = Arc::clone(self);
            match thread::Builder::new().name("offloaded".to_owned()).spawn(move || pool.serve()) {
                Ok(_) => state.threads += 1,
                // Without any thread the job would never run.
                Err(error) if state.threads == 0 => {
                    state.jobs.pop_back();
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// The loop of a thread.
    fn serve(&self) {
        let mut state = lock(&self.state);
        loop {
            while let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = lock(&self.state);
            }
            state.idle += 1;
            let (woken, patience) = self
                .work
                .wait_timeout_while(state, IDLE_MAX, |state| state.jobs.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if patience.timed_out() {
                state.threads -= 1;
                return;
            }
        }
    }
}

/// One job's result, and the task that waits for it.
struct Errand<T> {
    state: Mutex<(Option<thread::Result<T>>, Option<Waker>)>,
}

impl<T> Default for Errand<T> {
    fn default() -> Self {
        Self { state: Mutex::new((None, None)) }
    }
}

impl<T> Errand<T> {
    fn finish(&self, result: Result<T, Box<dyn Any + Send>>) {
        let mut state = lock(&self.state);
        state.0 = Some(result);
        let waiting = state.1.take();
        drop(state);
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    fn result(&self) -> impl Future<Output = thread::Result<T>> {
        poll_fn(|context| {
            let mut state = lock(&self.state);
            match state.0.take() {
                Some(result) => Poll::Ready(result),
                None => {
                    state.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
    }
}

/// No job runs under a lock, so the data behind a poisoned one is complete.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::task::Context;

    use quadrant_suite::block_on::block_on;

    /// Submits all jobs before the first result is awaited.
    fn run_together<T: Send + 'static>(
        pool: &Arc<Pool>,
        jobs: impl IntoIterator<Item = impl FnOnce() -> T + Send + 'static>,
    ) -> Vec<io::Result<T>> {
        let mut running: Vec<_> = jobs.into_iter().map(|job| Box::pin(pool.run(job))).collect();
        let mut context = Context::from_waker(Waker::noop());
        let early: Vec<_> = running.iter_mut().map(|job| job.as_mut().poll(&mut context)).collect();
        running
            .into_iter()
            .zip(early)
            .map(|(job, early)| match early {
                Poll::Ready(result) => result,
                Poll::Pending => block_on(job),
            })
            .collect()
    }

    #[test]
    fn jobs_that_wait_for_each_other_run_at_once() {
        let pool = Arc::<Pool>::default();
        for _ in 0..20 {
            let barrier = Arc::new(Barrier::new(THREADS_MAX));
            let jobs = (0..THREADS_MAX).map(|number| {
                let barrier = Arc::clone(&barrier);
                move || {
                    barrier.wait();
                    number
                }
            });
            let results = run_together(&pool, jobs);
            for (number, result) in results.into_iter().enumerate() {
                assert_eq!(result.unwrap(), number);
            }
        }
        assert_eq!(lock(&pool.state).threads, THREADS_MAX);
    }

    #[test]
    fn more_jobs_than_threads_are_all_done() {
        let pool = Arc::<Pool>::default();
        let jobs = (0..THREADS_MAX * 10).map(|number| {
            move || {
                thread::sleep(Duration::from_millis(1));
                number
            }
        });
        let results = run_together(&pool, jobs);
        assert!(results.into_iter().enumerate().all(|(number, seen)| seen.unwrap() == number));
        assert!(lock(&pool.state).threads <= THREADS_MAX);
    }

    #[test]
    fn a_panic_is_the_error_of_its_own_job() {
        let pool = Arc::<Pool>::default();
        block_on(pool.run(|| panic!("on purpose"))).unwrap_err();
        assert_eq!(block_on(pool.run(|| 7)).unwrap(), 7);
    }

    #[test]
    fn one_thread_suffices_for_jobs_one_after_the_other() {
        let pool = Arc::<Pool>::default();
        for number in 0..100 {
            assert_eq!(block_on(pool.run(move || number)).unwrap(), number);
            // The thread is back in its queue a moment after its job has been answered.
            while lock(&pool.state).idle == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(lock(&pool.state).threads, 1);
    }
}
