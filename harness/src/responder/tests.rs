//! The responder in a thread of this process, with clients of known behaviour.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use quadrant_suite::board::Phase;
use quadrant_suite::clock::{ClockScale, stamp};
use quadrant_suite::query::Query;

use super::latency::Latency;
use super::order::{Answers, Backend, Order, Report};
use super::respond::respond;
use crate::system::board_memory::BoardMemory;

const TOKEN: u64 = 0x0123_4567_89ab_cdef;
/// No test waits longer than this.
const LIMIT: Duration = Duration::from_secs(20);
const MS: u64 = 1_000_000;

struct Trial {
    memory: Arc<BoardMemory>,
    reports: mpsc::Receiver<Report>,
    port: u16,
}

impl Trial {
    /// The thread ends with the process of the tests.
    fn start(backends: &[(Latency, usize)]) -> Self {
        let backends = backends.iter().enumerate().map(|(index, (latency, answer_bytes))| {
            let (latency, answer_bytes) = (latency.clone(), *answer_bytes);
            Backend { name: format!("b{index}"), latency, answer_bytes }
        });
        let order = Order {
            backends: backends.collect(),
            seed: 5,
            clock: ClockScale::MONOTONIC,
            cpus: vec![],
            board_fd: 0,
            parent: 0,
        };
        let memory = Arc::new(BoardMemory::create().unwrap());
        memory.board().set_token(TOKEN);
        memory.board().enter(Phase::Measuring, stamp());
        let (sender, reports) = mpsc::channel();
        let board = Arc::clone(&memory);
        std::thread::spawn(move || {
            let _ = respond(&order, board.board(), &mut |report| {
                sender.send(report).map_err(std::io::Error::other)
            });
        });
        let Report::Listening(port) = reports.recv_timeout(LIMIT).unwrap() else {
            panic!("it listens first")
        };
        Self { memory, reports, port }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    fn end(&self) -> Answers {
        self.memory.board().enter(Phase::Over, stamp());
        match self.reports.recv_timeout(LIMIT).unwrap() {
            Report::Finished(answers) => *answers,
            other => panic!("{other:?}"),
        }
    }
}

fn query(backend: u64, identity: u64, position: u64) -> Query {
    Query { token: TOKEN.to_le_bytes(), backend, identity, position }
}

/// Sends a query, and returns how long the right answer took.
fn ask(stream: &mut TcpStream, query: Query, answer_bytes: usize) -> Duration {
    let began = Instant::now();
    stream.write_all(&query.encode()).unwrap();
    let mut answer = vec![0; answer_bytes];
    stream.read_exact(&mut answer).unwrap();
    query.check(&answer).unwrap();
    began.elapsed()
}

/// Whether the responder closes the connection.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn answers_are_right_and_never_early() {
    let backends = [(Latency::Fixed(20 * MS), 64), (Latency::Fixed(0), 300_000)];
    let trial = Trial::start(&backends);
    let mut stream = trial.connect();
    for number in 0..3 {
        assert!(ask(&mut stream, query(0, 1, number * 64), 64) >= Duration::from_millis(20));
    }
    ask(&mut stream, query(1, 1, 192), 300_000);
    let answers = trial.end();
    assert_eq!(answers.backends[0].delay.count(), 3);
    assert_eq!(answers.backends[1].delay.count(), 1);
    assert_eq!(answers.lateness.count(), 4);
    assert_eq!(answers.strangers, 0);
    // It goes on answering after the window, and counts no more.
    ask(&mut stream, query(1, 1, 300_192), 300_000);
}

#[test]
fn many_queries_wait_at_once() {
    const CLIENTS: usize = 300;
    let trial = Trial::start(&[(Latency::Fixed(300 * MS), 16)]);
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| trial.connect()).collect();
    for (identity, client) in clients.iter_mut().enumerate() {
        client.write_all(&query(0, identity as u64, 0).encode()).unwrap();
    }
    for (identity, client) in clients.iter_mut().enumerate() {
        let mut answer = [0; 16];
        client.read_exact(&mut answer).unwrap();
        query(0, identity as u64, 0).check(&answer).unwrap();
    }
    let answers = trial.end();
    assert_eq!(answers.backends[0].delay.count(), CLIENTS as u64);
    // One after the other they would have taken 90 s.
    assert!(answers.backends[0].in_flight_peak > CLIENTS as u64 / 10);
}

#[test]
fn strangers_are_closed_and_disturb_no_query() {
    let trial = Trial::start(&[(Latency::Fixed(0), 64)]);
    let mut ours = trial.connect();
    ask(&mut ours, query(0, 1, 0), 64);
    let _silent = trial.connect();
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        b"x",
        &Query { token: [0; 8], ..query(0, 0, 0) }.encode(),
        &query(7, 0, 0).encode(),
    ] {
        let mut stranger = trial.connect();
        stranger.write_all(bytes).unwrap();
        assert!(is_closed(&mut stranger), "{bytes:?}");
    }
    ask(&mut ours, query(0, 1, 64), 64);
    let answers = trial.end();
    assert_eq!((answers.strangers, answers.lateness.count()), (4, 2));
}

#[test]
fn a_connection_that_ends_takes_its_query_along() {
    let trial = Trial::start(&[(Latency::Fixed(100 * MS), 64)]);
    let mut gone = trial.connect();
    gone.write_all(&query(0, 1, 0).encode()).unwrap();
    drop(gone);
    let mut stays = trial.connect();
    ask(&mut stays, query(0, 2, 0), 64);
    assert_eq!(trial.end().lateness.count(), 1);
}
