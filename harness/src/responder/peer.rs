//! One connection to the responder: the query that arrives, then the answer that is sent.
//!
//! It holds no answer: contents are generated from the pattern when they are sent.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use quadrant_suite::board::TOKEN_BYTES;
use quadrant_suite::pattern;
use quadrant_suite::query::{QUERY_BYTES, Query};

/// Contents pass through a buffer of this size, however large the answer is.
pub(super) const SCRATCH_BYTES: usize = 64 * 1024;

pub(super) struct Peer {
    pub(super) socket: TcpStream,
    /// Which connection of this place it is: a due answer to an earlier one is not sent.
    pub(super) number: u64,
    query: [u8; QUERY_BYTES],
    received: usize,
    /// Whether a query of it was ever right.
    pub(super) is_known: bool,
    /// The query that was received and not answered yet.
    pub(super) asked: Option<Query>,
    /// What is being sent: where it is in the pattern, and the bytes left.
    identity: u64,
    position: u64,
    left: usize,
}

/// Why a connection is closed.
pub(super) enum End {
    /// It does not know the token.
    Stranger,
    Closed,
}

impl Peer {
    pub(super) fn new(socket: TcpStream, number: u64) -> Self {
        Self {
            socket,
            number,
            query: [0; QUERY_BYTES],
            received: 0,
            is_known: false,
            asked: None,
            identity: 0,
            position: 0,
            left: 0,
        }
    }

    /// Reads what has arrived. Returns the query once it is whole.
    pub(super) fn read_on(&mut self, token: [u8; TOKEN_BYTES]) -> Result<Option<Query>, End> {
        while self.received < QUERY_BYTES {
            match self.socket.read(&mut self.query[self.received..]) {
                Ok(0) => return Err(End::Closed),
                Ok(count) => self.received += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(End::Closed),
            }
            // As early as can be: a stranger may never send a whole query.
            let begun = self.received.min(TOKEN_BYTES);
            if self.query[..begun] != token[..begun] {
                return Err(End::Stranger);
            }
        }
        if self.asked.is_some() || self.left > 0 {
            // One at a time. Whatever has arrived waits in the socket.
            return Ok(None);
        }
        let query = Query::decode(&self.query);
        self.asked = Some(query);
        Ok(Some(query))
    }

    /// The answer is due.
    pub(super) fn begin(&mut self, answer_bytes: usize) {
        let Some(query) = self.asked.take() else { return };
        (self.identity, self.position) = (query.identity, query.position);
        self.left = answer_bytes;
        self.received = 0;
    }

    /// Sends as much of the answer as the socket takes. Any error ends the connection.
    pub(super) fn write_on(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        while self.left > 0 {
            let length = self.left.min(scratch.len());
            let chunk = &mut scratch[..length];
            pattern::fill(self.identity, self.position, chunk);
            match self.socket.write(chunk) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.left -= written;
                    self.position += written as u64;
                }
                // A new edge comes when the socket takes more.
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
