//! The driver's event loop: one thread, one wait, and per request one read and one write.
//!
//! It never reconnects, never runs anything of a runtime, and never decides when the trial moves
//! on: that stands on the board.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use anyhow::{Context, ensure};
use mio::event::Event;
use mio::{Events, Interest, Poll, Token};
use quadrant_suite::board::{Board, Phase};
use quadrant_suite::clock::{Stamp, stamp};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::connect;
use super::connection::{Answer, Connection, Loss, SCRATCH_BYTES};
use super::order::{Load, Order, Report};
use super::pings::{self, Pings};
use super::schedule::Schedule;
use super::tally::Tally;

/// The board cannot wake anybody, so the loop looks at it this often when nothing else happens.
const GLANCE: Duration = Duration::from_millis(1);
/// The last stretch before a request is due is waited awake: a sleep that short ends too late.
const AWAKE_NS: u64 = 50_000;
const EVENTS_MAX: usize = 1_024;

/// Runs one trial's load to its end. `say` takes the driver's words.
pub(super) fn drive(
    order: &Order,
    board: &Board,
    say: &mut dyn FnMut(Report) -> io::Result<()>,
) -> anyhow::Result<()> {
    ensure!(order.message_bytes > 0, "a message has at least one byte");
    ensure!(order.connections > 0, "a load needs a connection");
    ensure!(order.rate_per_sec != Some(0), "a rate is more than nothing");

    let poll = Poll::new()?;
    let pings = Pings::take(board, order, &poll)?;
    let opened = connect::open(
        order.port,
        board.token(),
        order.connections,
        Duration::from_nanos(order.connect_limit_ns),
        || board.phase() == Phase::Over || orphaned(order),
    )
    .with_context(|| format!("connecting to the subject on port {}", order.port))?;
    let missing = order.connections - opened.sockets.len() as u32;
    let mut tally = Tally::new(order, board);
    if let Some(obstacle) = opened.obstacle {
        ensure!(!opened.sockets.is_empty(), "{obstacle}");
        tally.refused(missing, obstacle);
    }

    let mut connections = Vec::with_capacity(opened.sockets.len());
    for (index, mut socket) in opened.sockets.into_iter().enumerate() {
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut socket, Token(index), interest)?;
        let identity = order.seed.wrapping_add(index as u64);
        connections.push(Some(Connection::new(socket, identity, order.message_bytes)));
    }
    let connected = connections.len() as u32;
    say(Report::Connected(connected))?;

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
    say(Report::Finished(Box::new(load)))?;
    Ok(())
}

struct Drive<'a> {
    order: &'a Order,
    board: &'a Board,
    tally: Tally<'a>,
    pings: Pings<'a>,
    /// By the token of their socket; a lost one leaves its place empty.
    connections: Vec<Option<Connection>>,
    /// Open loop: connections without a request, the one that has rested longest first.
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
            self.send_due();
            self.wait(&mut poll, &mut events)?;
            self.pings.at(stamp());
            ensure!(!events.is_empty() || !orphaned(self.order), "the harness is gone");
            // In the order in which the kernel hands them out: it queues a connection behind all
            // others when something arrives on it, so none is served twice before another.
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
        if let Some(rate) = self.order.rate_per_sec {
            self.schedule = Some(Schedule::new(stamp(), rate, self.order.clock));
            self.idle.extend(0..self.connections.len());
        } else {
            for index in 0..self.connections.len() {
                let now = stamp();
                self.send(index, now, now);
            }
        }
    }

    /// Gives the requests that are due to idle connections, in turns.
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
            if let Err(loss) = connection.write_on(&mut self.scratch) {
                self.lose(index, &loss);
            }
        }
    }

    fn on_event(&mut self, event: &Event) {
        if event.token() == pings::TOKEN {
            // It woke the loop up, which has looked at the pings since.
            return;
        }
        let Token(index) = event.token();
        let ended = event.is_read_closed() || event.is_error();
        let mut outcome = Ok(());
        if event.is_readable() || ended {
            outcome = self.receive(index, ended);
        } else if event.is_writable()
            && let Some(connection) = &mut self.connections[index]
        {
            outcome = connection.write_on(&mut self.scratch);
        }
        if let Err(loss) = outcome {
            self.lose(index, &loss);
        }
    }

    /// Reads first, and sends on at once: the rest of the request under way, or the next one.
    #[inline]
    fn receive(&mut self, index: usize, ended: bool) -> Result<(), Loss> {
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        let answer = connection.read_on(&mut self.scratch)?;
        if answer != Answer::Pending {
            let at = stamp();
            self.pings.at(at);
            if ended {
                self.tally.answered(connection, answer, at, None);
                // This edge brought the end of the stream too, and no other will.
                connection.read_on(&mut self.scratch)?;
                return Err(Loss::Closed);
            }
            let next = match &mut self.schedule {
                None => Some(at),
                Some(schedule) if self.idle.is_empty() => {
                    self.tally.backlog(schedule.waiting(at), at);
                    schedule.take(at)
                }
                Some(_) => None,
            };
            self.tally.answered(connection, answer, at, next);
            if next.is_none() {
                self.idle.push_back(index);
            }
            if self.tally.is_over() {
                return Ok(());
            }
        }
        connection.write_on(&mut self.scratch)
    }

    fn lose(&mut self, index: usize, loss: &Loss) {
        if let Some(mut connection) = self.connections[index].take() {
            let answers = connection.answers;
            self.tally.lost(&mut connection, || loss.sentence(answers));
        }
    }

    /// Waits for the sockets, but not past the moment at which a request is due.
    fn wait(&mut self, poll: &mut Poll, events: &mut Events) -> io::Result<()> {
        let due = match &self.schedule {
            Some(schedule) if !self.idle.is_empty() => schedule.next_due(),
            _ => return select(poll, events, GLANCE),
        };
        let now = stamp();
        let left_ns = self.order.clock.ns_between(now, due);
        if left_ns > AWAKE_NS {
            // epoll's own timeout, as mio sets it, knows only milliseconds.
            let sleep = Duration::from_nanos(left_ns - AWAKE_NS).min(GLANCE);
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(sleep.subsec_nanos()) as _ };
            let mut ready = [PollFd::new(poll.registry(), PollFlags::IN)];
            match rustix::event::poll(&mut ready, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            select(poll, events, Duration::ZERO)
        } else {
            select(poll, events, Duration::ZERO)?;
            if events.is_empty() {
                self.tally.waited_awake(now, stamp());
            }
            Ok(())
        }
    }

    /// Enters what still waits at the window's end.
    fn leave_unanswered(&mut self) {
        for connection in self.connections.iter().flatten() {
            if connection.is_busy() {
                self.tally.unanswered(connection.due_at);
            }
        }
        let end = self.tally.end();
        if let Some(schedule) = &mut self.schedule {
            if self.idle.is_empty() {
                self.tally.backlog(schedule.waiting(end), end);
            }
            while let Some(due) = schedule.take(end) {
                self.tally.unanswered(due);
            }
        }
    }
}

fn select(poll: &mut Poll, events: &mut Events, timeout: Duration) -> io::Result<()> {
    match poll.poll(events, Some(timeout)) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        result => result,
    }
}

/// Whether the harness that gave the order is gone; 0 stands for one in this process.
fn orphaned(order: &Order) -> bool {
    order.parent != 0 && std::os::unix::process::parent_id() != order.parent
}
