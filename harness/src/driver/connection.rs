//! One connection: its current request and the part of the answer that has arrived.
//!
//! It holds no buffer: contents are generated from the pattern when they are sent and compared with
//! it as they arrive, so a thousand connections with messages of 16 MiB take no more memory than
//! one with a byte. It never reconnects.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use quadrant_suite::clock::Stamp;
use quadrant_suite::pattern;

/// Contents pass through a buffer of this size, however large the message is.
pub(super) const SCRATCH_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    /// Its own number in the pattern: an answer that belongs to another connection is wrong.
    identity: u64,
    message_bytes: usize,
    /// Where in the pattern the request's contents begin. Requests follow each other without a
    /// gap, so an older answer differs from the expected one.
    position: u64,
    /// Bytes of the current request and its answer; both 0 while there is none.
    sent: usize,
    received: usize,
    /// Whether the answer that is arriving has already differed.
    wrong: bool,
    /// Whether a request was begun and not wholly answered.
    pub(super) busy: bool,
    pub(super) sent_at: Stamp,
    pub(super) due_at: Stamp,
    /// When the last answer was complete, so that the next request could be sent.
    pub(super) free_at: Stamp,
    pub(super) answers: u64,
    pub(super) served_in_window: bool,
}

/// How far an answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Pending,
    Right,
    Wrong,
}

impl Connection {
    pub(super) fn new(socket: TcpStream, identity: u64, message_bytes: usize) -> Self {
        Self {
            socket,
            identity,
            message_bytes,
            position: 0,
            sent: 0,
            received: 0,
            wrong: false,
            busy: false,
            sent_at: 0,
            due_at: 0,
            free_at: 0,
            answers: 0,
            served_in_window: false,
        }
    }

    /// Begins a request; `write_on` sends it.
    pub(super) fn begin(&mut self, due_at: Stamp, sent_at: Stamp) {
        debug_assert!(!self.busy, "one request at a time");
        self.busy = true;
        self.due_at = due_at;
        self.sent_at = sent_at;
    }

    /// Sends as much of the request as the socket takes. Any error ends the connection.
    #[inline]
    pub(super) fn write_on(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        while self.busy && self.sent < self.message_bytes {
            let length = scratch.len().min(self.message_bytes - self.sent);
            let chunk = &mut scratch[..length];
            pattern::fill(self.identity, self.position + self.sent as u64, chunk);
            match self.socket.write(chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(written) => self.sent += written,
                // A new edge comes when the socket takes more.
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what has arrived, until the answer is complete or the socket is empty. Any error ends
    /// the connection.
    ///
    /// After a complete answer the socket is not read again. No edge is lost by that: the kernel
    /// raises one for every arrival of bytes, also when earlier ones were never drained, and the
    /// subject has nothing to send before it gets the next request. Excess bytes either were in this
    /// same read, which asks for more than the answer has, or raise an edge of their own. An end of
    /// stream that was part of the edge already handled shows in the event (`is_read_closed`), which
    /// the caller has to check.
    #[inline]
    pub(super) fn read_on(&mut self, scratch: &mut [u8]) -> io::Result<Answer> {
        loop {
            let arrived = match self.socket.read(scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(arrived) => arrived,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Answer::Pending),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if self.received + arrived > self.sent {
                return Err(ErrorKind::InvalidData.into());
            }
            let at = self.position + self.received as u64;
            self.wrong |= !pattern::matches(self.identity, at, &scratch[..arrived]);
            self.received += arrived;
            if self.received == self.message_bytes {
                return Ok(self.complete());
            }
        }
    }

    fn complete(&mut self) -> Answer {
        let answer = if self.wrong { Answer::Wrong } else { Answer::Right };
        self.busy = false;
        self.wrong = false;
        self.sent = 0;
        self.received = 0;
        self.position += self.message_bytes as u64;
        self.answers += 1;
        answer
    }
}

/// The message for a connection that ended with `error` after this many answers.
pub(super) fn loss(error: &io::Error, answers: u64) -> String {
    let after = format!("after {answers} answer{}", if answers == 1 { "" } else { "s" });
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
            format!("the subject closed a connection {after}")
        }
        ErrorKind::ConnectionReset => format!("the subject reset a connection {after}"),
        ErrorKind::InvalidData => format!("the subject sent more bytes than it was sent, {after}"),
        _ => format!("a connection failed {after}: {error}"),
    }
}
