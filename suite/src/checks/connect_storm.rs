//! Many clients that connect to one port at the same time, on one thread of the system.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{bind, connect};

use super::lab::percentile;
use crate::plain_calls::{begin_connect, stream_socket};

pub(super) struct Storm {
    /// Time from the call to the connection. A client that is refused counts with its end.
    pub(super) p99: Duration,
    pub(super) refused: usize,
}

/// Connects all of them, and then one more, whose port is published before it connects.
pub(super) fn run(port: u16, clients: usize, last: &AtomicU16) -> io::Result<Storm> {
    const LIMIT: Duration = Duration::from_secs(10);
    const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let begun = Instant::now();
    let mut waiting = Vec::with_capacity(clients);
    let (mut connected, mut times, mut refused) = (Vec::new(), Vec::new(), 0);
    for _ in 0..clients {
        let socket = stream_socket(address)?;
        let called = Instant::now();
        match begin_connect(&socket, address) {
            Ok(()) => waiting.push((socket, called)),
            Err(_) => refused += 1,
        }
    }
    while !waiting.is_empty() && begun.elapsed() < LIMIT {
        let mut looked_at: Vec<PollFd> =
            waiting.iter().map(|(socket, _)| PollFd::new(socket, PollFlags::OUT)).collect();
        match poll(&mut looked_at, Some(&LOOK_EVERY)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready: Vec<bool> = looked_at.iter().map(|it| !it.revents().is_empty()).collect();
        let now = Instant::now();
        let all: Vec<(TcpStream, Instant)> = std::mem::take(&mut waiting);
        for ((socket, called), is_ready) in all.into_iter().zip(is_ready) {
            if !is_ready {
                waiting.push((socket, called));
                continue;
            }
            times.push(now - called);
            match socket.take_error() {
                Ok(None) => connected.push(socket),
                _ => refused += 1,
            }
        }
    }
    refused += waiting.len();
    times.extend(waiting.iter().map(|(_, called)| called.elapsed()));
    let p99 = percentile(times, 99);
    // By calls of the system, because std does not bind before it connects.
    let socket = stream_socket(address)?;
    socket.set_nonblocking(false)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    last.store(socket.local_addr()?.port(), SeqCst);
    connect(&socket, &address)?;
    drop((connected, socket));
    Ok(Storm { p99, refused })
}
