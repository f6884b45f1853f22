//! The plain selector loop: no futures and no tasks, a state machine for each connection.
//!
//! It serves echo only, as fast as one thread can: one wait for many events, then one receive and one
//! send for each request. It never allocates for an open connection.

mod connection;

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use quadrant_suite::control::{MESSAGE_BYTES, Message};
use quadrant_suite::description::Capability;
use quadrant_suite::runtime::Refusal;
use quadrant_suite::scene::Scene;
use slab::Slab;

use crate::{EVENTS_MAX, listen};
use connection::{Connection, Turn};

/// Every other token is the key of a connection.
const LISTENER: Token = Token(usize::MAX);
const CONTROL_LISTENER: Token = Token(usize::MAX - 1);
const CONTROL: Token = Token(usize::MAX - 2);

pub(crate) fn run(scene: &'static Scene) -> Result<(), Refusal> {
    let message_bytes = match &scene.plan().server {
        Some(server) if scene.plan().needs() == [Capability::Echo].into() => server.message_bytes,
        _ => {
            let reason = "a selector loop without tasks serves echo and nothing else";
            return Err(Refusal::Unsupported(reason.to_owned()));
        }
    };
    let mut poll = Poll::new()?;
    let mut echo = Echo::open(scene, message_bytes, poll.registry())?;
    let mut control = Control::open(scene, poll.registry())?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    while control.is_heard {
        let patience = if echo.unfinished.is_empty() { None } else { Some(Duration::ZERO) };
        match poll.poll(&mut events, patience) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            waited => waited?,
        }
        for event in &events {
            scene.meter().poll(|| match event.token() {
                LISTENER => echo.accept(poll.registry()),
                CONTROL_LISTENER => control.accept(poll.registry()),
                CONTROL => control.receive(),
                Token(key) => echo.handle(key, event),
            });
        }
        for _ in 0..echo.unfinished.len() {
            scene.meter().poll(|| echo.serve_unfinished());
        }
    }
    Ok(())
}

fn listen_locally(registry: &Registry, token: Token) -> io::Result<(TcpListener, u16)> {
    let mut listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    registry.register(&mut listener, token, Interest::READABLE)?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// The connections of the load.
struct Echo {
    scene: &'static Scene,
    message_bytes: usize,
    listener: TcpListener,
    connections: Slab<Connection>,
    /// Connections whose turn ended before their work. An entry may outlive its connection, which
    /// only causes a useless turn of the next one with the same key.
    unfinished: VecDeque<usize>,
}

impl Echo {
    fn open(scene: &'static Scene, message_bytes: usize, registry: &Registry) -> io::Result<Self> {
        let (listener, port) = listen_locally(registry, LISTENER)?;
        scene.board().publish_server(port);
        Ok(Self {
            scene,
            message_bytes,
            listener,
            connections: Slab::new(),
            unfinished: VecDeque::new(),
        })
    }

    /// Accepts all waiting connections, because there is only one event for each.
    fn accept(&mut self, registry: &Registry) {
        loop {
            let accepted = match self.listener.accept() {
                Ok((stream, _)) => {
                    self.scene.count_accepted();
                    self.welcome(stream, registry)
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => continue,
                    _ => Err(error),
                },
            };
            if let Err(error) = accepted {
                self.scene.count_error(format!("accepting a connection failed: {error}"));
                // Out of descriptors, for example: trying again at once would only spin.
                return;
            }
        }
    }

    fn welcome(&mut self, mut stream: TcpStream, registry: &Registry) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let entry = self.connections.vacant_entry();
        let token = Token(entry.key());
        // Both interests permanently: there is another writable event only after a send that would
        // block, so the second interest is free while it is not needed.
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        entry.insert(Connection::new(stream, self.message_bytes, self.scene.board().token()));
        Ok(())
    }

    fn handle(&mut self, key: usize, event: &Event) {
        // Events cannot refer to a freed key: the system forgets a descriptor when it is closed, and
        // reports each descriptor once per batch.
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        connection.note(event);
        if !connection.is_queued {
            self.serve(key);
        }
    }

    fn serve_unfinished(&mut self) {
        let Some(key) = self.unfinished.pop_front() else {
            return;
        };
        if let Some(connection) = self.connections.get_mut(key) {
            connection.is_queued = false;
            self.serve(key);
        }
    }

    fn serve(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        let ended = match connection.advance() {
            Ok(Turn::Waiting) => return,
            Ok(Turn::Unfinished) => {
                connection.is_queued = true;
                return self.unfinished.push_back(key);
            }
            Ok(Turn::Closed { in_mid_request: false }) => None,
            Ok(Turn::Stranger) => {
                self.scene.count_stranger();
                None
            }
            Ok(Turn::Closed { in_mid_request: true }) => {
                Some("recv: the peer closed in mid-request".to_owned())
            }
            Err(error) => Some(format!("a connection broke: {error}")),
        };
        // Closing also removes the descriptor from the selector.
        self.connections.remove(key);
        if let Some(text) = ended {
            // After the end of the trial the driver closes its connections.
            if !self.scene.board().is_over() {
                self.scene.count_error(text);
            }
        }
    }
}

/// The parent's messages.
struct Control {
    scene: &'static Scene,
    listener: TcpListener,
    stream: Option<TcpStream>,
    message: [u8; MESSAGE_BYTES],
    filled: usize,
    /// Until the parent sends `Stop`, or disconnects.
    is_heard: bool,
}

impl Control {
    fn open(scene: &'static Scene, registry: &Registry) -> io::Result<Self> {
        let (listener, port) = listen_locally(registry, CONTROL_LISTENER)?;
        scene.open_root(0, port, 1);
        Ok(Self {
            scene,
            listener,
            stream: None,
            message: [0; MESSAGE_BYTES],
            filled: 0,
            is_heard: true,
        })
    }

    /// Accepts the parent's connection and closes all others.
    fn accept(&mut self, registry: &Registry) {
        loop {
            let accepted = match self.listener.accept() {
                Ok((stream, from)) if self.scene.is_parent(0, Some(from.port())) => {
                    self.welcome(stream, registry)
                }
                Ok(_) => continue,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => continue,
                    _ => Err(error),
                },
            };
            if let Err(error) = accepted {
                let text = format!("the control connection was not accepted: {error}");
                return self.scene.count_error(text);
            }
        }
    }

    fn welcome(&mut self, mut stream: TcpStream, registry: &Registry) -> io::Result<()> {
        registry.register(&mut stream, CONTROL, Interest::READABLE)?;
        self.stream = Some(stream);
        Ok(())
    }

    fn receive(&mut self) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        while self.is_heard {
            match stream.read(&mut self.message[self.filled..]) {
                // The parent has disconnected, so the outcome is not needed.
                Ok(0) => self.is_heard = false,
                Ok(received) => self.filled += received,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted => {}
                    _ => self.is_heard = false,
                },
            }
            if self.filled < MESSAGE_BYTES {
                continue;
            }
            self.filled = 0;
            match Message::decode(&self.message) {
                // There are no groups to start.
                Some(Message::Go) => {}
                Some(Message::Ping(sent)) => self.scene.answer_ping(sent),
                Some(Message::Canary) => self.scene.stall_as_canary(),
                Some(Message::Stop) => {
                    self.scene.close_root();
                    self.is_heard = false;
                }
                None => {
                    self.scene.count_error("the parent sent a word that is not known".to_owned());
                }
            }
        }
    }
}
