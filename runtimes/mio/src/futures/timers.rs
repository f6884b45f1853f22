//! Timers, ordered by deadline. Never reads the clock while no task sleeps.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Replaces a deadline beyond the clock's range.
const EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

#[derive(Default)]
pub(super) struct Timers {
    sleeping: RefCell<BTreeMap<Alarm, Waker>>,
    set: Cell<u64>,
}

/// A deadline, and a number that makes equal deadlines distinct.
type Alarm = (Instant, u64);

impl Timers {
    pub(super) fn sleep(self: &Rc<Self>, time: Duration) -> Sleep {
        let now = Instant::now();
        let deadline = now.checked_add(time).unwrap_or_else(|| now + EVER);
        Sleep { timers: Rc::clone(self), deadline, alarm: None }
    }

    /// How long the executor may wait for events.
    pub(super) fn patience(&self) -> Option<Duration> {
        let sleeping = self.sleeping.borrow();
        let (&(deadline, _), _) = sleeping.first_key_value()?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Wakes expired timers in the order of their deadlines.
    pub(super) fn wake_due(&self) {
        if !self.sleeping.borrow().is_empty() {
            self.wake_until(Instant::now());
        }
    }

    fn wake_until(&self, now: Instant) {
        let mut sleeping = self.sleeping.borrow_mut();
        while let Some(first) = sleeping.first_entry().filter(|first| first.key().0 <= now) {
            first.remove().wake();
        }
    }
}

/// A future that ends at its deadline. Dropping it removes the timer.
pub(super) struct Sleep {
    timers: Rc<Timers>,
    deadline: Instant,
    alarm: Option<Alarm>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(alarm) = self.alarm {
            return match self.timers.sleeping.borrow_mut().get_mut(&alarm) {
                Some(waker) => {
                    waker.clone_from(context.waker());
                    Poll::Pending
                }
                // The timer has expired.
                None => Poll::Ready(()),
            };
        }
        if self.deadline <= Instant::now() {
            return Poll::Ready(());
        }
        let alarm = (self.deadline, self.timers.set.get());
        self.timers.set.set(alarm.1 + 1);
        self.timers.sleeping.borrow_mut().insert(alarm, context.waker().clone());
        self.alarm = Some(alarm);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(alarm) = self.alarm {
            self.timers.sleeping.borrow_mut().remove(&alarm);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::task::Wake;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Wakers that write down who was woken, and timers for them to wait for.
    #[derive(Default)]
    struct Bedroom {
        timers: Rc<Timers>,
        woken: Arc<Mutex<Vec<u32>>>,
    }

    struct Sleeper(u32, Arc<Mutex<Vec<u32>>>);

    impl Wake for Sleeper {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    impl Bedroom {
        fn poll(&self, sleep: &mut Sleep, sleeper: u32) -> Poll<()> {
            let waker = Waker::from(Arc::new(Sleeper(sleeper, Arc::clone(&self.woken))));
            Pin::new(sleep).poll(&mut Context::from_waker(&waker))
        }

        fn sleep(&self, deadline: Instant, sleeper: u32) -> Sleep {
            let mut sleep = Sleep { timers: Rc::clone(&self.timers), deadline, alarm: None };
            assert!(self.poll(&mut sleep, sleeper).is_pending());
            sleep
        }

        #[track_caller]
        fn assert_woken(&self, sleepers: &[u32]) {
            assert_eq!(*self.woken.lock().unwrap(), sleepers);
        }
    }

    #[test]
    fn alarms_ring_in_the_order_of_their_deadlines_and_not_before() {
        let room = Bedroom::default();
        let now = Instant::now();
        let mut sleeps = [7, 3, 9, 1, 5].map(|hours| room.sleep(now + hours * HOUR, hours));
        room.timers.wake_until(now + 5 * HOUR);
        room.assert_woken(&[1, 3, 5]);
        assert!(room.poll(&mut sleeps[1], 3).is_ready());
        assert!(room.poll(&mut sleeps[0], 7).is_pending());
        room.timers.wake_until(now + 10 * HOUR);
        room.assert_woken(&[1, 3, 5, 7, 9]);
        assert_eq!(room.timers.patience(), None);
    }

    #[test]
    fn equal_deadlines_do_not_displace_each_other() {
        let room = Bedroom::default();
        let deadline = Instant::now() + HOUR;
        let _sleeps: Vec<_> = (0..5).map(|sleeper| room.sleep(deadline, sleeper)).collect();
        room.timers.wake_until(deadline);
        room.assert_woken(&[0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_dropped_sleep_leaves_nothing_behind() {
        let room = Bedroom::default();
        let deadline = Instant::now() + HOUR;
        let sleep = room.sleep(deadline, 1);
        assert!(room.timers.patience().is_some());
        drop(sleep);
        assert_eq!(room.timers.patience(), None);
        room.timers.wake_until(deadline);
        room.assert_woken(&[]);
    }

    #[test]
    fn the_waker_of_the_latest_poll_is_the_one_that_rings() {
        let room = Bedroom::default();
        let deadline = Instant::now() + HOUR;
        let mut sleep = room.sleep(deadline, 1);
        assert!(room.poll(&mut sleep, 2).is_pending());
        room.timers.wake_until(deadline);
        room.assert_woken(&[2]);
    }

    #[test]
    fn nobody_waits_for_no_time_and_the_longest_sleep_has_a_deadline() {
        let room = Bedroom::default();
        assert!(room.poll(&mut room.timers.sleep(Duration::ZERO), 1).is_ready());
        assert!(room.poll(&mut room.timers.sleep(Duration::MAX), 2).is_pending());
    }
}
