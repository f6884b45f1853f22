//! The driver's event loop: one thread, one wait, and per request one read and one write.
//!
//! It never reconnects, never runs any code of a runtime, and never decides when the trial moves
//! on: the board does.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::Duration;

use anyhow::{Context, ensure};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use quadrant_suite::board::{Board, Phase};
use quadrant_suite::clock::{Stamp, stamp};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::arrivals::Arrivals;
use super::connect;
use super::connection::{Answer, Connection, SCRATCH_BYTES, loss};
use super::order::{Load, Order, Report};
use super::pings::Pings;
use super::schedule::Schedule;
use super::tally::Tally;

/// The board cannot wake the loop, which therefore reads it this often when nothing else happens.
const CHECK_EVERY: Duration = Duration::from_millis(1);
/// Before a request is due the loop polls for so long: a sleep as short as that ends too late.
const SPIN_NS: u64 = 50_000;
const EVENTS_MAX: usize = 1_024;

/// Runs one trial's load to its end. `send` passes reports to the harness.
pub(super) fn drive(
    order: &Order,
    board: &Board,
    send: &mut dyn FnMut(Report) -> io::Result<()>,
) -> anyhow::Result<()> {
    ensure!(order.message_bytes > 0, "a message has at least one byte");
    ensure!(order.connections > 0, "a load needs a connection");
    let rate = order.arrivals.map_or(1.0, Arrivals::mean_per_sec);
    ensure!(rate.is_normal(), "a rate is more than nothing");

    let poll = Poll::new()?;
    let pings = Pings::take(board, order)?;
    let target = connect::Target::of(order, board.token());
    let (sockets, error) = connect::open(
        &target,
        order.connections,
        Duration::from_nanos(order.connect_limit_ns),
        || board.phase() == Phase::Over || orphaned(order),
    )
    .with_context(|| format!("connecting to the subject at {}", target.address))?;
    let connected = sockets.len() as u32;
    let mut tally = Tally::new(order, board);
    if let Some(error) = error {
        ensure!(connected > 0, "{error}");
        tally.refused(order.connections - connected, error);
    }

    let mut connections = Vec::with_capacity(sockets.len());
    for (index, socket) in sockets.into_iter().enumerate() {
        let mut socket = TcpStream::from_std(socket);
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut socket, Token(index), interest)?;
        let identity = order.seed.wrapping_add(index as u64);
        connections.push(Some(Connection::new(socket, identity, order.message_bytes)));
    }
    send(Report::Connected(connected))?;

    let drive = Drive {
        order,
        board,
        tally,
        pings,
        idle: VecDeque::with_capacity(connections.len()),
        connections,
        schedule: None,
        started: false,
        scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
    };
    let load = drive.run(poll, connected)?;
    send(Report::Finished(Box::new(load)))?;
    Ok(())
}

struct Drive<'a> {
    order: &'a Order,
    board: &'a Board,
    tally: Tally<'a>,
    pings: Pings<'a>,
    /// Indexed by the token of their socket; a lost one leaves its place empty.
    connections: Vec<Option<Connection>>,
    /// Open loop: connections without a request, the longest idle first.
    idle: VecDeque<usize>,
    /// Open loop, once the load has begun.
    schedule: Option<Schedule>,
    started: bool,
    scratch: Box<[u8]>,
}

