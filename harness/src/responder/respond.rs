//! The responder's event loop: queries in, and each answer when it is due.
//!
//! Never spins until an answer is due: it may share its CPU with the driver. How late it is for that
//! is measured.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::ensure;
use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Token};
use quadrant_reports::random::SplitMix;
use quadrant_suite::board::Board;
use quadrant_suite::clock::{Stamp, stamp};
use quadrant_suite::plain_calls;
use rustix::io::Errno;

use super::order::{Order, Report};
use super::peer::{End, Peer, SCRATCH_BYTES};
use super::tally::Tally;
use crate::system::child::orphaned;
use crate::system::timed_poll::{LONGEST, TIMER, TimedPoll, of_sockets, timer_ended};

const LISTENER: Token = Token(TIMER.0 - 1);
/// The system lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;
const EVENTS_MAX: usize = 1_024;

/// Answers until the harness ends. `send` passes reports to it.
pub(super) fn respond(
    order: &Order,
    board: &Board,
    send: &mut dyn FnMut(Report) -> io::Result<()>,
) -> anyhow::Result<()> {
    let listener = plain_calls::listen((Ipv4Addr::LOCALHOST, 0).into())?;
    // In a burst of connections every one beyond the backlog would be retried only after a second.
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let poll = TimedPoll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let port = listener.local_addr()?.port();
    let chance = |backend: &super::order::Backend| {
        SplitMix::new(order.seed, &format!("backend {}", backend.name))
    };
    let responder = Responder {
        order,
        board,
        listener,
        poll,
        chances: order.backends.iter().map(chance).collect(),
        peers: Vec::new(),
        free: Vec::new(),
        accepted: 0,
        due: BinaryHeap::new(),
        tally: Tally::new(order, board),
        scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
    };
    send(Report::Listening(port))?;
    responder.run(send)
}

struct Responder<'a> {
    order: &'a Order,
    board: &'a Board,
    listener: TcpListener,
    poll: TimedPoll,
    /// One for each backend: the n-th query to it has the same delay for every subject.
    chances: Vec<SplitMix>,
    /// Indexed by the token of their socket; an ended one leaves its place to another.
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    accepted: u64,
    /// The answers to be sent, the earliest first.
    due: BinaryHeap<Reverse<Due>>,
    tally: Tally<'a>,
    scratch: Box<[u8]>,
}

/// Ordered by its moment.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Stamp,
    delay_ns: u64,
    peer: usize,
    number: u64,
}

impl Responder<'_> {
    fn run(mut self, send: &mut dyn FnMut(Report) -> io::Result<()>) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            if let Some(answers) = self.tally.observe() {
                send(Report::Finished(Box::new(answers)))?;
            }
            self.answer_due();
            self.wait(&mut events)?;
            ensure!(!timer_ended(&events) || !orphaned(self.order.parent), "the harness is gone");
            for event in of_sockets(&events) {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(peer) => self.on_event(peer, event),
                }
            }
        }
    }

    /// Waits for the sockets, but not past the moment at which an answer is due.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let next = self.due.peek().map(|Reverse(due)| due.at);
        let left = next.map(|at| self.order.clock.ns_between(stamp(), at));
        let limit = left.map_or(LONGEST, Duration::from_nanos);
        self.poll.wait(events, limit)
    }

    fn accept(&mut self) -> anyhow::Result<()> {
        loop {
            let mut socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_transient(&error) => continue,
                Err(error) if is_out_of_files(&error) => {
                    ensure!(self.drop_silent(), "its connections need more open files: {error}");
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let index = self.free.pop().unwrap_or_else(|| {
                self.peers.push(None);
                self.peers.len() - 1
            });
            // What has ended already is found so when it is read.
            let _ = socket.set_nodelay(true);
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(index), interest)?;
            self.accepted += 1;
            self.peers[index] = Some(Peer::new(socket, self.accepted));
        }
    }

    /// Closes the connections that have never sent a query, to make room for one that may. Returns
    /// whether there were any.
    fn drop_silent(&mut self) -> bool {
        let is_silent = |peer: &Option<Peer>| peer.as_ref().is_some_and(|peer| !peer.is_known);
        let silent: Vec<usize> =
            (0..self.peers.len()).filter(|index| is_silent(&self.peers[*index])).collect();
        silent.iter().for_each(|index| self.close(*index, &End::Stranger));
        !silent.is_empty()
    }

    fn on_event(&mut self, index: usize, event: &Event) {
        // One that was dropped may have an event left.
        let Some(peer) = &mut self.peers[index] else { return };
        let ended = event.is_read_closed() || event.is_error();
        if ended || peer.write_on(&mut self.scratch).is_err() {
            return self.close(index, &End::Closed);
        }
        if event.is_readable() {
            self.receive(index);
        }
    }

    fn receive(&mut self, index: usize) {
        let Some(peer) = &mut self.peers[index] else { return };
        let query = match peer.read_on(self.board.token()) {
            Ok(None) => return,
            Ok(Some(query)) => query,
            Err(end) => return self.close(index, &end),
        };
        let backend = usize::try_from(query.backend).unwrap_or(usize::MAX);
        let Some(chance) = self.chances.get_mut(backend) else {
            peer.asked = None;
            return self.close(index, &End::Stranger);
        };
        peer.is_known = true;
        let delay_ns = self.order.backends[backend].latency.draw(chance);
        let at = stamp() + self.order.clock.ticks(delay_ns);
        let due = Due { at, delay_ns, peer: index, number: peer.number };
        self.tally.asked(backend);
        self.due.push(Reverse(due));
    }

    /// Sends the answers that are due.
    fn answer_due(&mut self) {
        while let Some(Reverse(next)) = self.due.peek() {
            let now = stamp();
            if next.at > now {
                return;
            }
            let Some(Reverse(due)) = self.due.pop() else { return };
            // Its connection may have ended, and another may have its place.
            let peer = self.peers[due.peer].as_mut().filter(|peer| peer.number == due.number);
            let Some((query, peer)) = peer.and_then(|peer| Some((peer.asked?, peer))) else {
                continue;
            };
            let backend = query.backend as usize;
            self.tally.answered(backend, due.delay_ns, due.at, now);
            peer.begin(self.order.backends[backend].answer_bytes);
            if peer.write_on(&mut self.scratch).is_err() {
                self.close(due.peer, &End::Closed);
            }
        }
    }

    fn close(&mut self, index: usize, end: &End) {
        let Some(peer) = self.peers[index].take() else { return };
        self.free.push(index);
        if let Some(query) = peer.asked {
            self.tally.settled(query.backend as usize);
        }
        if let End::Stranger = end {
            self.tally.count_stranger();
        }
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted)
}

fn is_out_of_files(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| code == Some(errno.raw_os_error()))
}
