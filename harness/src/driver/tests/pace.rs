//! What the driver does by the clock, independently of its requests.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::IntoRawFd;

use quadrant_suite::control::{MESSAGE_BYTES, Message};

use super::*;

/// A server that keeps its connections and never answers.
fn silent_server() -> u16 {
    server(|_, mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

#[test]
fn pings_go_out_before_and_within_the_window() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut root, _) = listener.accept().unwrap();
    let begun = stamp();
    let group = ClientGroup::plain(1, 64);
    let trial = Trial::start_groups(silent_server(), vec![group], vec![sender.into_raw_fd()]);
    // No connection is opened before the subject answers this one.
    let mut canary = [0; MESSAGE_BYTES];
    root.read_exact(&mut canary).unwrap();
    assert!(trial.reports.try_recv().is_err());
    trial.memory.board().count_canary_ping();
    trial.connected();
    let connected = stamp();
    trial.enter(Phase::Warmup);
    std::thread::sleep(Duration::from_millis(20));
    trial.enter(Phase::Measuring);
    let opened = stamp();
    std::thread::sleep(Duration::from_millis(100));
    trial.end();
    let over = stamp();

    let mut bytes = Vec::new();
    root.read_to_end(&mut bytes).unwrap();
    let sent_at = |message: &[u8]| match Message::decode(message.try_into().unwrap()) {
        Some(Message::Ping(sent)) => sent,
        other => panic!("{other:?}"),
    };
    assert!((begun..=connected).contains(&sent_at(&canary)));
    let sent: Vec<u64> = bytes.chunks_exact(MESSAGE_BYTES).map(sent_at).collect();
    // A busy machine may delay pings, and none is sent faster after that.
    assert!(sent.len() >= 2, "{sent:?}");
    assert!(sent.len() as u64 <= 2 + (over - opened) / 3_600_000, "{sent:?}");
    assert!(sent.is_sorted() && sent[0] + 1_000_000 >= opened && *sent.last().unwrap() <= over);
}
