//! A server that only echoes, at the least cost: the load driver's ceiling is measured against it.
//!
//! It skips the token that a connection begins with, never looks at what it echoes and never closes
//! a connection by itself.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use quadrant_suite::board::TOKEN_BYTES;

use crate::system::cpus;

const LISTENER: Token = Token(usize::MAX);
const CHUNK_BYTES: usize = 64 * 1024;
/// How often a server without requests checks whether it is to end.
const CHECK_EVERY: Duration = Duration::from_millis(10);

/// A running server, in a thread of this process. Dropping it ends it.
pub struct NullServer {
    pub port: u16,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl NullServer {
    /// Starts a server on these CPUs; with none, on any.
    pub fn start(cpus: &[usize]) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let port = listener.local_addr()?.port();
        let ends = Arc::new(AtomicBool::new(false));
        let (cpus, flag) = (cpus.to_vec(), Arc::clone(&ends));
        let serve = move || {
            if !cpus.is_empty() {
                cpus::stay_on(&cpus)?;
            }
            serve(listener, &flag)
        };
        let thread = std::thread::Builder::new().spawn(serve)?;
        Ok(Self { port, ends, thread: Some(thread) })
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        self.ends.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A server that failed shows in the driver's result.
            let _ = thread.join();
        }
    }
}

struct Peer {
    socket: TcpStream,
    /// Bytes of the token that have not arrived yet.
    token_left: usize,
    /// What the socket has not taken yet; nothing is read before it is gone.
    unsent: Vec<u8>,
}

fn serve(mut listener: TcpListener, ends: &AtomicBool) -> io::Result<()> {
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut events = Events::with_capacity(1_024);
    while !ends.load(Relaxed) {
        match poll.poll(&mut events, Some(CHECK_EVERY)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut peers)?;
                continue;
            }
            let slot = &mut peers[event.token().0];
            if let Some(peer) = slot
                && peer.echo(&mut chunk).is_err()
            {
                *slot = None;
            }
        }
    }
    Ok(())
}

fn accept(listener: &TcpListener, poll: &Poll, peers: &mut Vec<Option<Peer>>) -> io::Result<()> {
    while let Some((mut socket, _)) = unless_blocked(listener.accept())? {
        socket.set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut socket, Token(peers.len()), interest)?;
        peers.push(Some(Peer { socket, token_left: TOKEN_BYTES, unsent: Vec::new() }));
    }
    Ok(())
}

impl Peer {
    /// Reads and writes until the socket would block.
    fn echo(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        loop {
            while !self.unsent.is_empty() {
                match unless_blocked(self.socket.write(&self.unsent))? {
                    Some(sent) => drop(self.unsent.drain(..sent)),
                    None => return Ok(()),
                }
            }
            let Some(length) = unless_blocked(self.socket.read(chunk))? else { return Ok(()) };
            if length == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let skipped = self.token_left.min(length);
            self.token_left -= skipped;
            self.unsent.extend_from_slice(&chunk[skipped..length]);
        }
    }
}

/// `None` where the call would block.
fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}
