//! The driver's beat: a stamp on the board, again and again, so that a subject's loop under load
//! knows without asking the clock that little time has gone by.
//!
//! It comes several times a millisecond. A driver that does not get its CPU cannot promise that, and
//! takes it away for a while: then the loops ask the clock.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use mio::{Poll, Token};
use quadrant_suite::board::{BEAT_AGE_MAX_NS, Board, NO_BEAT};
use quadrant_suite::clock::{ClockScale, Stamp};

use crate::machine::run_queue::RunQueue;
use crate::pacer::LATENESS;

/// No event of a connection has it.
pub(super) const TOKEN: Token = Token(usize::MAX);
/// Each beat costs every loop of the subject a look into another CPU's cache.
pub const EVERY: Duration = Duration::from_micros(200);
/// A driver with nothing else to do is woken up this often, for its pings as well.
const WAKE_EVERY: Duration = LATENESS;
/// A driver that had to wait for its CPU for too long between two of them will have to again.
const SILENCE_NS: u64 = 100_000_000;

pub(super) struct Beat<'a> {
    board: &'a Board,
    clock: ClockScale,
    every: u64,
    last: Stamp,
    queue: RunQueue,
    waited_ns: u64,
    silent_until: Stamp,
    /// Kept open; none where nothing wakes the driver up, so that it promises nothing.
    timer: Option<OwnedFd>,
}

impl<'a> Beat<'a> {
    pub(super) fn new(board: &'a Board, clock: ClockScale, poll: &Poll) -> io::Result<Self> {
        let queue = RunQueue::of_this_thread();
        Ok(Self {
            board,
            clock,
            every: clock.ticks(EVERY.as_nanos() as u64),
            last: 0,
            waited_ns: queue.waited_ns(),
            queue,
            silent_until: 0,
            timer: wake_up_often(poll)?,
        })
    }

    /// The timer has gone off, and goes on only when it is read.
    pub(super) fn wound_up(&self) {
        if let Some(timer) = &self.timer {
            let _ = rustix::io::read(timer, &mut [0; 8]);
        }
    }

    /// To be called whenever the time is known, and after every wait. Says how long it is since the
    /// last beat, if this is one.
    #[inline]
    pub(super) fn at(&mut self, now: Stamp) -> Option<Duration> {
        (now.saturating_sub(self.last) >= self.every).then(|| self.beat(now))
    }

    #[cold]
    fn beat(&mut self, now: Stamp) -> Duration {
        let gap_ns = self.clock.ns_between(self.last, now);
        self.last = now;
        if gap_ns > BEAT_AGE_MAX_NS {
            let waited_ns = self.queue.waited_ns();
            if waited_ns.saturating_sub(self.waited_ns) > BEAT_AGE_MAX_NS / 2 {
                self.silent_until = now + self.clock.ticks(SILENCE_NS);
            }
            self.waited_ns = waited_ns;
        }
        let is_kept = self.timer.is_some() && now >= self.silent_until;
        self.board.set_beat(if is_kept { now } else { NO_BEAT });
        Duration::from_nanos(gap_ns)
    }
}

impl Drop for Beat<'_> {
    fn drop(&mut self) {
        self.board.set_beat(NO_BEAT);
    }
}

#[cfg(target_os = "linux")]
fn wake_up_often(poll: &Poll) -> io::Result<Option<OwnedFd>> {
    use std::os::fd::AsRawFd;

    use mio::Interest;
    use mio::unix::SourceFd;
    use rustix::event::Timespec;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create,
        timerfd_settime,
    };

    let timer =
        timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    let every = Timespec { tv_sec: 0, tv_nsec: WAKE_EVERY.subsec_nanos().into() };
    let setting = Itimerspec { it_interval: every, it_value: every };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &setting)?;
    poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TOKEN, Interest::READABLE)?;
    Ok(Some(timer))
}

#[cfg(not(target_os = "linux"))]
fn wake_up_often(_poll: &Poll) -> io::Result<Option<OwnedFd>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board_memory::BoardMemory;

    const US: u64 = 1_000;
    const EVERY_NS: u64 = EVERY.as_nanos() as u64;

    #[test]
    fn it_beats_as_often_as_promised_unless_it_had_to_wait() {
        let (memory, poll) = (BoardMemory::create().unwrap(), Poll::new().unwrap());
        let board = memory.board();
        let queue = RunQueue::of_this_thread();
        let before = queue.waited_ns();
        let mut beat = Beat::new(board, ClockScale::MONOTONIC, &poll).unwrap();
        let begin = 1_000_000 * US;
        for now in (begin..begin + 10_000 * US).step_by(50 * US as usize) {
            let since = beat.at(now);
            assert_eq!(since.is_some(), (now - begin).is_multiple_of(EVERY_NS), "{now}");
        }
        let last = begin + 9_800 * US;
        // Late, and it is nobody else's doing: it was frozen.
        let late = begin + 30_000 * US;
        assert_eq!(beat.at(late), Some(Duration::from_nanos(late - last)));
        let had_to_wait = queue.waited_ns() - before > BEAT_AGE_MAX_NS / 2;
        assert!(had_to_wait || board.beat() == late);

        // As if it had had to wait.
        beat.queue = RunQueue::of(&[]);
        beat.silent_until = late + SILENCE_NS;
        beat.at(late + EVERY_NS);
        assert_eq!(board.beat(), NO_BEAT);
        beat.at(late + SILENCE_NS);
        assert_eq!(board.beat(), late + SILENCE_NS);
        drop(beat);
        assert_eq!(board.beat(), NO_BEAT);
    }

    #[test]
    fn the_timer_wakes_a_wait_up_again_and_again() {
        let (memory, mut poll) = (BoardMemory::create().unwrap(), Poll::new().unwrap());
        let beat = Beat::new(memory.board(), ClockScale::MONOTONIC, &poll).unwrap();
        let mut events = mio::Events::with_capacity(4);
        for _ in 0..5 {
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            let tokens: Vec<Token> = events.iter().map(|event| event.token()).collect();
            assert_eq!(tokens, [TOKEN]);
            beat.wound_up();
        }
    }
}
