//! The clients: what each connection does when it may send, when something arrives, and when a pause
//! has passed.
//!
//! They never wait: the loop does.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use anyhow::{Context, ensure};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use quadrant_suite::board::{Board, Phase};
use quadrant_suite::clock::{Stamp, stamp};

use super::connect::{self, Target};
use super::connection::{Connection, SCRATCH_BYTES, loss};
use super::order::{ClientGroup, Load, Order, connections, need_lengths};
use super::pace::Pace;
use super::pings::Pings;
use super::schedule::Schedule;
use super::tally::Tally;
use super::wakes::{Wake, Wakes};
use crate::system::child::orphaned;

const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

pub(super) struct Clients<'a> {
    order: &'a Order,
    pub(super) tally: Tally<'a>,
    pub(super) pings: Pings<'a>,
    target: Target,
    connects_from: Stamp,
    /// Indexed by the token of their socket; a lost one leaves its place empty.
    connections: Vec<Option<Connection>>,
    /// Of each group.
    paces: Vec<Pace<'a>>,
    wakes: Wakes,
    registry: Registry,
    scratch: Box<[u8]>,
}

impl<'a> Clients<'a> {
    /// Opens their connections, not necessarily all of them.
    pub(super) fn connect(
        order: &'a Order,
        board: &'a Board,
        registry: Registry,
    ) -> anyhow::Result<Self> {
        let pings = Pings::take(board, order)?;
        let target = Target::of(order, board.token());
        let group_of_each = || {
            let groups = order.groups.iter().enumerate();
            groups.flat_map(|it| std::iter::repeat_n(it, it.1.connections as usize))
        };
        let read_slowly: Vec<bool> =
            group_of_each().map(|(_, it)| it.habits.read.is_some()).collect();
        let mut tally = Tally::new(order, board);
        let connects_from = stamp();
        let limit = Duration::from_nanos(order.connect_limit_ns);
        let give_up = || board.phase() == Phase::Over || orphaned(order.parent);
        let (sockets, error) = connect::open(&target, &read_slowly, limit, give_up)
            .with_context(|| format!("connecting to the subject at {}", target.address))?;
        if let Some(error) = error {
            ensure!(!sockets.is_empty(), "{error}");
            tally.refused(connections(&order.groups) - sockets.len() as u32, error);
        }

        let with_lengths = need_lengths(&order.groups);
        let mut connections = Vec::with_capacity(sockets.len());
        for (index, (socket, (group, _))) in sockets.into_iter().zip(group_of_each()).enumerate() {
            let mut socket = TcpStream::from_std(socket);
            registry.register(&mut socket, Token(index), INTEREST)?;
            let identity = order.seed.wrapping_add(index as u64);
            tally.connected(group);
            connections.push(Some(Connection::new(socket, identity, group, with_lengths)));
        }
        Ok(Self {
            order,
            tally,
            pings,
            target,
            connects_from,
            connections,
            paces: order.groups.iter().map(|group| Pace::new(group, order.seed)).collect(),
            wakes: Wakes::default(),
            registry,
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
        })
    }

    /// How many connections were opened.
    pub(super) fn connected(&self) -> usize {
        self.connections.len()
    }

    /// Begins the load. Open loop: the first requests follow when they are due.
    pub(super) fn begin(&mut self) {
        let Order { seed, clock, .. } = *self.order;
        for (number, pace) in self.paces.iter_mut().enumerate() {
            // Groups that arrive at random do so independently of each other.
            let seed = seed.wrapping_add(number as u64);
            let start = |arrivals| Schedule::new(stamp(), arrivals, seed, clock);
            pace.schedule = pace.group.arrivals.map(start);
        }
        let mut begun = vec![0; self.paces.len()];
        for index in 0..self.connections.len() {
            let Some(connection) = &self.connections[index] else { continue };
            let number = &mut begun[connection.group];
            let pace = &mut self.paces[connection.group];
            let ClientGroup { connections, habits, .. } = *pace.group;
            let now = stamp();
            if pace.schedule.is_some() {
                pace.idle.push_back(index);
            } else if let Some(think_ns) = habits.think_ns {
                // Spread over one pause: people do not all come at the same moment.
                let wait_ns = u128::from(think_ns) * *number / u128::from(connections.max(1));
                self.wakes.add(now + clock.ticks(wait_ns as u64), index, Wake::Begin);
            } else {
                for _ in 0..habits.pipeline.unwrap_or(1) {
                    self.send(index, now, now);
                }
            }
            *number += 1;
        }
    }

