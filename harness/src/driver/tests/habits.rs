//! Clients that send, read, think and connect otherwise than at once.

use super::*;
use crate::driver::order::{Habits, Parts, Size};

const MS: u64 = 1_000_000;

fn clients(connections: u32, habits: Habits) -> ClientGroup {
    ClientGroup { habits, ..ClientGroup::plain(connections, 64) }
}

/// Echoes as bytes arrive, in pieces of any size.
fn echo_at_once(mut stream: TcpStream) {
    let mut reader = stream.try_clone().unwrap();
    let _ = std::io::copy(&mut reader, &mut stream);
}

/// What the driver measured in a trial that ends after `answers` answers. The window begins after a
/// quarter of them.
fn load_of(port: u16, group: ClientGroup, answers: u64) -> Load {
    let trial = Trial::start_groups(port, vec![group], Vec::new());
    trial.connected();
    trial.enter(Phase::Warmup);
    wait_until(|| trial.memory.board().done(true) >= answers / 4);
    trial.enter(Phase::Measuring);
    wait_until(|| trial.memory.board().done(true) >= answers);
    let load = trial.end();
    assert_eq!((load.errors, load.wrong_answers, &load.first_error), (0, 0, &None));
    load
}

#[test]
fn requests_of_mixed_sizes_begin_with_their_length() {
    let seen = Arc::new([const { AtomicU64::new(0) }; 2]);
    let counters = Arc::clone(&seen);
    let port = server(move |_, mut stream| {
        let mut length = [0; 4];
        while stream.read_exact(&mut length).is_ok() {
            let bytes = u32::from_le_bytes(length) as usize;
            counters[usize::from(bytes == 9_000)].fetch_add(1, SeqCst);
            assert!(bytes == 64 || bytes == 9_000, "{bytes}");
            let mut message = length.to_vec();
            message.resize(bytes, 0);
            if stream.read_exact(&mut message[4..]).is_err() || stream.write_all(&message).is_err()
            {
                return;
            }
        }
    });
    let sizes = vec![Size { bytes: 64, weight: 3 }, Size { bytes: 9_000, weight: 1 }];
    let group = ClientGroup { message_bytes: 9_000, sizes, ..clients(4, Habits::default()) };
    load_of(port, group, 1_000);
    let [small, large] = [0, 1].map(|index: usize| seen[index].load(SeqCst));
    assert!(small > large && large > 100, "{small} and {large}");
}

#[test]
fn a_wrong_length_is_a_wrong_answer() {
    let port = server(|_, stream| {
        echo(stream, 64, |number, message| {
            message[2] ^= u8::from(number == 10);
            true
        });
    });
    let group = clients(1, Habits { pipeline: Some(2), ..Habits::default() });
    let trial = Trial::start_groups(port, vec![group], Vec::new());
    trial.connected();
    trial.enter(Phase::Measuring);
    wait_until(|| trial.memory.board().done(true) >= 50);
    assert_eq!(trial.end().wrong_answers, 1);
}

#[test]
fn a_pipeline_keeps_several_requests_in_flight() {
    let port = server(|_, stream| echo(stream, 64, |_, _| true));
    let group = clients(2, Habits { pipeline: Some(4), ..Habits::default() });
    let load = load_of(port, group, 2_000);
    assert_eq!(load.in_flight_peak, 8);
    assert!(load.in_flight_mean_milli > 7_000, "{}", load.in_flight_mean_milli);
    // Those of one connection may have been answered just before the end.
    assert!((4..=8).contains(&load.unanswered.count()), "{}", load.unanswered.count());
}

#[test]
fn requests_in_fragments_take_all_their_pauses() {
    let port = server(|_, stream| echo(stream, 64, |_, _| true));
    let parts = Parts { bytes: 10, pause_ns: 2 * MS };
    let load =
        load_of(port, clients(3, Habits { fragments: Some(parts), ..Habits::default() }), 30);
    // 64 bytes are seven parts with six pauses.
    assert!(load.latency.min() >= 12 * MS, "{}", load.latency.min());
}

#[test]
fn slow_readers_take_all_their_pauses() {
    let port = server(|_, stream| echo_at_once(stream));
    let parts = Parts { bytes: 16, pause_ns: 2 * MS };
    let load = load_of(port, clients(3, Habits { read: Some(parts), ..Habits::default() }), 30);
    // 64 bytes are at least four parts with three pauses.
    assert!(load.latency.min() >= 6 * MS, "{}", load.latency.min());
}

#[test]
fn clients_think_between_answer_and_request() {
    let port = server(|_, stream| echo(stream, 64, |_, _| true));
    let habits = Habits { think_ns: Some(5 * MS), ..Habits::default() };
    let load = load_of(port, clients(10, habits), 100);
    // No client can have begun more than one request in 5 ms.
    assert!(load.requests <= 10 * (load.window_ns / (5 * MS) + 2), "{load:?}");
    assert!(load.in_flight_mean_milli < 10_000);
}

#[test]
fn clients_that_reconnect_open_a_connection_for_each_request() {
    let connections = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&connections);
    let port = server(move |_, stream| {
        counter.fetch_add(1, SeqCst);
        echo(stream, 64, |number, _| {
            assert!(number <= 2, "{number} requests");
            true
        });
    });
    let load = load_of(port, clients(3, Habits { requests: Some(2), ..Habits::default() }), 200);
    let opened = connections.load(SeqCst);
    assert!(opened >= load.requests / 2, "{opened} connections, {} requests", load.requests);
    let [connect, first] = [load.connect.unwrap(), load.first_answer.unwrap()];
    assert!(connect.count() > 60 && first.count().abs_diff(connect.count()) <= 3);
    assert!(first.min() >= connect.min());
}

#[test]
fn a_client_that_asked_nothing_is_idle_and_not_starving() {
    let port = server(|number, mut stream| match number {
        0 => echo(stream, 64, |_, _| true),
        // Never answers.
        _ => while stream.read(&mut [0; 64]).is_ok_and(|bytes| bytes > 0) {},
    });
    // Of the two that think for an hour, the first asks at once and the second in half an hour.
    let thinking = clients(2, Habits { think_ns: Some(3_600_000 * MS), ..Habits::default() });
    let groups = vec![clients(1, Habits::default()), thinking];
    let trial = Trial::start_groups(port, groups, Vec::new());
    trial.connected();
    trial.enter(Phase::Warmup);
    wait_until(|| trial.memory.board().done(true) >= 25);
    trial.enter(Phase::Measuring);
    wait_until(|| trial.memory.board().done(true) >= 100);
    let load = trial.end();
    assert_eq!((load.connections, load.connections_served, load.connections_idle), (3, 1, 1));
}
