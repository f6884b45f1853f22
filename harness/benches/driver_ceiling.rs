//! What the driver reaches against a server that does nothing: `cargo bench -p quadrant --bench
//! driver_ceiling`. Server and driver run on CPUs of their own where there are two.

use std::path::Path;
use std::time::{Duration, Instant};

use quadrant::driver::alone::next_report;
use quadrant::driver::arrivals::Arrivals;
use quadrant::driver::null_server::NullServer;
use quadrant::driver::order::{ClientGroup, Load, Order, Report};
use quadrant::driver::process::Driver;
use quadrant::system::board_memory::BoardMemory;
use quadrant::system::cpus::{self, Division};
use quadrant::system::{clock, limits};
use quadrant_suite::board::Phase;
use quadrant_suite::clock::stamp;

fn main() -> anyhow::Result<()> {
    let exe = Path::new(env!("CARGO_BIN_EXE_quadrant"));
    let cpus = Division::of(&cpus::allowed(), true);
    // The server's side of 10,000 connections is in this process.
    limits::raise();
    let server = NullServer::start(&cpus.subject)?;
    let clock = clock::choose();
    clock.install();
    println!(
        "connections      rate  requests/s   driver CPU/request  busy   p50 µs   p99 µs  errors"
    );
    for (connections, rate) in [
        (1, None),
        (64, None),
        (1_024, None),
        (10_000, None),
        (64, Some(2_000)),
        (64, Some(50_000)),
    ] {
        let arrivals = rate.map(Arrivals::even);
        let clients = ClientGroup { arrivals, ..ClientGroup::plain(connections, 64) };
        let order =
            Order { cpus: cpus.driver.clone(), ..Order::new(server.port, vec![clients], clock) };
        let (load, ready) = measure(exe, &order)?;
        println!(
            "{:11} {:>9} {:11} {:15} ns {:5} % {:8.1} {:8.1} {:7} {:9}",
            load.connections,
            rate.map_or("closed".to_owned(), |rate| rate.to_string()),
            load.achieved_per_sec,
            load.busy_ns / load.requests.max(1),
            load.busy_ns * 100 / load.window_ns.max(1),
            load.latency.quantile(0.5) as f64 / 1e3,
            load.latency.quantile(0.99) as f64 / 1e3,
            load.errors + load.wrong_answers,
            ready.as_millis(),
        );
    }
    Ok(())
}

/// The load, and how long the driver took to stand ready.
fn measure(exe: &Path, order: &Order) -> anyhow::Result<(Load, Duration)> {
    let memory = BoardMemory::create()?;
    let begun = Instant::now();
    let mut driver = Driver::spawn(exe, order, &memory, &[])?;
    next_report(&mut driver)?;
    let ready = begun.elapsed();
    memory.board().enter(Phase::Warmup, stamp());
    std::thread::sleep(Duration::from_millis(300));
    memory.board().enter(Phase::Measuring, stamp());
    std::thread::sleep(Duration::from_secs(2));
    memory.board().enter(Phase::Over, stamp());
    match next_report(&mut driver)? {
        Report::Finished(load) => Ok((*load, ready)),
        other => anyhow::bail!("{other:?}"),
    }
}
