//! The pings of a trial that has a load: the driver sends them, because it is awake anyway.
//!
//! They go out while the window is open, on a schedule of their own, and a timer wakes the driver
//! for them. One more goes out before the trial, and has to be answered: that shows that pings get
//! through.

use std::net::TcpStream;
use std::os::fd::FromRawFd;
use std::time::{Duration, Instant};

use anyhow::ensure;
use mio::{Poll, Token};
use quadrant_suite::board::Board;
use quadrant_suite::clock::{ClockScale, Stamp};

use super::order::Order;
use crate::driver::pacer::{LONGEST_GAP, Pacer, send_ping};

/// While answers are waited for, a trial's overhead is made of these.
const LOOK_EVERY: Duration = Duration::from_micros(200);
/// The event of the timer; no connection has it.
pub(super) const TOKEN: Token = Token(usize::MAX);

pub(super) struct Pings<'a> {
    board: &'a Board,
    clock: ClockScale,
    pacer: Pacer,
    controls: Vec<TcpStream>,
    timer: timer::Timer,
    /// When the next one is due; never, without a connection to send it on.
    due: Stamp,
    /// The latest time that was looked at the schedule.
    looked_at: Stamp,
    pause_ticks: u64,
}

impl<'a> Pings<'a> {
    /// Takes over the connections that the order names, and tries each of them. To be called before
    /// the load's connections are opened: a subject may hold its loop until they bring requests.
    #[allow(unsafe_code)]
    pub(super) fn take(board: &'a Board, order: &Order, poll: &Poll) -> anyhow::Result<Self> {
        let mut controls: Vec<TcpStream> = order
            .ping_fds
            .iter()
            // SAFETY: the harness opened these for this process alone, which takes them here and
            // nowhere else.
            .map(|fd| unsafe { TcpStream::from_raw_fd(*fd) })
            .collect();
        send_ping(&mut controls);
        wait_for_answers(board, controls.len(), Duration::from_nanos(order.connect_limit_ns))?;
        Ok(Self {
            board,
            clock: order.clock,
            pacer: Pacer::new(order.seed),
            timer: timer::Timer::new(poll)?,
            due: if controls.is_empty() { Stamp::MAX } else { 0 },
            controls,
            looked_at: Stamp::MAX,
            pause_ticks: order.clock.ticks(LONGEST_GAP.as_nanos() as u64),
        })
    }

    /// To be called whenever the time is known, and after every wait.
    #[inline]
    pub(super) fn at(&mut self, now: Stamp) {
        let pause = now.saturating_sub(self.looked_at);
        self.looked_at = now;
        if pause > self.pause_ticks && self.due > 0 {
            self.let_pass(now, pause);
        }
        if now >= self.due && self.board.is_measuring() {
            self.send(now);
        }
    }

    /// This process was frozen, as a rule together with the subject: the subject is to get as many
    /// pings in the time that it runs as ever.
    #[cold]
    fn let_pass(&mut self, now: Stamp, pause: u64) {
        self.pacer.let_pass(Duration::from_nanos(self.clock.ns(pause)));
        self.due = self.due.saturating_add(pause);
        self.timer.set(Duration::from_nanos(self.clock.ns_between(now, self.due)));
    }

    #[cold]
    fn send(&mut self, now: Stamp) {
        let left = self.pacer.ping(&mut self.controls);
        self.due = now + self.clock.ticks(left.as_nanos() as u64);
        self.timer.set(left);
    }
}

/// How long they take is not judged.
fn wait_for_answers(board: &Board, pings: usize, limit: Duration) -> anyhow::Result<()> {
    let began = Instant::now();
    while (board.canary_pings() as usize) < pings {
        ensure!(
            began.elapsed() < limit,
            "a ping sent before the trial was not answered within {} s: no pings could be measured",
            limit.as_secs()
        );
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

#[cfg(target_os = "linux")]
mod timer {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::time::Duration;

    use mio::unix::SourceFd;
    use mio::{Interest, Poll};
    use rustix::event::Timespec;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create,
        timerfd_settime,
    };

    /// Wakes a wait up once, at a time that epoll's own timeout, in milliseconds, cannot keep.
    pub(super) struct Timer(OwnedFd);

    impl Timer {
        pub(super) fn new(poll: &Poll) -> io::Result<Self> {
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            let mut source = SourceFd(&timer.as_raw_fd());
            poll.registry().register(&mut source, super::TOKEN, Interest::READABLE)?;
            Ok(Self(timer))
        }

        /// It need not be read: to set it begins a new edge.
        pub(super) fn set(&self, left: Duration) {
            let never = Timespec { tv_sec: 0, tv_nsec: 0 };
            // Zero would stop it.
            let left = left.max(Duration::from_nanos(1));
            let it_value =
                Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() };
            let setting = Itimerspec { it_interval: never, it_value };
            // Without it the driver wakes up every millisecond all the same.
            let _ = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &setting);
        }
    }
}

/// Elsewhere a ping may be as late as the driver's next look at the board: a millisecond.
#[cfg(not(target_os = "linux"))]
mod timer {
    use std::io;
    use std::time::Duration;

    use mio::Poll;

    pub(super) struct Timer;

    impl Timer {
        pub(super) fn new(_poll: &Poll) -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) fn set(&self, _left: Duration) {}
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_timer_wakes_a_wait_each_time_it_is_set() {
        let mut poll = Poll::new().unwrap();
        let timer = timer::Timer::new(&poll).unwrap();
        let mut events = mio::Events::with_capacity(4);
        for left in [1, 0, 2, 1] {
            timer.set(Duration::from_millis(left));
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            let tokens: Vec<Token> = events.iter().map(|event| event.token()).collect();
            assert_eq!(tokens, [TOKEN]);
        }
    }
}
