//! Opens the connections without overrunning the subject's accept queue.
//!
//! When the queue is full, the kernel drops a connect and repeats it only a second later. So a
//! connect that does not succeed within a few milliseconds is given up and repeated, after a pause
//! that doubles. Sends the token that identifies the driver to the subject, and nothing else.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use quadrant_suite::board::TOKEN_BYTES;

use super::order::Order;

/// On loopback a connect takes microseconds: one that takes this long was dropped.
const CONNECT_MAX: Duration = Duration::from_millis(20);
/// Elsewhere a connect takes a round trip, and the kernel itself repeats what was dropped.
const REMOTE_CONNECT_MAX: Duration = Duration::from_secs(3);
const PAUSE_MIN: Duration = Duration::from_micros(500);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// What the connections lead to.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    /// A connection to a subject begins with it.
    token: Option<[u8; TOKEN_BYTES]>,
}

impl Target {
    pub(super) fn of(order: &Order, token: [u8; TOKEN_BYTES]) -> Self {
        match order.server {
            Some(address) => Self { address, token: None },
            None => Self { address: (Ipv4Addr::LOCALHOST, order.port).into(), token: Some(token) },
        }
    }
}

/// Opens `wanted` connections, for at most `limit` or until `give_up`. Also returns the error if they
/// are fewer than wanted.
pub(super) fn open(
    target: &Target,
    wanted: u32,
    limit: Duration,
    give_up: impl Fn() -> bool,
) -> io::Result<(Vec<TcpStream>, Option<String>)> {
    let began = Instant::now();
    let mut sockets = Vec::with_capacity(wanted as usize);
    let mut pause = PAUSE_MIN;
    while sockets.len() < wanted as usize {
        let error = match connect(target) {
            Ok(socket) => {
                sockets.push(socket);
                pause = PAUSE_MIN;
                continue;
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
                wanted as usize - sockets.len(),
                limit.as_millis()
            );
            return Ok((sockets, Some(error)));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok((sockets, None))
}

fn connect(Target { address, token }: &Target) -> io::Result<TcpStream> {
    let is_near = address.ip().is_loopback();
    let limit = if is_near { CONNECT_MAX } else { REMOTE_CONNECT_MAX };
    let mut socket = TcpStream::connect_timeout(address, limit)?;
    // With Nagle's algorithm a request might wait for the acknowledgement of the one before.
    socket.set_nodelay(true)?;
    if let Some(token) = token {
        socket.write_all(token)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
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
