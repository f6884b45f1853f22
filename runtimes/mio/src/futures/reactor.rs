//! The reactor: which sockets are ready, and which tasks wait for that.
//!
//! Events are edge-triggered, so readiness is stored until a call would block. The reactor itself
//! never calls a socket and never runs a task.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Interest, Token};
use slab::Slab;

use crate::{EVENTS_MAX, HAS_EDGES};

/// The executor's own waker; every other token is the key of a socket.
const DOORBELL: Token = Token(usize::MAX);

/// I/O operations per poll of a task. Without a limit, sockets that are always ready would keep it
/// from yielding.
const OPERATIONS_PER_POLL: u32 = 128;

pub(super) struct Reactor {
    poll: RefCell<mio::Poll>,
    events: RefCell<Events>,
    sockets: RefCell<Slab<Rc<Readiness>>>,
    operations_left: Cell<u32>,
}

#[derive(Clone, Copy)]
pub(super) enum Direction {
    Read,
    Write,
}

#[derive(Default)]
struct Readiness {
    read: Side,
    write: Side,
}

#[derive(Default)]
struct Side {
    is_ready: Cell<bool>,
    /// The peer has closed: readiness is permanent.
    is_last: Cell<bool>,
    waiting: Cell<Option<Waker>>,
}

impl Reactor {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: RefCell::new(mio::Poll::new()?),
            events: RefCell::new(Events::with_capacity(EVENTS_MAX)),
            sockets: RefCell::default(),
            operations_left: Cell::new(0),
        })
    }

    /// Ends a wait from another thread.
    pub(super) fn doorbell(&self) -> io::Result<mio::Waker> {
        mio::Waker::new(self.poll.borrow().registry(), DOORBELL)
    }

    pub(super) fn register<S: Source>(
        self: &Rc<Self>,
        mut source: S,
        interest: Interest,
    ) -> io::Result<Registered<S>> {
        let mut sockets = self.sockets.borrow_mut();
        let entry = sockets.vacant_entry();
        let key = entry.key();
        self.poll.borrow().registry().register(&mut source, Token(key), interest)?;
        let readiness = Rc::<Readiness>::default();
        // A new socket can usually send; otherwise the first attempt would block.
        readiness.write.is_ready.set(true);
        entry.insert(Rc::clone(&readiness));
        Ok(Registered { source, key, readiness, reactor: Rc::clone(self) })
    }

    /// Waits for events, at most this long, and wakes the tasks that wait for them.
    pub(super) fn wait(&self, patience: Option<Duration>) -> io::Result<()> {
        let mut events = self.events.borrow_mut();
        match self.poll.borrow_mut().poll(&mut events, patience) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            waited => waited?,
        }
        let sockets = self.sockets.borrow();
        for event in &*events {
            // Ending the wait was its only purpose.
            let Some(readiness) = sockets.get(event.token().0) else {
                continue;
            };
            let failed = event.is_error();
            if event.is_readable() || event.is_read_closed() || failed {
                readiness.read.note(event.is_read_closed() || failed);
            }
            if event.is_writable() || event.is_write_closed() || failed {
                readiness.write.note(event.is_write_closed() || failed);
            }
        }
        Ok(())
    }

    /// A task is about to be polled.
    pub(super) fn begin_poll(&self) {
        self.operations_left.set(OPERATIONS_PER_POLL);
    }
}

impl Side {
    fn note(&self, is_last: bool) {
        self.is_ready.set(true);
        if is_last {
            self.is_last.set(true);
        }
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    fn wait(&self, waker: &Waker) {
        let waiting = self.waiting.take().filter(|waiting| waiting.will_wake(waker));
        self.waiting.set(Some(waiting.unwrap_or_else(|| waker.clone())));
    }
}

/// A socket that the reactor watches, until it is dropped.
pub(super) struct Registered<S> {
    source: S,
    key: usize,
    readiness: Rc<Readiness>,
    reactor: Rc<Reactor>,
}

impl<S> Registered<S> {
    pub(super) fn source(&self) -> &S {
        &self.source
    }

    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Read => &self.readiness.read,
            Direction::Write => &self.readiness.write,
        }
    }

    /// Tries `operation` whenever the socket is ready, until it does not block.
    pub(super) fn perform<T>(
        &mut self,
        direction: Direction,
        mut operation: impl FnMut(&mut S) -> io::Result<T>,
    ) -> impl Future<Output = io::Result<T>> {
        poll_fn(move |context| {
            let left = self.reactor.operations_left.get();
            if left == 0 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            while self.side(direction).is_ready.get() {
                match operation(&mut self.source) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.side(direction).is_ready.set(false);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => {
                        self.reactor.operations_left.set(left - 1);
                        return Poll::Ready(result);
                    }
                }
            }
            self.side(direction).wait(context.waker());
            Poll::Pending
        })
    }

    /// An operation transferred fewer bytes than it could have, so the socket is empty or full until
    /// the next event. This saves the attempt that would block, except where mio emulates edges.
    pub(super) fn exhausted(&self, direction: Direction) {
        let side = self.side(direction);
        side.is_ready.set(side.is_last.get() || !HAS_EDGES);
    }
}

