//! Connections that are not opened, not served, or lost.

use super::*;

#[test]
fn one_served_connection_is_one_in_flight() {
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
    trial.enter(Phase::Warmup);
    wait_until(|| seen.load(SeqCst) > 100);
    trial.enter(Phase::Measuring);
    wait_until(|| seen.load(SeqCst) > 1_100);
    let load = trial.end();
    assert_eq!((load.connections, load.connections_served), (8, 1));
    assert_eq!(load.in_flight_peak, 1);
    assert!((900..=1_000).contains(&load.in_flight_mean_milli));
    // The seven, and the one whose request may be in flight.
    assert!((7..=8).contains(&load.unanswered.count()));
    assert_eq!(load.errors, 0);
}

#[test]
fn a_connection_closed_early_is_an_error() {
    let closed = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&closed);
    let port = server(move |_, stream| {
        echo(stream.try_clone().unwrap(), 64, |number, _| number <= 12);
        end_and_count(stream, &counter);
    });
    let trial = Trial::start(port, 1, 64, None);
    trial.connected();
    trial.enter(Phase::Measuring);
    wait_until(|| closed.load(SeqCst) == 1);
    let load = trial.end();
    assert_eq!((load.requests, load.errors), (12, 1));
    assert_eq!(
        load.first_error.as_deref(),
        Some("the subject closed a connection after 12 answers")
    );
}

#[test]
fn a_close_together_with_the_answer_is_noticed() {
    // The answer and the end of the stream may arrive as one edge, in one batch.
    let closed = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&closed);
    let port = server(move |_, mut stream| {
        let mut message = [0; 64];
        stream.read_exact(&mut message).unwrap();
        stream.write_all(&message).unwrap();
        end_and_count(stream, &counter);
    });
    let trial = Trial::start(port, 30, 64, None);
    trial.connected();
    trial.enter(Phase::Measuring);
    wait_until(|| closed.load(SeqCst) == 30);
    let load = trial.end();
    assert_eq!((load.requests, load.errors), (30, 30));
    let error = load.first_error.unwrap();
    assert!(error.ends_with("a connection after 1 answer"), "{error}");
}

#[test]
fn a_port_without_listener_is_an_error() {
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
fn a_full_accept_queue_gives_fewer_connections() {
    // The standard library's queue holds 128, and no connection is accepted.
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
fn a_short_accept_queue_gives_a_thousand_connections() {
    let port = server(|_, stream| echo(stream, 1, |_, _| true));
    let trial = Trial::start(port, 1_000, 1, None);
    assert_eq!(trial.connected(), 1_000);
    trial.enter(Phase::Measuring);
    std::thread::sleep(Duration::from_millis(300));
    let load = trial.end();
    assert_eq!((load.errors, load.wrong_answers), (0, 0), "{load:?}");
}
