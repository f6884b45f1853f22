//! The driver against servers of known behaviour, in threads of this process.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quadrant_suite::board::Phase;
use quadrant_suite::clock::{ClockScale, stamp};

use super::drive::drive;
use super::order::{Load, Order, Report};
use crate::board_memory::BoardMemory;

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(20);

/// Starts a server that gives each connection, with its number, to `serve` in a thread.
fn server(serve: impl Fn(u64, TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let serve = Arc::clone(&serve);
            let stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || serve(number as u64, stream));
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

/// A driver at work in a thread, its board in our hands.
struct Trial {
    memory: Arc<BoardMemory>,
    thread: JoinHandle<anyhow::Result<()>>,
    reports: mpsc::Receiver<Report>,
}

impl Trial {
    fn start(port: u16, connections: u32, message_bytes: usize, rate: Option<u64>) -> Self {
        let order = Order {
            port,
            connections,
            message_bytes,
            rate_per_sec: rate,
            seed: 5,
            clock: ClockScale::MONOTONIC,
            cpus: vec![],
            connect_limit_ns: 2_000_000_000,
            board_fd: 0,
            parent: 0,
        };
        // For all tests of this process at once.
        super::allow_files(4_000).unwrap();
        let memory = Arc::new(BoardMemory::create().unwrap());
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

fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn both_sides_count_the_same() {
    for (connections, bytes) in [(1, 1), (8, 64), (3, 5_000)] {
        let seen = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&seen);
        let port = server(move |_, stream| {
            echo(stream, bytes, |_, _| {
                counter.fetch_add(1, SeqCst);
                true
            });
        });
        let trial = Trial::start(port, connections, bytes, None);
        assert_eq!(trial.connected(), connections);
        trial.enter(Phase::Measuring);
        wait_until(|| seen.load(SeqCst) > 2_000);
        let load = trial.end();
        assert_eq!((load.errors, load.wrong_answers), (0, 0), "{load:?}");
        assert_eq!(load.first_error, None);
        assert_eq!(load.requests, load.latency.count());
        let sent = load.requests + load.unanswered.count();
        wait_until(|| seen.load(SeqCst) >= sent);
        assert_eq!(seen.load(SeqCst), sent);
        assert_eq!(load.connections_served, connections);
        assert_eq!(load.in_flight_peak, u64::from(connections));
        assert!(load.in_flight_mean_milli > u64::from(connections) * 800);
        assert!(load.in_flight_mean_milli <= u64::from(connections) * 1_000);
        assert!(load.busy_ns > 0 && load.busy_ns <= load.window_ns);
        assert_eq!(load.uncorrected_latency, None);
    }
}

#[test]
fn what_is_answered_before_the_window_does_not_count() {
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    let port = server(move |_, stream| {
        echo(stream, 64, |_, _| {
            counter.fetch_add(1, SeqCst);
            true
        });
    });
    let trial = Trial::start(port, 2, 64, None);
    trial.connected();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(seen.load(SeqCst), 0, "sent before the warm-up");
    trial.enter(Phase::Warmup);
    wait_until(|| seen.load(SeqCst) > 500);
    let before = seen.load(SeqCst);
    trial.enter(Phase::Measuring);
    wait_until(|| seen.load(SeqCst) > before + 500);
    let load = trial.end();
    assert!(load.requests >= 490, "{}", load.requests);
    assert!(load.requests + before <= seen.load(SeqCst) + 2);
}

#[test]
fn a_flipped_bit_is_a_wrong_answer() {
    for bytes in [1, 64, 700_000] {
        let seen = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&seen);
        let port = server(move |_, stream| {
            echo(stream, bytes, |number, message| {
                counter.store(number, SeqCst);
                if number == 3 {
                    message[bytes - 1] ^= 0x10;
                }
                true
            });
        });
        let trial = Trial::start(port, 1, bytes, None);
        trial.connected();
        trial.enter(Phase::Measuring);
        wait_until(|| seen.load(SeqCst) > 10);
        let load = trial.end();
        assert_eq!((load.wrong_answers, load.errors), (1, 0), "{bytes}");
        let error = load.first_error.unwrap();
        assert!(error.contains("request 3"), "{error}");
        assert!(load.requests >= 8);
    }
}

#[test]
fn a_stale_answer_is_a_wrong_answer() {
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    let port = server(move |_, stream| {
        let mut first = Vec::new();
        echo(stream, 64, |number, message| {
            counter.store(number, SeqCst);
            if number == 1 {
                first = message.to_vec();
            }
            message.copy_from_slice(&first);
            true
        });
    });
    let trial = Trial::start(port, 1, 64, None);
    trial.connected();
    trial.enter(Phase::Measuring);
    wait_until(|| seen.load(SeqCst) > 10);
    let load = trial.end();
    assert_eq!(load.requests, 1);
    assert!(load.wrong_answers >= 9);
}

#[test]
fn one_served_of_eight_is_one_in_flight() {
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    let port = server(move |number, stream| {
        if number == 0 {
            echo(stream, 64, |_, _| {
                counter.fetch_add(1, SeqCst);
                true
            });
        } else {
            std::thread::sleep(LIMIT);
        }
    });
    let trial = Trial::start(port, 8, 64, None);
    assert_eq!(trial.connected(), 8);
    trial.enter(Phase::Measuring);
    wait_until(|| seen.load(SeqCst) > 1_000);
    let load = trial.end();
    assert_eq!((load.connections, load.connections_served), (8, 1));
    assert_eq!(load.in_flight_peak, 1);
    assert!((800..=1_000).contains(&load.in_flight_mean_milli));
    // The seven, and the one that may be under way.
    assert!((7..=8).contains(&load.unanswered.count()));
    assert_eq!(load.errors, 0);
}

#[test]
fn a_connection_that_is_closed_early_is_an_error() {
    let port = server(|_, stream| {
        echo(stream, 64, |number, _| number <= 12);
    });
    let trial = Trial::start(port, 1, 64, None);
    trial.connected();
    trial.enter(Phase::Measuring);
    std::thread::sleep(Duration::from_millis(100));
    let load = trial.end();
    assert_eq!((load.requests, load.errors), (12, 1));
    assert_eq!(
        load.first_error.as_deref(),
        Some("the subject closed a connection after 12 answers")
    );
}

#[test]
fn a_close_that_comes_with_the_answer_is_seen() {
    // The answer and the end of the stream may arrive as one edge, in one batch.
    let port = server(|_, mut stream| {
        let mut message = [0; 64];
        stream.read_exact(&mut message).unwrap();
        stream.write_all(&message).unwrap();
    });
    let trial = Trial::start(port, 30, 64, None);
    trial.connected();
    trial.enter(Phase::Measuring);
    std::thread::sleep(Duration::from_millis(100));
    let load = trial.end();
    assert_eq!((load.requests, load.errors), (30, 30));
    let error = load.first_error.unwrap();
    assert!(error.ends_with("a connection after 1 answer"), "{error}");
}

#[test]
fn more_than_was_sent_is_an_error() {
    let port = server(|_, mut stream| {
        let mut message = [0; 100];
        stream.read_exact(&mut message[..64]).unwrap();
        stream.write_all(&message).unwrap();
        std::thread::sleep(LIMIT);
    });
    let trial = Trial::start(port, 1, 64, None);
    trial.connected();
    trial.enter(Phase::Measuring);
    std::thread::sleep(Duration::from_millis(50));
    let load = trial.end();
    assert_eq!((load.requests, load.errors), (0, 1));
    assert!(load.first_error.unwrap().contains("more bytes"));
}

#[test]
fn large_messages_pass_whether_echoed_whole_or_as_they_come() {
    const BYTES: usize = 16 * 1024 * 1024;
    let whole = server(|_, stream| echo(stream, BYTES, |_, _| true));
    let as_they_come = server(|_, mut stream| {
        let mut reader = stream.try_clone().unwrap();
        let _ = std::io::copy(&mut reader, &mut stream);
    });
    for port in [whole, as_they_come] {
        let trial = Trial::start(port, 2, BYTES, None);
        trial.connected();
        trial.enter(Phase::Measuring);
        std::thread::sleep(Duration::from_millis(1_500));
        let load = trial.end();
        assert!(load.requests >= 2, "{load:?}");
        assert_eq!((load.errors, load.wrong_answers), (0, 0), "{load:?}");
    }
}

#[test]
fn nobody_listening_is_a_failure_that_names_the_port() {
    let port = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let trial = Trial::start(port, 4, 64, None);
    let error = trial.thread.join().unwrap().unwrap_err().to_string();
    assert!(error.contains("4 of 4 connections"), "{error}");
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn an_accept_queue_that_is_full_gives_fewer_connections_and_says_so() {
    // The standard library's queue holds 128, and nobody accepts.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let trial = Trial::start(port, 600, 64, None);
    let connected = trial.connected();
    assert!((1..600).contains(&connected), "{connected}");
    let load = trial.end();
    assert_eq!(load.errors, u64::from(600 - connected));
    assert!(load.first_error.unwrap().contains("could not be opened"));
}

#[test]
fn a_thousand_connections_pass_through_a_short_accept_queue() {
    let port = server(|_, stream| echo(stream, 1, |_, _| true));
    let trial = Trial::start(port, 1_000, 1, None);
    assert_eq!(trial.connected(), 1_000);
    trial.enter(Phase::Measuring);
    std::thread::sleep(Duration::from_millis(300));
    let load = trial.end();
    assert_eq!((load.errors, load.wrong_answers), (0, 0), "{load:?}");
}

/// A freeze of a tenth of the window must show in the corrected latency as what it was, while
/// only one request per connection was really under way in it.
#[test]
fn a_freeze_shows_in_the_corrected_latency_alone() {
    let freeze = Duration::from_millis(300);
    let port = server(move |_, stream| {
        let mut frozen = false;
        echo(stream, 64, |number, _| {
            if number == 500 && !frozen {
                frozen = true;
                std::thread::sleep(freeze);
            }
            true
        });
    });
    let trial = Trial::start(port, 1, 64, Some(1_000));
    trial.connected();
    trial.enter(Phase::Warmup);
    trial.enter(Phase::Measuring);
    std::thread::sleep(Duration::from_millis(2_000));
    let load = trial.end();
    let uncorrected = load.uncorrected_latency.unwrap();
    assert_eq!(load.latency.count(), load.requests);
    assert_eq!(uncorrected.count(), load.requests);
    let frozen_ns = freeze.as_nanos() as u64;
    // 300 of some 2,000 requests were due in the freeze; the last of them waited for nothing.
    assert!(load.latency.quantile(0.99) > frozen_ns / 2);
    assert!(load.latency.quantile(0.93) > frozen_ns / 4);
    assert!(uncorrected.quantile(0.99) < frozen_ns / 4);
    assert!(uncorrected.max() >= frozen_ns);
    assert!((200..=400).contains(&load.backlog_peak), "{}", load.backlog_peak);
    // The schedule was caught up with: what was asked for was sent.
    let asked = load.window_ns / 1_000_000 + 1;
    assert!(load.requests > asked * 9 / 10 && load.requests <= asked);
}

#[test]
fn a_pause_until_the_end_shows_in_what_is_unanswered() {
    let port = server(|_, stream| {
        echo(stream, 64, |number, _| {
            if number == 200 {
                std::thread::sleep(Duration::from_secs(3));
            }
            true
        });
    });
    let trial = Trial::start(port, 1, 64, Some(1_000));
    trial.connected();
    trial.enter(Phase::Measuring);
    std::thread::sleep(Duration::from_millis(600));
    let load = trial.end();
    assert_eq!(load.requests, 199);
    let unanswered = load.unanswered;
    assert!(unanswered.count() > 300, "{}", unanswered.count());
    assert_eq!(load.backlog_peak, unanswered.count() - 1);
    assert!(unanswered.max() > 2 * unanswered.quantile(0.4));
}

#[test]
fn an_open_loop_takes_its_connections_in_turns() {
    let port = server(|_, stream| echo(stream, 64, |_, _| true));
    let trial = Trial::start(port, 10, 64, Some(2_000));
    trial.connected();
    trial.enter(Phase::Measuring);
    std::thread::sleep(Duration::from_millis(500));
    let load = trial.end();
    assert_eq!(load.connections_served, 10);
    // The schedule begins when the driver sees the phase, so it asks for no more than that.
    let asked = load.window_ns * 2_000 / 1_000_000_000 + 1;
    let due = load.requests + load.unanswered.count();
    assert!(due <= asked && due > asked * 8 / 10, "{due} of {asked}");
    assert!(load.in_flight_mean_milli < 10_000);
}
