//! One echo connection as a state machine: receives a whole request and sends it back, repeatedly.
//!
//! It processes events and never waits itself. It avoids system calls whose result is known.

use std::io::{self, Read, Write};

use mio::event::Event;
use mio::net::TcpStream;
use quadrant_suite::board::TOKEN_BYTES;

use crate::HAS_EDGES;

/// System calls per turn of a connection.
const CALLS_PER_TURN: usize = 16;

pub(super) struct Connection {
    stream: TcpStream,
    /// What the driver's connections begin with.
    token: [u8; TOKEN_BYTES],
    message_bytes: usize,
    /// Longer than a message, see `receive`.
    buffer: Box<[u8]>,
    /// How much of the buffer was received.
    filled: usize,
    stage: Stage,
    /// Whether it may be possible to receive, or to send. Set by events, and reset only when a call
    /// has shown that another event will come.
    is_readable: bool,
    is_writable: bool,
    /// Whether the peer has ended its side: what is left to receive includes that end.
    has_peer_ended: bool,
    /// Whether its next turn is queued.
    pub(super) is_queued: bool,
}

#[derive(Clone, Copy)]
enum Stage {
    /// Bytes of the token received so far.
    Proving {
        proven: usize,
    },
    Receiving,
    /// `buffer[sent..end]` is still to be sent.
    Answering {
        sent: usize,
        end: usize,
    },
}

