//! The plainest way to let others run: wake oneself, say "not yet" once. Knows no runtime.

use std::future::{Future, poll_fn};
use std::task::Poll;

pub fn yield_once() -> impl Future<Output = ()> + Send {
    let mut yielded = false;
    poll_fn(move |context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
}
