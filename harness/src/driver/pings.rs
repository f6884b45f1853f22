//! The pings of a trial that has a load. The driver is awake anyway, and to wake up is what costs
//! most of a ping.
//!
//! They go out while the window is open, on a schedule of their own.

use std::net::TcpStream;
use std::os::fd::FromRawFd;
use std::time::Duration;

use quadrant_suite::board::Board;
use quadrant_suite::clock::{ClockScale, Stamp};

use super::order::Order;
use crate::pacer::{LONGEST_GAP, Pacer};

pub(super) struct Pings<'a> {
    board: &'a Board,
    clock: ClockScale,
    pacer: Pacer,
    controls: Vec<TcpStream>,
    /// When the next one is due; never, where there is nobody to be pinged.
    due: Stamp,
}

impl<'a> Pings<'a> {
    /// Takes over the connections that the order names.
    #[allow(unsafe_code)]
    pub(super) fn take(board: &'a Board, order: &Order) -> Self {
        let controls: Vec<TcpStream> = order
            .ping_fds
            .iter()
            // SAFETY: the harness opened these for this process alone, which takes them here and
            // nowhere else.
            .map(|fd| unsafe { TcpStream::from_raw_fd(*fd) })
            .collect();
        Self {
            board,
            clock: order.clock,
            pacer: Pacer::new(order.seed),
            due: if controls.is_empty() { Stamp::MAX } else { 0 },
            controls,
        }
    }

    /// To be called a few times a millisecond; the last time was `since` ago.
    pub(super) fn at(&mut self, now: Stamp, since: Duration) {
        if since > LONGEST_GAP && self.due > 0 {
            // This process was frozen, as a rule together with the subject. What that gets of pings
            // in the time that it runs is to be what it always gets.
            self.pacer.let_pass(since);
            self.due = self.due.saturating_add(self.clock.ticks(since.as_nanos() as u64));
        }
        if now >= self.due && self.board.is_measuring() {
            let left = self.pacer.ping(&mut self.controls);
            self.due = now + self.clock.ticks(left.as_nanos() as u64);
        }
    }
}
