//! Waits for the events of a loop until a moment, to less than a millisecond.
//!
//! One timer is set when the moment changes. A timeout of each wait would cost a loop that waits
//! often much of its time, and epoll knows whole milliseconds only.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// The board cannot wake a loop, which therefore reads it this often when nothing else happens.
pub const LONGEST: Duration = Duration::from_millis(1);
/// No socket may have this token.
pub const TIMER: Token = Token(usize::MAX);

pub struct TimedPoll {
    poll: Poll,
    timer: OwnedFd,
    /// When the timer ends a wait.
    wakes_at: Instant,
}

impl TimedPoll {
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // Each of its ends is an edge of its own, so it is never read.
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        Ok(Self { poll, timer, wakes_at: Instant::now() })
    }

    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Waits until there are events, at most for `limit` and never longer than [`LONGEST`].
    pub fn wait(&mut self, events: &mut Events, limit: Duration) -> io::Result<()> {
        let now = Instant::now();
        // A look at what is there needs the timer now and then only.
        let room = if limit.is_zero() { LONGEST } else { limit.min(LONGEST) };
        if self.wakes_at <= now || self.wakes_at > now + room {
            let it_value = Timespec { tv_sec: 0, tv_nsec: room.as_nanos() as _ };
            let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
            let setting = Itimerspec { it_interval, it_value };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting)?;
            self.wakes_at = now + room;
        }
        match self.poll.poll(events, limit.is_zero().then_some(Duration::ZERO)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            waited => waited,
        }
    }
}

/// Those that are not the timer's.
pub fn of_sockets(events: &Events) -> impl Iterator<Item = &Event> {
    events.iter().filter(|event| event.token() != TIMER)
}

/// Whether the timer ended the wait, which it does often enough for what is to be done now and then.
pub fn timer_ended(events: &Events) -> bool {
    events.iter().any(|event| event.token() == TIMER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_in_time_again_and_again() {
        let mut poll = TimedPoll::new().unwrap();
        let mut events = Events::with_capacity(4);
        for limit_us in [200, 5_000, 0, 0, 300, 5_000] {
            let limit = Duration::from_micros(limit_us);
            let began = Instant::now();
            poll.wait(&mut events, limit).unwrap();
            assert_eq!(of_sockets(&events).count(), 0);
            if !limit.is_zero() {
                assert!(timer_ended(&events), "{limit:?}");
                assert!(began.elapsed() >= limit.min(LONGEST) / 2, "{limit:?}");
            }
        }
    }
}