impl<S> Drop for Registered<S> {
    /// Closing the descriptor, which follows, also removes it from the selector.
    fn drop(&mut self) {
        self.reactor.sockets.borrow_mut().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::super::executor::Executor;
    use super::*;
    use mio::net::TcpStream;
    use std::io::{Read, Write};
    use std::net::TcpStream as Peer;
    use std::thread;

    /// Runs `task` on an executor with a socket whose other end is `peer`'s.
    fn connected<F: Future<Output = ()> + 'static>(
        peer: impl FnOnce(Peer) + Send + 'static,
        task: impl FnOnce(Registered<TcpStream>) -> F,
    ) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Peer::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let peer = thread::spawn(move || peer(client));
        let executor = Executor::new().unwrap();
        executor.fail_when_stuck();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let socket = executor.reactor().register(TcpStream::from_std(stream), interest).unwrap();
        let root = executor.spawn(task(socket));
        executor.run_until(&root).unwrap();
        assert!(executor.reactor().sockets.borrow().is_empty());
        peer.join().unwrap();
    }

    async fn read(socket: &mut Registered<TcpStream>, room: &mut [u8]) -> usize {
        let asked = room.len();
        let count = socket.perform(Direction::Read, |socket| socket.read(room)).await.unwrap();
        if count < asked {
            socket.exhausted(Direction::Read);
        }
        count
    }

    #[test]
    fn everything_arrives_whatever_is_asked_for_at_a_time() {
        for asked in [1, 3, 64, 1_000_000] {
            connected(
                |mut peer| {
                    for number in 0..300_u32 {
                        peer.write_all(&number.to_le_bytes()).unwrap();
                        if number % 10 == 0 {
                            thread::sleep(Duration::from_micros(300));
                        }
                    }
                },
                move |mut socket| async move {
                    let (mut seen, mut room) = (Vec::new(), vec![0; asked]);
                    loop {
                        let count = read(&mut socket, &mut room).await;
                        if count == 0 {
                            break;
                        }
                        seen.extend_from_slice(&room[..count]);
                    }
                    let sent: Vec<u8> = (0..300_u32).flat_map(u32::to_le_bytes).collect();
                    assert!(seen == sent, "asked for {asked} bytes at a time");
                },
            );
        }
    }

    #[test]
    fn an_end_that_came_with_the_last_bytes_is_seen() {
        connected(
            |mut peer| peer.write_all(b"last").unwrap(),
            |mut socket| async move {
                // So that both are told by one event.
                thread::sleep(Duration::from_millis(20));
                let mut room = [0; 64];
                assert_eq!(read(&mut socket, &mut room).await, 4);
                assert_eq!(read(&mut socket, &mut room).await, 0);
            },
        );
    }

    #[test]
    fn a_full_socket_is_waited_for() {
        const BYTES: usize = 16 << 20;
        connected(
            |mut peer| {
                thread::sleep(Duration::from_millis(20));
                let mut all = Vec::new();
                peer.read_to_end(&mut all).unwrap();
                assert_eq!(all.len(), BYTES);
            },
            |mut socket| async move {
                let bytes = vec![7; BYTES];
                let mut sent = 0;
                while sent < BYTES {
                    let left = &bytes[sent..];
                    let count = socket
                        .perform(Direction::Write, |socket| socket.write(left))
                        .await
                        .unwrap();
                    if count < left.len() {
                        socket.exhausted(Direction::Write);
                    }
                    sent += count;
                }
            },
        );
    }

    #[test]
    fn a_socket_that_is_always_ready_lets_others_have_their_turn() {
        connected(
            |mut peer| peer.write_all(&[1; 100_000]).unwrap(),
            |mut socket| async move {
                thread::sleep(Duration::from_millis(20));
                let mut polls = 0;
                let mut reading = std::pin::pin!(async {
                    let mut byte = [0];
                    for _ in 0..10 * OPERATIONS_PER_POLL {
                        assert_eq!(read(&mut socket, &mut byte).await, 1);
                    }
                });
                poll_fn(|context| {
                    polls += 1;
                    reading.as_mut().poll(context)
                })
                .await;
                assert!(polls >= 10, "{polls} polls");
            },
        );
    }
}
