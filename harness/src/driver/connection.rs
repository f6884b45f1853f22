//! One connection: its requests in flight and the part of the next answer that has arrived.
//!
//! It holds no buffer: contents are generated from the pattern when they are sent and compared with
//! it as they arrive, so a thousand connections with messages of 16 MiB take no more memory than
//! one with a byte. It never decides when to send, to read or to reconnect.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use quadrant_suite::clock::Stamp;
use quadrant_suite::pattern;
use quadrant_suite::plan::LENGTH_BYTES;

/// Contents pass through a buffer of this size, however large the message is.
pub(super) const SCRATCH_BYTES: usize = 256 * 1024;

/// A request that was begun and not wholly answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) due_at: Stamp,
    pub(super) sent_at: Stamp,
    bytes: usize,
    /// Where in the pattern its contents begin. Requests follow each other without a gap, so an
    /// older answer differs from the expected one.
    position: u64,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: TcpStream,
    /// Its own number in the pattern: an answer that belongs to another connection is wrong.
    identity: u64,
    /// Which of the order's groups it belongs to.
    pub(super) group: usize,
    /// Whether each request begins with its length.
    with_lengths: bool,
    /// Where in the pattern the next request begins.
    position: u64,
    /// In flight, the one that is answered next first.
    pub(super) requests: VecDeque<Request>,
    /// How many of them were sent whole, and how much of the one after those.
    sent_whole: usize,
    sent: usize,
    /// Bytes sent whose answer has not arrived.
    unread: usize,
    /// Of the answer that is arriving: its bytes, and whether it has already differed.
    received: usize,
    wrong: bool,
    /// Not before this moment, because of a pause.
    pub(super) may_send_at: Stamp,
    pub(super) may_read_at: Stamp,
    /// When the last answer was complete, so that the next request could be sent.
    pub(super) free_at: Stamp,
    pub(super) answers: u64,
    pub(super) served_in_window: bool,
    /// Of clients that reconnect: when this connection was begun, whether it still is not open, and
    /// how many requests were begun on it.
    pub(super) began_at: Stamp,
    pub(super) is_connecting: bool,
    pub(super) begun: u32,
}

/// Whether an answer is what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Right,
    Wrong,
}

impl Connection {
    pub(super) fn new(socket: TcpStream, identity: u64, group: usize, with_lengths: bool) -> Self {
        Self {
            socket,
            identity,
            group,
            with_lengths,
            position: 0,
            requests: VecDeque::new(),
            sent_whole: 0,
            sent: 0,
            unread: 0,
            received: 0,
            wrong: false,
            may_send_at: 0,
            may_read_at: 0,
            free_at: 0,
            answers: 0,
            served_in_window: false,
            began_at: 0,
            is_connecting: false,
            begun: 0,
        }
    }

    /// Goes on with a new connection, which was begun at `at`. No request is in flight.
    pub(super) fn renew(&mut self, socket: TcpStream, at: Stamp) {
        self.socket = socket;
        self.began_at = at;
        self.is_connecting = true;
        self.begun = 0;
    }

    /// Begins a request; `write_on` sends it.
    #[inline]
    pub(super) fn begin(&mut self, due_at: Stamp, sent_at: Stamp, bytes: usize) {
        self.requests.push_back(Request { due_at, sent_at, bytes, position: self.position });
        self.position += bytes as u64;
        self.begun += 1;
    }

    /// Whether some of its requests was not sent whole.
    pub(super) fn is_unsent(&self) -> bool {
        self.sent_whole < self.requests.len()
    }

    /// Sends what the socket takes, up to `most` bytes; returns how many. Any error ends the
    /// connection.
    #[inline]
    pub(super) fn write_on(&mut self, scratch: &mut [u8], most: usize) -> io::Result<usize> {
        let mut total = 0;
        while total < most && self.is_unsent() {
            let length = scratch.len().min(most - total);
            let length = self.fill(&mut scratch[..length]);
            match self.socket.write(&scratch[..length]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(written) => {
                    total += written;
                    self.count_sent(written);
                }
                // A new edge comes when the socket takes more.
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    /// Fills the buffer with what is to be sent next, and returns how much that is.
    #[inline]
    fn fill(&self, buffer: &mut [u8]) -> usize {
        let (mut at, mut sent) = (0, self.sent);
        for request in self.requests.range(self.sent_whole..) {
            let length = (request.bytes - sent).min(buffer.len() - at);
            let chunk = &mut buffer[at..at + length];
            pattern::fill(self.identity, request.position + sent as u64, chunk);
            if self.with_lengths && sent < LENGTH_BYTES {
                let header = &(request.bytes as u32).to_le_bytes()[sent..];
                let common = header.len().min(length);
                chunk[..common].copy_from_slice(&header[..common]);
            }
            at += length;
            sent = 0;
            if at == buffer.len() {
                break;
            }
        }
        at
    }

    #[inline]
    fn count_sent(&mut self, mut bytes: usize) {
        self.unread += bytes;
        while bytes > 0 {
            let left = self.requests[self.sent_whole].bytes - self.sent;
            if bytes < left {
                self.sent += bytes;
                return;
            }
            bytes -= left;
            self.sent_whole += 1;
            self.sent = 0;
        }
    }

    /// Reads once; `None` if nothing has arrived. Any error ends the connection.
    ///
    /// A read that does not fill the buffer has emptied the socket, which therefore is not read again
    /// before the next edge: the kernel raises one for every arrival of bytes. Excess bytes either
    /// were in this same read, which asks for more than the answers have, or raise an edge of their
    /// own. An end of stream that was part of the edge already handled shows in the event
    /// (`is_read_closed`), which the caller has to check.
    #[inline]
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.socket.read(scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(arrived) if arrived > self.unread => return Err(ErrorKind::InvalidData.into()),
                Ok(arrived) => {
                    self.unread -= arrived;
                    return Ok(Some(arrived));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the next answer from the bytes that were read, if it is complete with them.
    #[inline]
    pub(super) fn take_answer(&mut self, arrived: &mut &[u8]) -> Option<(Request, Answer)> {
        let request = *self.requests.front()?;
        let length = arrived.len().min(request.bytes - self.received);
        let (bytes, rest) = arrived.split_at(length);
        *arrived = rest;
        self.wrong |= !self.is_right(&request, bytes);
        self.received += length;
        if self.received < request.bytes {
            return None;
        }
        let answer = if self.wrong { Answer::Wrong } else { Answer::Right };
        self.requests.pop_front();
        self.sent_whole -= 1;
        self.wrong = false;
        self.received = 0;
        self.answers += 1;
        Some((request, answer))
    }

    #[inline]
    fn is_right(&self, request: &Request, mut bytes: &[u8]) -> bool {
        let mut at = self.received;
        if self.with_lengths && at < LENGTH_BYTES {
            let header = &(request.bytes as u32).to_le_bytes()[at..];
            let common = header.len().min(bytes.len());
            let (seen, rest) = bytes.split_at(common);
            if seen != &header[..common] {
                return false;
            }
            (at, bytes) = (at + common, rest);
        }
        pattern::matches(self.identity, request.position + at as u64, bytes)
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
