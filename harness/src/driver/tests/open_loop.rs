//! Fixed schedules, and what a pause of the server looks like in them.

use super::*;

/// A freeze of a tenth of the window must show at its length in the corrected latency, although only
/// one request per connection was really in flight during it.
#[test]
fn a_freeze_shows_in_the_corrected_latency_alone() {
    one_attempt_succeeds(|| {
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
        // 300 of some 2,000 requests were due in the freeze; the last of them hardly waited.
        assert!(load.latency.quantile(0.99) > frozen_ns / 2);
        assert!(load.latency.quantile(0.93) > frozen_ns / 4);
        assert!(uncorrected.quantile(0.99) < frozen_ns / 4);
        assert!(uncorrected.max() >= frozen_ns);
        assert!((200..=400).contains(&load.backlog_peak), "{}", load.backlog_peak);
        // After the freeze the driver caught up with the schedule.
        let asked = load.window_ns / 1_000_000 + 1;
        assert!(load.requests > asked * 9 / 10 && load.requests <= asked);
    });
}

#[test]
fn a_pause_until_the_end_shows_as_unanswered() {
    one_attempt_succeeds(|| {
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
    });
}

/// Two clients that send on at once, and 20 that speak now and then.
#[test]
fn groups_have_their_own_pace_and_figures() {
    one_attempt_succeeds(|| {
        let port = server(|_, stream| echo(stream, 64, |_, _| true));
        let group = |name: &str, connections, rate: Option<u64>| ClientGroup {
            name: name.to_owned(),
            connections,
            message_bytes: 64,
            arrivals: rate.map(Arrivals::even),
            ..ClientGroup::default()
        };
        let groups = vec![group("busy", 2, None), group("idle", 20, Some(100))];
        let trial = Trial::start_groups(port, groups, Vec::new());
        assert_eq!(trial.connected(), 22);
        trial.enter(Phase::Warmup);
        trial.enter(Phase::Measuring);
        std::thread::sleep(Duration::from_millis(100));
        let load = trial.end();
        let [busy, idle] = &load.groups[..] else { panic!("{load:?}") };
        assert_eq!((&*busy.name, &*idle.name), ("busy", "idle"));
        assert_eq!((busy.connections, idle.connections, load.connections), (2, 20, 22));
        assert_eq!((busy.asked_per_sec, idle.asked_per_sec), (None, Some(100)));
        assert_eq!(load.requests, busy.requests + idle.requests);
        assert_eq!(load.latency.count(), load.requests);
        assert!((5..=11).contains(&idle.requests), "{}", idle.requests);
        assert!(busy.requests > 10 * idle.requests, "{}", busy.requests);
        assert_eq!((busy.in_flight_peak, load.asked_per_sec), (2, None));
        let unserved = idle.connections - idle.connections_served;
        assert_eq!((busy.connections_idle, idle.connections_idle), (0, unserved));
        assert_eq!(load.errors, 0);
    });
}

#[test]
fn an_open_loop_uses_all_connections_in_turn() {
    one_attempt_succeeds(|| {
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
    });
}