/// How a connection's turn ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing can be done before the next event.
    Waiting,
    /// It has used up its calls and could go on.
    Unfinished,
    /// The peer has ended.
    Closed { in_mid_request: bool },
    /// The peer is not the driver.
    Stranger,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, message_bytes: usize, token: [u8; TOKEN_BYTES]) -> Self {
        let room_beyond = message_bytes.clamp(1, 4_096);
        Self {
            stream,
            token,
            message_bytes,
            buffer: vec![0; message_bytes + room_beyond].into_boxed_slice(),
            filled: 0,
            stage: Stage::Proving { proven: 0 },
            is_readable: false,
            // A new connection can usually send; otherwise the first send would block.
            is_writable: true,
            has_peer_ended: false,
            is_queued: false,
        }
    }

    pub(super) fn note(&mut self, event: &Event) {
        self.has_peer_ended |= event.is_read_closed() || event.is_error();
        self.is_readable |= event.is_readable() || self.has_peer_ended;
        self.is_writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// Receives and answers until it has to wait, or its turn is over.
    pub(super) fn advance(&mut self) -> io::Result<Turn> {
        for _ in 0..CALLS_PER_TURN {
            let waiting_or_closed = match self.stage {
                Stage::Proving { proven } => self.prove(proven)?,
                Stage::Receiving => self.receive()?,
                Stage::Answering { sent, end } => self.answer(sent, end)?,
            };
            if let Some(turn) = waiting_or_closed {
                return Ok(turn);
            }
        }
        Ok(Turn::Unfinished)
    }

    /// Receives the rest of the token, and nothing of the request that follows.
    fn prove(&mut self, proven: usize) -> io::Result<Option<Turn>> {
        if !self.is_readable {
            return Ok(Some(Turn::Waiting));
        }
        let mut bytes = [0; TOKEN_BYTES];
        match self.stream.read(&mut bytes[proven..]) {
            Ok(0) => return Ok(Some(Turn::Stranger)),
            Ok(received) => {
                let now = proven + received;
                if bytes[proven..now] != self.token[proven..now] {
                    return Ok(Some(Turn::Stranger));
                }
                let is_whole = now == TOKEN_BYTES;
                self.stage =
                    if is_whole { Stage::Receiving } else { Stage::Proving { proven: now } };
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => self.is_readable = false,
                io::ErrorKind::Interrupted => {}
                _ => return Ok(Some(Turn::Stranger)),
            },
        }
        Ok(None)
    }

    /// Always requests more bytes than the rest of the message, so a whole message is a short read.
    /// It proves without another call that the socket is empty and that new data will be a new edge.
    /// Exception: if the peer had closed before the event, its end belongs to the same edge, so it
    /// continues to read. Where edges are emulated, another call is needed.
    fn receive(&mut self) -> io::Result<Option<Turn>> {
        if !self.is_readable {
            return Ok(Some(Turn::Waiting));
        }
        let room = &mut self.buffer[self.filled..];
        let asked = room.len();
        match self.stream.read(room) {
            Ok(0) => return Ok(Some(Turn::Closed { in_mid_request: self.filled > 0 })),
            Ok(received) => {
                self.is_readable = received == asked || self.has_peer_ended || !HAS_EDGES;
                self.filled += received;
                let end = self.filled - self.filled % self.message_bytes;
                if end > 0 {
                    self.stage = Stage::Answering { sent: 0, end };
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => self.is_readable = false,
                io::ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
        }
        Ok(None)
    }

    /// A partial send has filled the socket; when it becomes writable again, that is a new edge.
    fn answer(&mut self, sent: usize, end: usize) -> io::Result<Option<Turn>> {
        if !self.is_writable {
            return Ok(Some(Turn::Waiting));
        }
        match self.stream.write(&self.buffer[sent..end]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) if sent + count < end => {
                self.is_writable = !HAS_EDGES;
                self.stage = Stage::Answering { sent: sent + count, end };
            }
            Ok(_) => {
                // The beginning of the next request, if any, moves to the front.
                self.buffer.copy_within(end..self.filled, 0);
                self.filled -= end;
                self.stage = Stage::Receiving;
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => self.is_writable = false,
                io::ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Interest, Poll, Token};
    use std::net::{Shutdown, TcpStream as Peer};
    use std::thread;
    use std::time::Duration;

    const TOKEN: [u8; TOKEN_BYTES] = *b"quadrant";

    /// Serves the driver's connection until it is closed.
    fn serve(message_bytes: usize, peer: impl FnOnce(Peer) + Send + 'static) {
        let driver = move |mut socket: Peer| {
            socket.write_all(&TOKEN).unwrap();
            peer(socket);
        };
        assert_eq!(ending(message_bytes, driver), Turn::Closed { in_mid_request: false });
    }

    /// How one connection ends.
    fn ending(message_bytes: usize, peer: impl FnOnce(Peer) + Send + 'static) -> Turn {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Peer::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nodelay(true).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut stream = TcpStream::from_std(stream);
        let mut poll = Poll::new().unwrap();
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(0), interest).unwrap();
        let mut connection = Connection::new(stream, message_bytes, TOKEN);
        let peer = thread::spawn(move || peer(client));
        let mut events = Events::with_capacity(8);
        // An edge that was lost leaves the loop waiting: better a failure than that.
        let patience = Some(Duration::from_secs(20));
        loop {
            poll.poll(&mut events, patience).unwrap();
            assert!(!events.is_empty(), "nothing comes any more");
            for event in &events {
                connection.note(event);
            }
            loop {
                match connection.advance().unwrap() {
                    Turn::Unfinished => {}
                    Turn::Waiting => break,
                    end => {
                        drop(connection);
                        peer.join().unwrap();
                        return end;
                    }
                }
            }
        }
    }

    fn request(number: usize, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (number * 31 + at * 7 + at / 251) as u8).collect()
    }

    fn expect_answer(peer: &mut Peer, number: usize, bytes: usize) {
        let mut answer = vec![0; bytes];
        peer.read_exact(&mut answer).unwrap();
        assert!(answer == request(number, bytes), "answer {number} is wrong");
    }

    #[test]
    fn requests_of_all_sizes_come_back_one_by_one() {
        for bytes in [1, 2, 64, 4_095, 4_096, 4_097, 70_000] {
            serve(bytes, move |mut peer| {
                for number in 0..50 {
                    peer.write_all(&request(number, bytes)).unwrap();
                    expect_answer(&mut peer, number, bytes);
                }
            });
        }
    }

    #[test]
    fn requests_in_crumbs_are_put_together() {
        serve(64, |mut peer| {
            let stream: Vec<u8> = (0..40).flat_map(|number| request(number, 64)).collect();
            for (crumb, bytes) in stream.chunks(7).enumerate() {
                peer.write_all(bytes).unwrap();
                if crumb % 3 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            for number in 0..40 {
                expect_answer(&mut peer, number, 64);
            }
        });
    }

    #[test]
    fn a_peer_in_a_hurry_gets_every_answer_in_order() {
        serve(100, |mut peer| {
            for burst in 0..20 {
                let requests: Vec<u8> =
                    (0..200).flat_map(|number| request(burst * 200 + number, 100)).collect();
                peer.write_all(&requests).unwrap();
                for number in 0..200 {
                    expect_answer(&mut peer, burst * 200 + number, 100);
                }
            }
        });
    }

    #[test]
    fn a_peer_that_does_not_read_is_waited_for() {
        const BYTES: usize = 8 << 20; // more than both sockets hold
        serve(BYTES, |mut peer| {
            for number in 0..3 {
                peer.write_all(&request(number, BYTES)).unwrap();
                thread::sleep(Duration::from_millis(20));
                expect_answer(&mut peer, number, BYTES);
            }
        });
    }

    #[test]
    fn an_end_told_together_with_the_last_request_is_seen() {
        serve(64, |mut peer| {
            peer.write_all(&request(0, 64)).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            expect_answer(&mut peer, 0, 64);
            assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
        });
    }

    #[test]
    fn an_end_without_a_request_is_seen() {
        serve(64, drop);
    }

    #[test]
    fn a_token_in_crumbs_is_put_together() {
        let end = ending(1, |mut peer| {
            for byte in TOKEN {
                peer.write_all(&[byte]).unwrap();
                thread::sleep(Duration::from_millis(1));
            }
            peer.write_all(&request(0, 1)).unwrap();
            expect_answer(&mut peer, 0, 1);
        });
        assert_eq!(end, Turn::Closed { in_mid_request: false });
    }

    #[test]
    fn a_connection_without_the_token_is_a_strangers() {
        let almost = |mut peer: Peer| peer.write_all(b"quadranT and more").unwrap();
        let half = |mut peer: Peer| peer.write_all(b"quad").unwrap();
        assert_eq!(ending(64, almost), Turn::Stranger);
        assert_eq!(ending(64, half), Turn::Stranger);
        assert_eq!(ending(64, drop), Turn::Stranger);
    }
}
