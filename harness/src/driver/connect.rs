//! Opening the connections without overrunning the subject's accept queue.
//!
//! A connect that finds the queue full is dropped by the kernel and tried again by it only a
//! second later. So few connects are pending at once, one that hangs is given up and repeated
//! soon, and a pause that doubles leaves the subject time to accept. Sends the token by which the
//! subject knows the driver, and nothing else.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use quadrant_suite::board::TOKEN_BYTES;

/// Connects that may be waiting for the subject at once.
const PENDING_MAX: usize = 16;
/// After this long the connect was dropped, not delayed: on loopback it takes microseconds.
const PENDING_LIMIT: Duration = Duration::from_millis(20);
const PAUSE_MIN: Duration = Duration::from_micros(500);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// What could be opened, and why not more.
pub(super) struct Opened {
    pub(super) sockets: Vec<TcpStream>,
    pub(super) obstacle: Option<String>,
}

/// Opens `wanted` connections to the local `port`, for at most `limit`, and begins each with
/// `token`. `give_up` is asked now and then.
pub(super) fn open(
    port: u16,
    token: [u8; TOKEN_BYTES],
    wanted: u32,
    limit: Duration,
    give_up: impl Fn() -> bool,
) -> io::Result<Opened> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let begun = Instant::now();
    let mut sockets = Vec::with_capacity(wanted as usize);
    let mut pending: VecDeque<(TcpStream, Instant)> = VecDeque::with_capacity(PENDING_MAX);
    let mut pause = PAUSE_MIN;
    let mut obstacle = "the subject did not accept them".to_owned();

    while sockets.len() < wanted as usize {
        let mut hindered = false;
        while pending.len() < PENDING_MAX && sockets.len() + pending.len() < wanted as usize {
            // A refusal may come at once; an error of our own, as too many open files, stays.
            match TcpStream::connect(address) {
                Ok(socket) => pending.push_back((socket, Instant::now())),
                Err(error) if is_transient(&error) => {
                    obstacle = error.to_string();
                    hindered = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        for _ in 0..pending.len() {
            let Some((socket, since)) = pending.pop_front() else {
                break;
            };
            let greeted = match progress(&socket) {
                Ok(true) => greet(&socket, token).map(|()| true),
                pending_or_error => pending_or_error,
            };
            match greeted {
                Ok(true) => {
                    sockets.push(socket);
                    pause = PAUSE_MIN;
                }
                Ok(false) if since.elapsed() < PENDING_LIMIT => {
                    pending.push_back((socket, since));
                    hindered = true;
                }
                Ok(false) => hindered = true,
                Err(error) if is_transient(&error) => {
                    obstacle = error.to_string();
                    hindered = true;
                }
                Err(error) => return Err(error),
            }
        }
        if hindered {
            if begun.elapsed() >= limit || give_up() {
                break;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    let missing = wanted as usize - sockets.len();
    let obstacle = (missing > 0).then(|| {
        format!(
            "{missing} of {wanted} connections could not be opened within {} ms: {obstacle}",
            limit.as_millis()
        )
    });
    Ok(Opened { sockets, obstacle })
}

/// Whether the connect is done; on loopback it usually is before it returns.
fn progress(socket: &TcpStream) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sends the token; a new socket has room for so few bytes.
fn greet(mut socket: &TcpStream, token: [u8; TOKEN_BYTES]) -> io::Result<()> {
    // Without it a request might wait for the answer to the one before.
    socket.set_nodelay(true)?;
    socket.write_all(&token)
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::TimedOut
            | io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
            // No local port is free for the moment.
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::AddrInUse
    )
}
