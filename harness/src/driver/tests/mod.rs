//! The driver against servers of known behaviour, in threads of this process.

mod answers;
mod arrivals;
mod connections;
mod habits;
mod open_loop;
mod pace;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quadrant_suite::board::{Phase, TOKEN_BYTES};
use quadrant_suite::clock::{ClockScale, stamp};

use super::arrivals::Arrivals;
use super::drive::drive;
use super::order::{ClientGroup, Load, Order, Report};
use crate::system::board_memory::BoardMemory;

const TOKEN: u64 = 0x0123_4567_89ab_cdef;
/// No test waits longer than this.
const LIMIT: Duration = Duration::from_secs(20);

/// Starts a server that gives each connection, with its number, to `serve` in a thread.
fn server(serve: impl Fn(u64, TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let serve = Arc::clone(&serve);
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                let mut token = [0; TOKEN_BYTES];
                if stream.read_exact(&mut token).is_ok() {
                    assert_eq!(token, TOKEN.to_le_bytes());
                    serve(number as u64, stream);
                }
            });
        }
    });
    port
}

/// Echoes whole messages, each after `change` had its number and contents; false ends it.
fn echo(mut stream: TcpStream, bytes: usize, mut change: impl FnMut(u64, &mut [u8]) -> bool) {
    let mut message = vec![0; bytes];
    let mut number = 0;
    while stream.read_exact(&mut message).is_ok() {
        number += 1;
        if !change(number, &mut message) || stream.write_all(&message).is_err() {
            return;
        }
    }
}

/// Sends no more, and counts once the driver has closed its end.
fn end_and_count(mut stream: TcpStream, closed: &AtomicU64) {
    let _ = stream.shutdown(Shutdown::Write);
    while stream.read(&mut [0; 64]).is_ok_and(|bytes| bytes > 0) {}
    closed.fetch_add(1, SeqCst);
}

/// A driver in a thread, with its board.
struct Trial {
    memory: Arc<BoardMemory>,
    thread: JoinHandle<anyhow::Result<()>>,
    reports: mpsc::Receiver<Report>,
}

impl Trial {
    fn start(port: u16, connections: u32, message_bytes: usize, rate: Option<u64>) -> Self {
        let group = ClientGroup {
            arrivals: rate.map(Arrivals::even),
            ..ClientGroup::plain(connections, message_bytes)
        };
        Self::start_groups(port, vec![group], Vec::new())
    }

    fn start_groups(port: u16, groups: Vec<ClientGroup>, ping_fds: Vec<i32>) -> Self {
        let order = Order {
            seed: 5,
            connect_limit_ns: 2_000_000_000,
            ping_fds,
            ..Order::new(port, groups, ClockScale::MONOTONIC)
        };
        // For all tests of this process at once.
        super::allow_files(4_000).unwrap();
        let memory = Arc::new(BoardMemory::create().unwrap());
        memory.board().set_token(TOKEN);
        let (sender, reports) = mpsc::channel();
        let board = Arc::clone(&memory);
        let thread = std::thread::spawn(move || {
            drive(&order, board.board(), &mut |report| {
                sender.send(report).map_err(std::io::Error::other)
            })
        });
        Self { memory, thread, reports }
    }

    fn connected(&self) -> u32 {
        match self.reports.recv_timeout(LIMIT).unwrap() {
            Report::Connected(connected) => connected,
            other => panic!("{other:?}"),
        }
    }

    fn enter(&self, phase: Phase) {
        self.memory.board().enter(phase, stamp());
    }

    fn end(self) -> Load {
        self.enter(Phase::Over);
        self.thread.join().unwrap().unwrap();
        match self.reports.recv_timeout(LIMIT).unwrap() {
            Report::Finished(load) => *load,
            other => panic!("{other:?}"),
        }
    }
}

/// For tests of a schedule, which a machine that stands still for a moment delays: one attempt of a
/// few has to succeed.
fn one_attempt_succeeds(attempt: fn()) {
    const ATTEMPTS: usize = 5;
    let succeeds = |_| std::panic::catch_unwind(attempt).is_ok();
    assert!((0..ATTEMPTS).any(succeeds), "none of {ATTEMPTS} attempts, see above");
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "the condition was not met in time");
        std::thread::sleep(Duration::from_millis(1));
    }
}
