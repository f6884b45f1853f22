//! Schedules other than one request after the other at equal gaps. How many requests are due does not
//! depend on how busy the machine is.

use super::super::arrivals::Rate;
use super::*;

fn measured(
    connections: u32,
    arrivals: Arrivals,
    window: Duration,
    serve: fn(u64, TcpStream),
) -> Load {
    let port = server(serve);
    let group = ClientGroup { arrivals: Some(arrivals), ..ClientGroup::plain(connections, 64) };
    let trial = Trial::start_groups(port, vec![group], Vec::new());
    trial.connected();
    trial.enter(Phase::Warmup);
    std::thread::sleep(Duration::from_millis(50));
    trial.enter(Phase::Measuring);
    std::thread::sleep(window);
    trial.end()
}

fn echoes(_: u64, stream: TcpStream) {
    echo(stream, 64, |_, _| true);
}

#[test]
fn the_loop_asks_for_every_rate_exactly() {
    let bursts = Arrivals::Bursts { count: 50, every_ns: 20_000_000 };
    let rates = [1, 40, 1_000, 6_000].map(Arrivals::even);
    let poisson = [40, 3_000].map(|rate| Arrivals::Poisson(Rate::constant(rate)));
    for arrivals in rates.into_iter().chain(poisson).chain([bursts]) {
        let load = measured(8, arrivals, Duration::from_millis(1_000), echoes);
        let window_s = load.window_ns as f64 / 1e9;
        // What was due before the window and answered in it stands for what was still unanswered.
        let counted = (load.requests + load.unanswered.count()) as f64;
        let expected = arrivals.mean_per_sec() * window_s;
        let chance = match arrivals {
            Arrivals::Even(_) => 2.0,
            Arrivals::Poisson(_) => 6.0 * expected.sqrt() + 2.0,
            Arrivals::Bursts { count, .. } => f64::from(count),
        };
        let backlog = (load.backlog_peak + 8) as f64;
        assert!(counted >= expected * 0.99 - chance, "{arrivals:?}: {counted} of {expected}");
        assert!(counted <= expected * 1.01 + chance + backlog, "{arrivals:?}: {counted}");
        let asked = load.asked_per_sec.unwrap() as f64 * window_s;
        assert!((asked - expected).abs() <= expected * 0.01 + chance, "{arrivals:?}: {asked}");
        assert_eq!(load.interval_ns, Some(arrivals.interval_ns()));
    }
}

#[test]
fn the_last_of_a_burst_waits_for_the_others() {
    const SERVICE: Duration = Duration::from_millis(1);
    let bursts = Arrivals::Bursts { count: 50, every_ns: 250_000_000 };
    let load = measured(1, bursts, Duration::from_millis(400), |_, stream| {
        echo(stream, 64, |_, _| {
            std::thread::sleep(SERVICE);
            true
        });
    });
    let service_ns = SERVICE.as_nanos() as u64;
    let service = load.uncorrected_latency.unwrap();
    assert!(service.min() >= service_ns);
    assert!(load.latency.max().max(load.unanswered.max()) >= 50 * service_ns);
    assert!(load.latency.quantile(0.5) >= 10 * service_ns);
    assert!(service.quantile(0.5) < load.latency.quantile(0.5));
    assert!(load.backlog_peak >= 48, "{}", load.backlog_peak);
}

#[test]
fn a_ramp_has_a_curve() {
    let ramp = Rate { from: 200, to: 4_000, over_ns: 0 };
    for arrivals in [Arrivals::Even(ramp), Arrivals::Poisson(ramp)] {
        let arrivals = arrivals.within(500_000_000);
        // The server answers at most 1,000/s on its only connection.
        let load = measured(1, arrivals, Duration::from_millis(500), |_, stream| {
            echo(stream, 64, |_, _| {
                std::thread::sleep(Duration::from_millis(1));
                true
            });
        });
        assert_eq!(load.ramp.len(), 10);
        assert_eq!((load.ramp[0].asked_per_sec, load.ramp[9].asked_per_sec), (390, 3_810));
        let (last, before) = load.ramp.split_last().unwrap();
        for slice in before {
            let expected = slice.asked_per_sec as f64 * 0.05;
            let chance = 6.0 * expected.sqrt() + 2.0;
            assert!((slice.due as f64 - expected).abs() <= chance, "{slice:?}");
            assert!(slice.answered <= slice.due);
        }
        let answered: u64 = load.ramp.iter().map(|slice| slice.answered).sum();
        assert!(answered <= load.requests && answered + 20 >= load.requests);
        // More is asked for than can be answered: each millisecond adds three to the backlog.
        assert!(last.backlog_peak > 200 && last.backlog_peak > load.ramp[1].backlog_peak);
        assert!(load.ramp[8].p99_ns > 20 * 1_000_000);
        assert_eq!(last.backlog_peak, load.backlog_peak);
    }
}