    /// The window begins at `start`.
    pub(super) fn open_window(&mut self, start: Stamp) {
        let schedules = self.paces.iter_mut().filter_map(|pace| pace.schedule.as_mut());
        schedules.for_each(|schedule| schedule.open_window(start));
    }

    /// When the next request is due that could be sent.
    pub(super) fn next_due(&self) -> Option<Stamp> {
        self.paces.iter().filter_map(Pace::next_due).min()
    }

    /// When the next pause ends.
    pub(super) fn next_wake(&self) -> Option<Stamp> {
        self.wakes.next()
    }

    /// Sends the requests that are due on idle connections, in turn.
    pub(super) fn send_due(&mut self) {
        for group in 0..self.paces.len() {
            while let Some(&index) = self.paces[group].idle.front() {
                if self.connections[index].is_some() {
                    let now = stamp();
                    let schedule = self.paces[group].schedule.as_mut();
                    let Some(due) = schedule.and_then(|plan| plan.take(now)) else {
                        break;
                    };
                    self.send(index, due, now);
                }
                self.paces[group].idle.pop_front();
            }
        }
    }

    /// Lets connections go on whose pause is over.
    pub(super) fn go_on(&mut self) {
        if self.wakes.next().is_none() {
            return;
        }
        // Those that are added meanwhile have to wait until the sockets were looked at.
        let due = stamp();
        while let Some((index, wake)) = self.wakes.take(due) {
            let gone_on = match wake {
                Wake::Begin => {
                    let now = stamp();
                    self.send(index, now, now);
                    Ok(())
                }
                Wake::Write => self.write(index),
                Wake::Read => self.receive(index, false),
            };
            if let Err(error) = gone_on {
                self.lose(index, &error);
            }
        }
    }

    pub(super) fn on_event(&mut self, event: &Event) {
        let Token(index) = event.token();
        let ended = event.is_read_closed() || event.is_error();
        let result = match &self.connections[index] {
            Some(connection) if connection.is_connecting => self.complete_connect(index),
            _ if event.is_readable() || ended => self.receive(index, ended),
            Some(_) if event.is_writable() => self.write(index),
            _ => Ok(()),
        };
        if let Err(error) = result {
            self.lose(index, &error);
        }
    }

    /// Sends a request on a connection that has room for one.
    fn send(&mut self, index: usize, due: Stamp, now: Stamp) {
        let Some(connection) = &mut self.connections[index] else { return };
        let pace = &mut self.paces[connection.group];
        let is_used_up = pace.group.habits.requests.is_some_and(|most| connection.begun >= most);
        let mut sent = Ok(());
        if is_used_up {
            let reads_slowly = pace.group.habits.read.is_some();
            let socket = self.target.begin(index, reads_slowly);
            sent = socket.and_then(|socket| renew(connection, socket, now, &self.registry, index));
        }
        let bytes = pace.bytes();
        self.tally.sent(connection, due, now, bytes);
        if let Err(error) = sent.and_then(|()| self.write(index)) {
            self.lose(index, &error);
        }
    }

