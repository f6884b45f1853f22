//! The steps that drop work before its end: `timeout` and `race`.
//!
//! The work runs in the task of the step, so dropping its future is all there is to cancelling it:
//! nothing is spawned, and no step of it can run later. Never used where calls block.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use super::{Ending, Player};
use crate::runtime::Runtime;

/// Counts the futures of cancellable work that have begun and were not dropped yet.
#[derive(Default)]
struct Alive(AtomicU32);

/// One of them.
struct Counted<'a>(&'a Alive);

impl Alive {
    /// The same work, counted from its first poll until it is dropped.
    async fn counting<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.fetch_add(1, Ordering::AcqRel);
        let _counted = Counted(self);
        work.await
    }

    /// To be called when all of it was to be dropped.
    fn check_gone(&self, step: &str) -> Result<(), Ending> {
        match self.0.load(Ordering::Acquire) {
            0 => Ok(()),
            left => Err(Ending::WrongAnswer(format!(
                "{step}: {left} cancelled programs were still there afterwards"
            ))),
        }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<R: Runtime> Player<R> {
    /// Runs a program, and drops it if it has not ended after this time.
    pub(super) async fn timeout(
        &mut self,
        time: Duration,
        program: usize,
        row: usize,
    ) -> Result<(), Ending> {
        let mut inner = self.inner();
        let alive = Alive::default();
        let ended = {
            let mut work = Box::pin(alive.counting(inner.play(program, false)));
            let mut limit = pin!(self.runtime.sleep(time));
            poll_fn(|context| {
                if let Poll::Ready(ended) = work.as_mut().poll(context) {
                    return Poll::Ready(Some(ended));
                }
                limit.as_mut().poll(context).map(|()| None)
            })
            .await
        };
        self.files_read = inner.files_read;
        alive.check_gone("timeout")?;
        ended.unwrap_or_else(|| {
            self.scene.count_cancelled(row, 1);
            Ok(())
        })
    }

    /// Runs all programs until one has ended, and drops the others. They are polled in their order,
    /// so the first of several that end at once wins.
    pub(super) async fn race(&mut self, programs: &[usize], row: usize) -> Result<(), Ending> {
        let mut inner: Vec<Self> = programs.iter().map(|_| self.inner()).collect();
        let alive = Alive::default();
        let ended = {
            let both = inner.iter_mut().zip(programs);
            let mut running: Vec<_> = both
                .map(|(inner, program)| Box::pin(alive.counting(inner.play(*program, false))))
                .collect();
            poll_fn(|context| {
                for work in &mut running {
                    if let Poll::Ready(ended) = work.as_mut().poll(context) {
                        return Poll::Ready(ended);
                    }
                }
                Poll::Pending
            })
            .await
        };
        let files_read = inner.iter().map(|inner| inner.files_read).max();
        self.files_read = files_read.unwrap_or(self.files_read);
        alive.check_gone("race")?;
        self.scene.count_cancelled(row, programs.len() as u64 - 1);
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::mem::forget;
    use std::task::{Context, Waker};

    #[test]
    fn only_work_that_was_dropped_is_gone() {
        let mut context = Context::from_waker(Waker::noop());
        let alive = Alive::default();
        let mut work = Box::pin(alive.counting(pending::<()>()));
        assert!(alive.check_gone("timeout").is_ok());
        assert!(work.as_mut().poll(&mut context).is_pending());
        assert!(alive.check_gone("timeout").is_err());
        drop(work);
        assert!(alive.check_gone("timeout").is_ok());
        let mut ended = Box::pin(alive.counting(ready(7)));
        assert_eq!(ended.as_mut().poll(&mut context), Poll::Ready(7));
        assert!(alive.check_gone("timeout").is_ok());
        let mut kept = Box::pin(alive.counting(pending::<()>()));
        assert!(kept.as_mut().poll(&mut context).is_pending());
        forget(kept);
        assert!(alive.check_gone("timeout").is_err());
    }
}
