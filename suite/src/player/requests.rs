//! The requests that arrive on a connection: a buffer, and where in it the current one lies.
//!
//! Never reads by itself; the runtime's own calls fill the buffer.

use std::ops::Range;

use crate::links::SPARE_BYTES;
use crate::plan::{LENGTH_BYTES, Server};

/// Where lengths differ: enough for several small requests. It grows for a larger one.
const BUFFER_BYTES: usize = 4_096;

pub(super) struct Requests {
    pub(super) buffer: Vec<u8>,
    /// The current request.
    start: usize,
    end: usize,
    /// Bytes received; those after `end` belong to the next requests.
    filled: usize,
    /// Size of every request, or of the largest.
    bytes: usize,
    with_lengths: bool,
}

impl Requests {
    pub(super) fn of(server: &Server) -> Self {
        let bytes = server.message_bytes;
        let buffer_bytes = if server.with_lengths { BUFFER_BYTES } else { bytes + SPARE_BYTES };
        Self::new(buffer_bytes, bytes, server.with_lengths)
    }

    /// Requests of this size, of which the next may arrive before the current one is answered.
    pub(super) fn exactly(bytes: usize) -> Self {
        Self::new(bytes, bytes, false)
    }

    /// For a task without a connection: allocates nothing, because an operation may spawn many.
    pub(super) fn none() -> Self {
        Self::new(0, 0, false)
    }

    fn new(buffer_bytes: usize, bytes: usize, with_lengths: bool) -> Self {
        Self { buffer: vec![0; buffer_bytes], start: 0, end: 0, filled: 0, bytes, with_lengths }
    }

    /// Goes on to the next request, if it has arrived whole.
    pub(super) fn advance(&mut self) -> Result<bool, &'static str> {
        let arrived = self.filled - self.end;
        let bytes = match self.with_lengths {
            false => self.bytes,
            true => match self.length() {
                Some(bytes) if bytes < LENGTH_BYTES || bytes > self.bytes => {
                    return Err("recv: the request begins with a length that no request has");
                }
                Some(bytes) => bytes,
                None => return Ok(false),
            },
        };
        if arrived < bytes {
            return Ok(false);
        }
        if arrived > bytes && !self.with_lengths {
            return Err("recv: more came than the request");
        }
        self.start = self.end;
        self.end += bytes;
        Ok(true)
    }

    /// Where the next bytes belong. To be called when there is no whole request.
    pub(super) fn room(&mut self) -> Range<usize> {
        if self.end > 0 {
            self.buffer.copy_within(self.end..self.filled, 0);
            self.filled -= self.end;
            (self.start, self.end) = (0, 0);
        }
        if self.with_lengths {
            let bytes = self.length().unwrap_or(0).min(self.bytes);
            if self.buffer.len() < bytes + SPARE_BYTES {
                self.buffer.resize(bytes + SPARE_BYTES, 0);
            }
        }
        self.filled..self.buffer.len()
    }

    /// Counts bytes that were read into the room.
    pub(super) fn add(&mut self, bytes: usize) {
        self.filled += bytes;
    }

    /// Whether no part of a request has arrived beyond the current one.
    pub(super) fn is_at_end(&self) -> bool {
        self.filled == self.end
    }

    /// Where the current request lies in the buffer.
    pub(super) fn current(&self) -> Range<usize> {
        self.start..self.end
    }

    /// That of the next request, once it is known.
    fn length(&self) -> Option<usize> {
        let bytes = self.buffer[self.end..self.filled].first_chunk::<LENGTH_BYTES>()?;
        Some(u32::from_le_bytes(*bytes) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(bytes: usize) -> Vec<u8> {
        let mut request = vec![bytes as u8; bytes];
        request[..LENGTH_BYTES].copy_from_slice(&(bytes as u32).to_le_bytes());
        request
    }

    /// The lengths of the requests that come out if the stream is read `at_a_time` bytes at a time.
    fn taken(stream: &[u8], at_a_time: usize) -> Vec<usize> {
        let server =
            Server { program: 0, message_bytes: 9_000, connections: 1, ..Server::default() };
        let mut requests = Requests::of(&Server { with_lengths: true, ..server });
        let (mut left, mut lengths) = (stream, Vec::new());
        loop {
            while requests.advance().unwrap() {
                let current = requests.current();
                assert_eq!(requests.buffer[current.clone()], request(current.len()));
                lengths.push(current.len());
            }
            if left.is_empty() {
                assert!(requests.is_at_end());
                return lengths;
            }
            let room = requests.room();
            let bytes = room.len().min(at_a_time).min(left.len());
            assert!(bytes > 0, "no room");
            requests.buffer[room.start..][..bytes].copy_from_slice(&left[..bytes]);
            requests.add(bytes);
            left = &left[bytes..];
        }
    }

    #[test]
    fn requests_of_all_lengths_are_told_apart() {
        let lengths = [4, 64, 9_000, 5, 4_096, 4_095, 4, 4];
        let stream: Vec<u8> = lengths.iter().flat_map(|bytes| request(*bytes)).collect();
        for at_a_time in [1, 3, 64, 5_000, 100_000] {
            assert_eq!(taken(&stream, at_a_time), lengths, "{at_a_time}");
        }
    }

    #[test]
    fn an_impossible_length_is_refused() {
        for bytes in [0_u32, 3, 9_001, u32::MAX] {
            let server = Server { message_bytes: 9_000, with_lengths: true, ..Server::default() };
            let mut requests = Requests::of(&server);
            let room = requests.room();
            requests.buffer[room.start..][..4].copy_from_slice(&bytes.to_le_bytes());
            requests.add(4);
            assert!(requests.advance().is_err(), "{bytes}");
        }
    }

    #[test]
    fn more_than_one_request_of_fixed_size_is_refused() {
        let server = Server { message_bytes: 2, ..Server::default() };
        let mut requests = Requests::of(&server);
        assert_eq!(requests.room(), 0..3);
        requests.add(2);
        assert_eq!(requests.advance(), Ok(true));
        assert_eq!((requests.current(), requests.room()), (0..2, 0..3));
        requests.add(3);
        assert!(requests.advance().is_err());
    }
}
