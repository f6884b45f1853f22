//! One connection: the request that is under way on it, and what has come back.
//!
//! It holds no buffer: contents are made from the pattern when they are sent and compared with it
//! as they arrive, so a thousand connections with messages of 16 MiB take no more memory than one
//! with a byte. It never reconnects.

use std::fmt;
use std::io::{self, Read, Write};

use mio::net::TcpStream;
use quadrant_suite::clock::Stamp;
use quadrant_suite::pattern;

/// Contents pass through a buffer of this size, however large the message is.
pub(super) const SCRATCH_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    /// Its own in the pattern, so that another connection's answer is not taken for one of ours.
    identity: u64,
    message_bytes: usize,
    /// Where in the pattern the request's contents begin. Requests follow each other without a
    /// gap, so an older answer differs from the one that is waited for.
    position: u64,
    /// Of the request under way; both 0 while there is none.
    sent: usize,
    received: usize,
    busy: bool,
    /// Whether the answer that is arriving already differed.
    wrong: bool,
    pub(super) sent_at: Stamp,
    pub(super) due_at: Stamp,
    /// When it was last answered, and so could carry the next request.
    pub(super) free_at: Stamp,
    pub(super) answers: u64,
    /// Whether its request is among those in flight; see [`super::tally::Tally`].
    pub(super) in_flight: bool,
    pub(super) served_in_window: bool,
}

/// How far an answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Pending,
    Right,
    Wrong,
}

/// Why a connection is of no more use.
#[derive(Debug)]
pub(super) enum Loss {
    Closed,
    /// More came back than was sent.
    Excess,
    Broken(io::Error),
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
            busy: false,
            wrong: false,
            sent_at: 0,
            due_at: 0,
            free_at: 0,
            answers: 0,
            in_flight: false,
            served_in_window: false,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// A new request; `write_on` sends it.
    pub(super) fn begin(&mut self, due_at: Stamp, sent_at: Stamp) {
        debug_assert!(!self.busy, "one request at a time");
        self.busy = true;
        self.due_at = due_at;
        self.sent_at = sent_at;
    }

    /// Sends as much of the request as the socket takes.
    #[inline]
    pub(super) fn write_on(&mut self, scratch: &mut [u8]) -> Result<(), Loss> {
        while self.busy && self.sent < self.message_bytes {
            let length = scratch.len().min(self.message_bytes - self.sent);
            let chunk = &mut scratch[..length];
            pattern::fill(self.identity, self.position + self.sent as u64, chunk);
            match self.socket.write(chunk) {
                Ok(0) => return Err(Loss::Closed),
                Ok(written) => self.sent += written,
                // A new edge comes when the socket takes more.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Loss::Broken(error)),
            }
        }
        Ok(())
    }

    /// Takes what has arrived, until the answer is whole or nothing more is there.
    ///
    /// After a whole answer it does not ask the socket again. Edges are not lost by that: the
    /// kernel raises one for every arrival of bytes, also when earlier ones were never drained,
    /// and the subject has nothing to send before it gets the next request. What it sends
    /// nevertheless was either in this same read, which asks for more than the answer has, or
    /// raises an edge of its own. An end of stream that was part of the edge already taken is the
    /// caller's to see in the event (`is_read_closed`).
    #[inline]
    pub(super) fn read_on(&mut self, scratch: &mut [u8]) -> Result<Answer, Loss> {
        loop {
            let arrived = match self.socket.read(scratch) {
                Ok(0) => return Err(Loss::Closed),
                Ok(arrived) => arrived,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Answer::Pending);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Loss::Broken(error)),
            };
            if self.received + arrived > self.sent {
                return Err(Loss::Excess);
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

impl Loss {
    /// The sentence for a connection that was lost after so many answers.
    pub(super) fn sentence(&self, answers: u64) -> String {
        let after = Answers(answers);
        match self {
            Loss::Closed => format!("the subject closed a connection after {after}"),
            Loss::Excess => {
                format!("the subject sent more bytes than it was sent, after {after}")
            }
            Loss::Broken(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                format!("the subject reset a connection after {after}")
            }
            Loss::Broken(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                format!("the subject closed a connection after {after}")
            }
            Loss::Broken(error) => format!("a connection failed after {after}: {error}"),
        }
    }
}

struct Answers(u64);

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.0 == 1 { "answer" } else { "answers" };
        write!(f, "{} {word}", self.0)
    }
}
