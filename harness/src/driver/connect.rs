//! Opens the connections without overrunning the subject's accept queue.
//!
//! When the queue is full, the kernel drops a connect and repeats it only a second later. So a
//! connect that does not succeed within a few milliseconds is given up and repeated, after a pause
//! that doubles. Sends the token that identifies the driver to the subject, and nothing else.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use quadrant_suite::board::TOKEN_BYTES;
use quadrant_suite::plain_calls;
use rustix::net::sockopt;

use super::order::Order;
use crate::system::connecting::wait_until_connected;

/// On loopback a connect takes microseconds: one that takes this long was dropped.
const CONNECT_MAX: Duration = Duration::from_millis(20);
/// Elsewhere a connect takes a round trip, and the kernel itself repeats what was dropped.
const REMOTE_CONNECT_MAX: Duration = Duration::from_secs(3);
const PAUSE_MIN: Duration = Duration::from_micros(500);
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// A source address has some 28,000 ports, and with most of them taken a free one is found slowly.
const CONNECTIONS_PER_SOURCE: usize = 10_000;
/// For a client that reads slowly: as little as the system allows.
const SMALL_RECEIVE_BUFFER: usize = 1;

/// What the connections lead to.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    /// A connection to a subject begins with it.
    pub(super) token: Option<[u8; TOKEN_BYTES]>,
}

impl Target {
    pub(super) fn of(order: &Order, token: [u8; TOKEN_BYTES]) -> Self {
        match order.server {
            Some(address) => Self { address, token: None },
            None => Self { address: (Ipv4Addr::LOCALHOST, order.port).into(), token: Some(token) },
        }
    }

    /// Begins to connect; the socket becomes writable when that has succeeded or failed. Client
    /// number `number` of the load has its source address.
    pub(super) fn begin(&self, number: usize, reads_slowly: bool) -> io::Result<TcpStream> {
        let socket = plain_calls::stream_socket(self.address)?;
        // With Nagle's algorithm a request might wait for the acknowledgement of the one before.
        socket.set_nodelay(true)?;
        if reads_slowly {
            sockopt::set_socket_recv_buffer_size(&socket, SMALL_RECEIVE_BUFFER)?;
        }
        let source = (number / CONNECTIONS_PER_SOURCE) as u32;
        if self.address.ip() == Ipv4Addr::LOCALHOST && source > 0 {
            let source = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + source);
            rustix::net::bind(&socket, &SocketAddrV4::new(source, 0))?;
        }
        plain_calls::begin_connect(&socket, self.address)?;
        Ok(socket)
    }

    fn connect(&self, number: usize, reads_slowly: bool) -> io::Result<TcpStream> {
        let mut socket = self.begin(number, reads_slowly)?;
        let is_near = self.address.ip().is_loopback();
        let limit = if is_near { CONNECT_MAX } else { REMOTE_CONNECT_MAX };
        wait_until_connected(&socket, limit)?;
        if let Some(token) = &self.token {
            socket.write_all(token)?;
        }
        Ok(socket)
    }
}

/// Opens a connection for each of `clients`, in their order, for at most `limit` or until `give_up`.
/// A client is true if it reads slowly. Also returns the error if there are fewer connections than
/// clients.
pub(super) fn open(
    target: &Target,
    clients: &[bool],
    limit: Duration,
    give_up: impl Fn() -> bool,
) -> io::Result<(Vec<TcpStream>, Option<String>)> {
    let began = Instant::now();
    let wanted = clients.len();
    let mut sockets = Vec::with_capacity(wanted);
    let mut pause = PAUSE_MIN;
    while sockets.len() < wanted {
        let number = sockets.len();
        let error = match target.connect(number, clients[number]) {
            Ok(socket) => {
                sockets.push(socket);
                pause = PAUSE_MIN;
                if sockets.len() == wanted || began.elapsed() < limit {
                    continue;
                }
                "the time was over before they were tried".to_owned()
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                "the subject did not accept them".to_owned()
            }
            Err(error) if is_transient(&error) => error.to_string(),
            Err(error) => return Err(error),
        };
        if began.elapsed() >= limit || give_up() {
            let error = format!(
                "{} of {wanted} connections could not be opened within {} ms: {error}",
                wanted - sockets.len(),
                limit.as_millis()
            );
            return Ok((sockets, Some(error)));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok((sockets, None))
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::WouldBlock
            | ErrorKind::Interrupted
            // No local port is free at the moment.
            | ErrorKind::AddrNotAvailable
            | ErrorKind::AddrInUse
    )
}
