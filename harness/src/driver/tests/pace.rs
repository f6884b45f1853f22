//! What the driver does by the clock, whatever becomes of its requests.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::IntoRawFd;

use quadrant_suite::board::NO_BEAT;
use quadrant_suite::control::{MESSAGE_BYTES, Message};

use super::*;

/// A server that keeps its connections and never answers.
fn silent_server() -> u16 {
    server(|_, mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

#[test]
fn it_pings_while_the_window_is_open_and_never_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut root, _) = listener.accept().unwrap();
    let trial = Trial::start_with_pings(silent_server(), 1, 64, None, vec![sender.into_raw_fd()]);
    trial.connected();
    trial.enter(Phase::Warmup);
    std::thread::sleep(Duration::from_millis(20));
    trial.enter(Phase::Measuring);
    let opened = stamp();
    std::thread::sleep(Duration::from_millis(100));
    trial.end();
    let over = stamp();

    let mut bytes = Vec::new();
    root.read_to_end(&mut bytes).unwrap();
    let sent: Vec<u64> = bytes
        .chunks_exact(MESSAGE_BYTES)
        .map(|chunk| match Message::decode(chunk.try_into().unwrap()) {
            Some(Message::Ping(sent)) => sent,
            other => panic!("{other:?}"),
        })
        .collect();
    // A busy machine may hold it up, and nothing makes it hurry.
    assert!(sent.len() >= 2, "{sent:?}");
    assert!(sent.len() as u64 <= 2 + (over - opened) / 3_600_000, "{sent:?}");
    assert!(sent.is_sorted() && sent[0] + 1_000_000 >= opened && *sent.last().unwrap() <= over);
}

#[test]
fn its_beat_ends_with_it() {
    let trial = Trial::start(silent_server(), 1, 64, None);
    trial.connected();
    trial.enter(Phase::Warmup);
    // Not waited for: one that has to wait for its CPU keeps silent.
    std::thread::sleep(Duration::from_millis(20));
    let memory = Arc::clone(&trial.memory);
    trial.end();
    assert_eq!(memory.board().beat(), NO_BEAT);
}