    /// Sends what may be sent now of a connection's requests.
    #[inline]
    fn write(&mut self, index: usize) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else { return Ok(()) };
        let Some(parts) = self.paces[connection.group].group.habits.fragments else {
            if !connection.is_connecting {
                connection.write_on(&mut self.scratch, usize::MAX)?;
            }
            return Ok(());
        };
        if connection.is_connecting || stamp() < connection.may_send_at {
            return Ok(());
        }
        let written = connection.write_on(&mut self.scratch, parts.bytes)?;
        if written > 0 && connection.is_unsent() {
            connection.may_send_at = stamp() + self.order.clock.ticks(parts.pause_ns);
            self.wakes.add(connection.may_send_at, index, Wake::Write);
        }
        Ok(())
    }

    /// A connection that was begun is open, or has failed.
    fn complete_connect(&mut self, index: usize) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else { return Ok(()) };
        if let Some(error) = connection.socket.take_error()? {
            return Err(error);
        }
        if connection.socket.peer_addr().is_err() {
            // Not yet: another event comes.
            return Ok(());
        }
        let now = stamp();
        connection.is_connecting = false;
        self.tally.reconnected(connection, now);
        // The first bytes fit into the buffer of a new socket.
        if let Some(token) = &self.target.token {
            connection.socket.write_all(token)?;
        }
        self.write(index)
    }

    /// Reads, and then sends at once: the rest of the current request, or the next one.
    #[inline]
    fn receive(&mut self, index: usize, ended: bool) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        let pace = &mut self.paces[connection.group];
        let slow = pace.group.habits.read;
        let most = slow.map_or(SCRATCH_BYTES, |parts| parts.bytes.min(SCRATCH_BYTES));
        loop {
            if slow.is_some() && stamp() < connection.may_read_at {
                // It reads on when its pause is over.
                return self.write(index);
            }
            let Some(arrived) = connection.read(&mut self.scratch[..most])? else { break };
            let at = stamp();
            self.pings.at(at);
            let mut bytes = &self.scratch[..arrived];
            while let Some(answer) = connection.take_answer(&mut bytes) {
                self.tally.observe();
                let next = match &mut pace.schedule {
                    _ if ended || self.tally.is_over() || pace.group.habits.rests() => None,
                    None => Some(at),
                    Some(schedule) if pace.idle.is_empty() => {
                        self.tally.backlog(connection.group, schedule.waiting(at), at);
                        schedule.take(at)
                    }
                    Some(_) => None,
                };
                let next = next.map(|due| (due, pace.bytes()));
                self.tally.answered(connection, answer, at, next);
                if pace.group.habits.requests.is_some()
                    && connection.begun == 1
                    && connection.began_at > 0
                {
                    self.tally.answered_first(connection, at);
                }
                if next.is_some() || ended {
                    continue;
                }
                let think_ns = pace.group.habits.think_ns;
                match (pace.schedule.is_some(), think_ns) {
                    (true, _) => pace.idle.push_back(index),
                    (false, Some(ns)) => {
                        self.wakes.add(at + self.order.clock.ticks(ns), index, Wake::Begin);
                    }
                    (false, None) => self.wakes.add(at, index, Wake::Begin),
                }
            }
            if self.tally.is_over() {
                return Ok(());
            }
            if let Some(parts) = slow {
                connection.may_read_at = at + self.order.clock.ticks(parts.pause_ns);
                self.wakes.add(connection.may_read_at, index, Wake::Read);
                break;
            }
            if arrived < most {
                break;
            }
        }
        if ended && slow.is_none() {
            // This edge brought the end of the stream too; no other edge will.
            connection.read(&mut self.scratch)?;
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.write(index)
    }

    fn lose(&mut self, index: usize, error: &io::Error) {
        if let Some(connection) = self.connections[index].take() {
            self.tally.lost(&connection, loss(error, connection.answers));
        }
    }

    /// What was measured, with the requests that have no answer at the window's end.
    pub(super) fn finish(mut self) -> Load {
        for connection in self.connections.iter().flatten() {
            self.tally.left(connection);
        }
        let end = self.tally.end();
        for (group, pace) in self.paces.iter_mut().enumerate() {
            let Some(schedule) = &mut pace.schedule else { continue };
            if pace.idle.is_empty() {
                self.tally.backlog(group, schedule.waiting(end), end);
            }
            while let Some(due) = schedule.take(end) {
                self.tally.due(group, due);
                self.tally.unanswered(group, due);
            }
        }
        Load { connects_from: self.connects_from, ..self.tally.finish() }
    }
}

/// Closes a connection and goes on with another socket, which connects since `now`.
fn renew(
    connection: &mut Connection,
    socket: std::net::TcpStream,
    now: Stamp,
    registry: &Registry,
    index: usize,
) -> io::Result<()> {
    let mut socket = TcpStream::from_std(socket);
    registry.register(&mut socket, Token(index), INTEREST)?;
    connection.renew(socket, now);
    Ok(())
}
