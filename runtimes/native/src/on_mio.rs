//! Echo on mio: an edge-triggered selector loop, one receive and one send per request.

use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use quadrant_suite::board::TOKEN_BYTES;
use quadrant_suite::control::MESSAGE_BYTES;
use quadrant_suite::plain_calls;
use quadrant_suite::runtime::Refusal;
use quadrant_suite::scene::Scene;
use slab::Slab;

/// Every other token is the key of a connection.
const LISTENER: Token = Token(usize::MAX);
const CONTROL: Token = Token(usize::MAX - 1);
const EVENTS_MAX: usize = 1_024;

pub(crate) fn run(scene: &'static Scene) -> Result<(), Refusal> {
    let mut poll = Poll::new()?;
    let mut listener = listen()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let control = std::net::TcpListener::bind(crate::ANY)?;
    scene.board().publish_server(listener.local_addr()?.port());
    scene.open_root(0, control.local_addr()?.port(), 1);
    // The parent connects at once, before any other connection.
    let parent = loop {
        let (stream, from) = control.accept()?;
        if scene.is_parent(0, Some(from.port())) {
            break stream;
        }
    };
    parent.set_nonblocking(true)?;
    let mut parent = TcpStream::from_std(parent);
    poll.registry().register(&mut parent, CONTROL, Interest::READABLE)?;

    let buffer_bytes = crate::buffer_bytes(scene);
    let mut connections: Slab<Connection> = Slab::new();
    let mut message = Message { bytes: [0; MESSAGE_BYTES], filled: 0 };
    let mut events = Events::with_capacity(EVENTS_MAX);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            waited => waited?,
        }
        for event in &events {
            match event.token() {
                LISTENER => accept(&listener, &mut connections, poll.registry(), buffer_bytes)?,
                CONTROL if !message.receive(scene, &mut parent) => return Ok(()),
                CONTROL => {}
                Token(key) => {
                    let has_ended = event.is_read_closed();
                    if !connections[key].serve(scene, has_ended).unwrap_or(false) {
                        connections.remove(key);
                    }
                }
            }
        }
    }
}

fn listen() -> io::Result<TcpListener> {
    // The backlog of `bind` is 128, which is too small for a burst.
    let listener = plain_calls::listen(crate::ANY)?;
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener))
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

/// Accepts all waiting connections, because there is only one event for each.
fn accept(
    listener: &TcpListener,
    connections: &mut Slab<Connection>,
    registry: &Registry,
    buffer_bytes: usize,
) -> io::Result<()> {
    loop {
        let (mut stream, _) = match listener.accept() {
            Err(error) if would_block(&error) => return Ok(()),
            accepted => accepted?,
        };
        stream.set_nodelay(true)?;
        let entry = connections.vacant_entry();
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream, Token(entry.key()), both)?;
        let buffer = vec![0; buffer_bytes];
        entry.insert(Connection { stream, token: Vec::new(), buffer, unsent: 0..0 });
    }
}

struct Connection {
    stream: TcpStream,
    /// The part of the driver's token received so far.
    token: Vec<u8>,
    buffer: Vec<u8>,
    /// Received and not yet sent back.
    unsent: Range<usize>,
}

impl Connection {
    /// Echoes until it would block. Returns `false` if the peer has closed.
    fn serve(&mut self, scene: &Scene, has_ended: bool) -> io::Result<bool> {
        while self.token.len() < TOKEN_BYTES {
            let mut rest = [0; TOKEN_BYTES];
            match self.stream.read(&mut rest[self.token.len()..]) {
                Err(error) if would_block(&error) => return Ok(true),
                Ok(0) => return Ok(false),
                received => self.token.extend(rest.iter().skip(self.token.len()).take(received?)),
            }
            if self.token.len() == TOKEN_BYTES && !scene.is_driver(&self.token) {
                return Ok(false);
            }
        }
        let mut is_drained = false;
        loop {
            while !self.unsent.is_empty() {
                match self.stream.write(&self.buffer[self.unsent.clone()]) {
                    Err(error) if would_block(&error) => return Ok(true),
                    sent => self.unsent.start += sent?,
                }
            }
            // Later data is a new edge, but an end that has arrived already is not.
            if is_drained && !has_ended {
                return Ok(true);
            }
            match self.stream.read(&mut self.buffer) {
                Err(error) if would_block(&error) => return Ok(true),
                Ok(0) => return Ok(false),
                received => self.unsent = 0..received?,
            }
            is_drained = self.unsent.end < self.buffer.len();
        }
    }
}

/// The parent's messages, which may arrive in parts.
struct Message {
    bytes: [u8; MESSAGE_BYTES],
    filled: usize,
}

impl Message {
    /// Returns `false` if the parent has disconnected.
    fn receive(&mut self, scene: &Scene, parent: &mut TcpStream) -> bool {
        loop {
            match parent.read(&mut self.bytes[self.filled..]) {
                Err(error) if would_block(&error) => return true,
                Err(_) | Ok(0) => return false,
                Ok(received) => self.filled += received,
            }
            if self.filled == MESSAGE_BYTES {
                self.filled = 0;
                crate::hear(scene, &self.bytes);
            }
        }
    }
}
