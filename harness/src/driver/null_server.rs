//! A server that does nothing but echo, as cheaply as the driver asks.
//!
//! The driver's ceiling is what it reaches against this one. It skips the token that a connection
//! begins with, never looks at what it echoes and never closes a connection by itself.

use std::io::{self, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use quadrant_suite::board::TOKEN_BYTES;

const LISTENER: Token = Token(usize::MAX);
const CHUNK_BYTES: usize = 64 * 1024;

struct Peer {
    socket: TcpStream,
    /// Bytes of the token that did not come yet.
    token_left: usize,
    /// What the socket did not take yet; nothing is read before it is gone.
    unsent: Vec<u8>,
}

/// Serves connections of `listener` for the rest of the process.
pub fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut events = Events::with_capacity(1_024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
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
}

fn accept(listener: &TcpListener, poll: &Poll, peers: &mut Vec<Option<Peer>>) -> io::Result<()> {
    loop {
        let mut socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        socket.set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut socket, Token(peers.len()), interest)?;
        peers.push(Some(Peer { socket, token_left: TOKEN_BYTES, unsent: Vec::new() }));
    }
}

impl Peer {
    fn echo(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match would_block(self.socket.write(&self.unsent))? {
                Some(sent) => drop(self.unsent.drain(..sent)),
                None => return Ok(()),
            }
        }
        loop {
            let Some(length) = would_block(self.socket.read(chunk))? else {
                return Ok(());
            };
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut sent = self.token_left.min(length);
            self.token_left -= sent;
            while sent < length {
                match would_block(self.socket.write(&chunk[sent..length]))? {
                    Some(more) => sent += more,
                    None => {
                        self.unsent.extend_from_slice(&chunk[sent..length]);
                        return Ok(());
                    }
                }
            }
            // A short read emptied the socket; what comes later raises an edge of its own.
            if length < chunk.len() {
                return Ok(());
            }
        }
    }
}

fn would_block(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),

        Err(error) => Err(error),
    }
}
