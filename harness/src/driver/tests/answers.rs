//! What counts as answered, and what as answered wrongly.

use super::*;

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
        assert!(load.in_flight_mean_milli <= u64::from(connections) * 1_000);
        assert!(load.busy_ns > 0 && load.busy_ns <= load.window_ns);
        assert_eq!(load.uncorrected_latency, None);
    }
}

#[test]
fn answers_before_the_window_do_not_count() {
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
fn excess_bytes_are_an_error() {
    let closed = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&closed);
    let port = server(move |_, mut stream| {
        let mut message = [0; 100];
        stream.read_exact(&mut message[..64]).unwrap();
        stream.write_all(&message).unwrap();
        end_and_count(stream, &counter);
    });
    let trial = Trial::start(port, 1, 64, None);
    trial.connected();
    trial.enter(Phase::Measuring);
    wait_until(|| closed.load(SeqCst) == 1);
    let load = trial.end();
    assert_eq!((load.requests, load.errors), (0, 1));
    assert!(load.first_error.unwrap().contains("more bytes"));
}

#[test]
fn large_messages_pass_whole_and_in_pieces() {
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
        wait_until(|| trial.memory.board().done(true) >= 2);
        let load = trial.end();
        assert!(load.requests >= 2, "{load:?}");
        assert_eq!((load.errors, load.wrong_answers), (0, 0), "{load:?}");
    }
}
