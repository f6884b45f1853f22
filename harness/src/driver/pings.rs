//! The pings of a trial that has a load: the driver sends them, because it is awake anyway.
//!
//! They go out while the window is open, on a schedule of their own. One more goes out before the
//! trial and has to be answered, which proves that pings reach the subject. Never waits for any
//! other answer.

use std::net::TcpStream;
use std::os::fd::FromRawFd;
use std::time::{Duration, Instant};

use anyhow::ensure;
use quadrant_suite::board::Board;
use quadrant_suite::clock::{ClockScale, Stamp};

use super::order::Order;
use super::pacer::{LONGEST_GAP, Pacer, send_ping};

/// How often the board is read while the first pings are not answered.
const CHECK_EVERY: Duration = Duration::from_micros(200);

pub(super) struct Pings<'a> {
    board: &'a Board,
    clock: ClockScale,
    pacer: Pacer,
    controls: Vec<TcpStream>,
    /// When the next one is due; 0 before the first.
    due: Stamp,
    /// When the schedule was last checked.
    checked_at: Stamp,
    pause_ticks: u64,
}

impl<'a> Pings<'a> {
    /// Takes over the connections that the order names, and sends a ping on each. To be called
    /// before the load's connections are opened: a subject may hold its loop until they bring
    /// requests.
    #[allow(unsafe_code)]
    pub(super) fn take(board: &'a Board, order: &Order) -> anyhow::Result<Self> {
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
            due: 0,
            controls,
            checked_at: Stamp::MAX,
            pause_ticks: order.clock.ticks(LONGEST_GAP.as_nanos() as u64),
        })
    }

    /// When the next ping is due; never outside of the window.
    pub(super) fn next_due(&self) -> Stamp {
        let is_sending = self.board.is_measuring() && !self.controls.is_empty();
        if is_sending { self.due } else { Stamp::MAX }
    }

    /// Sends a ping if one is due. To be called whenever the time is known, and after every wait.
    #[inline]
    pub(super) fn at(&mut self, now: Stamp) {
        let pause = now.saturating_sub(self.checked_at);
        self.checked_at = now;
        if pause > self.pause_ticks && self.due > 0 {
            self.let_pass(pause);
        }
        if now >= self.due && now >= self.next_due() {
            let left = self.pacer.ping(&mut self.controls);
            self.due = now + self.clock.ticks(left.as_nanos() as u64);
        }
    }

    /// This process was frozen, in general together with the subject, which is to get as many pings
    /// as ever in the time that it runs.
    #[cold]
    fn let_pass(&mut self, pause: u64) {
        self.pacer.let_pass(Duration::from_nanos(self.clock.ns(pause)));
        self.due = self.due.saturating_add(pause);
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
        std::thread::sleep(CHECK_EVERY);
    }
    Ok(())
}