impl Drive<'_> {
    fn run(mut self, mut poll: Poll, connected: u32) -> anyhow::Result<Load> {
        let mut events = Events::with_capacity(EVENTS_MAX.min(connected as usize + 1));
        loop {
            self.tally.observe();
            if self.tally.is_over() {
                break;
            }
            if !self.started && self.board.phase() >= Phase::Warmup {
                self.begin();
            }
            if let (Some(schedule), Some(start)) = (&mut self.schedule, self.tally.start()) {
                schedule.open_window(start);
            }
            self.send_due();
            self.wait(&mut poll, &mut events)?;
            self.pings.at(stamp());
            ensure!(!events.is_empty() || !orphaned(self.order), "the harness is gone");
            // In the kernel's order: it queues a connection behind all others when something
            // arrives on it, so none is served twice before another.
            for event in &events {
                self.on_event(event);
                if self.tally.is_over() {
                    break;
                }
            }
        }
        self.leave_unanswered();
        Ok(self.tally.finish(connected))
    }

    fn begin(&mut self) {
        self.started = true;
        if let Some(arrivals) = self.order.arrivals {
            let Order { seed, clock, .. } = *self.order;
            self.schedule = Some(Schedule::new(stamp(), arrivals, seed, clock));
            self.idle.extend(0..self.connections.len());
        } else {
            for index in 0..self.connections.len() {
                let now = stamp();
                self.send(index, now, now);
            }
        }
    }

    /// Sends the requests that are due on idle connections, in turn.
    fn send_due(&mut self) {
        while let Some(&index) = self.idle.front() {
            if self.connections[index].is_some() {
                let now = stamp();
                let Some(due) = self.schedule.as_mut().and_then(|plan| plan.take(now)) else {
                    break;
                };
                self.send(index, due, now);
            }
            self.idle.pop_front();
        }
    }

    fn send(&mut self, index: usize, due: Stamp, now: Stamp) {
        if let Some(connection) = &mut self.connections[index] {
            self.tally.sent(connection, due, now);
            if let Err(error) = connection.write_on(&mut self.scratch) {
                self.lose(index, &error);
            }
        }
    }

    fn on_event(&mut self, event: &Event) {
        let Token(index) = event.token();
        let ended = event.is_read_closed() || event.is_error();
        let result = match &mut self.connections[index] {
            _ if event.is_readable() || ended => self.receive(index, ended),
            Some(connection) if event.is_writable() => connection.write_on(&mut self.scratch),
            _ => Ok(()),
        };
        if let Err(error) = result {
            self.lose(index, &error);
        }
    }

    /// Reads, and then sends at once: the rest of the current request, or the next one.
    #[inline]
    fn receive(&mut self, index: usize, ended: bool) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        let answer = connection.read_on(&mut self.scratch)?;
        if answer != Answer::Pending {
            let at = stamp();
            self.pings.at(at);
            self.tally.observe();
            let next = match &mut self.schedule {
                _ if ended || self.tally.is_over() => None,
                None => Some(at),
                Some(schedule) if self.idle.is_empty() => {
                    self.tally.backlog(schedule.waiting(at), at);
                    schedule.take(at)
                }
                Some(_) => None,
            };
            self.tally.answered(connection, answer, at, next);
            if ended {
                // This edge brought the end of the stream too; no other edge will.
                connection.read_on(&mut self.scratch)?;
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if next.is_none() {
                self.idle.push_back(index);
            }
            if self.tally.is_over() {
                return Ok(());
            }
        }
        connection.write_on(&mut self.scratch)
    }

    fn lose(&mut self, index: usize, error: &io::Error) {
        if let Some(connection) = self.connections[index].take() {
            self.tally.lost(&connection, loss(error, connection.answers));
        }
    }

    /// Waits for the sockets, but not past the moment at which a request or a ping is due.
    fn wait(&mut self, poll: &mut Poll, events: &mut Events) -> io::Result<()> {
        let now = stamp();
        let left_ns = |due| self.order.clock.ns_between(now, due);
        let until_request = match &self.schedule {
            Some(schedule) if !self.idle.is_empty() => left_ns(schedule.next_due()),
            _ => u64::MAX,
        };
        if until_request <= SPIN_NS {
            select(poll, events, Duration::ZERO)?;
            if events.is_empty() {
                self.tally.spun(now, stamp());
            }
            return Ok(());
        }
        let until_due = (until_request - SPIN_NS).min(left_ns(self.pings.next_due()));
        let wait = Duration::from_nanos(until_due);
        if wait >= CHECK_EVERY {
            return select(poll, events, CHECK_EVERY);
        }
        // The timeout of epoll, as mio sets it, is in whole milliseconds.
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) as _ };
        let mut ready = [PollFd::new(poll.registry(), PollFlags::IN)];
        match rustix::event::poll(&mut ready, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        select(poll, events, Duration::ZERO)
    }

    /// Counts the requests that have no answer at the window's end.
    fn leave_unanswered(&mut self) {
        for connection in self.connections.iter().flatten() {
            if connection.busy {
                self.tally.unanswered(connection.due_at);
            }
        }
        let end = self.tally.end();
        if let Some(schedule) = &mut self.schedule {
            if self.idle.is_empty() {
                self.tally.backlog(schedule.waiting(end), end);
            }
            while let Some(due) = schedule.take(end) {
                self.tally.due(due);
                self.tally.unanswered(due);
            }
        }
    }
}

fn select(poll: &mut Poll, events: &mut Events, timeout: Duration) -> io::Result<()> {
    match poll.poll(events, Some(timeout)) {
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        result => result,
    }
}

/// Whether the harness that gave the order has ended; 0 stands for this process.
fn orphaned(order: &Order) -> bool {
    order.parent != 0 && std::os::unix::process::parent_id() != order.parent
}
