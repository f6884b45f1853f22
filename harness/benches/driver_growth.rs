//! Whether the load driver grows while it runs: `cargo bench -p quadrant --bench driver_growth`. Ten
//! minutes (or the seconds in QUADRANT_SECONDS) at 70 % of its ceiling, against a server that only
//! echoes. Fails if its memory or its descriptors have grown by more than 1 % and 256 KiB.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use quadrant::driver::alone::next_report;
use quadrant::driver::arrivals::Arrivals;
use quadrant::driver::ceiling;
use quadrant::driver::null_server::NullServer;
use quadrant::driver::order::{ClientGroup, Order, Report};
use quadrant::driver::process::Driver;
use quadrant::system::board_memory::BoardMemory;
use quadrant::system::cpus::{self, Division};
use quadrant::system::{clock, limits, process};
use quadrant_suite::board::Phase;
use quadrant_suite::clock::stamp;

const SECONDS: u64 = 600;
const SHARE: f64 = 0.7;
const CONNECTIONS: u32 = 64;
const MESSAGE_BYTES: usize = 64;
/// For filling buffers and histograms once.
const SETTLING: Duration = Duration::from_secs(5);
const GROWTH_MAX: u64 = 256 << 10;

fn main() -> anyhow::Result<()> {
    let seconds = std::env::var("QUADRANT_SECONDS").ok().and_then(|text| text.parse().ok());
    let window = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let exe = Path::new(env!("CARGO_BIN_EXE_quadrant"));
    let cpus = Division::of(&cpus::allowed(), true);
    limits::raise();
    let clock = clock::choose();
    clock.install();
    let clients = ClientGroup::plain(CONNECTIONS, MESSAGE_BYTES);
    let ceiling = ceiling::measure(exe, &clients, clock, &cpus)?;
    let rate = (ceiling as f64 * SHARE) as u64;
    println!("ceiling {ceiling}/s, rate {rate}/s, {} s", window.as_secs());
    let server = NullServer::start(&cpus.subject)?;
    let groups = vec![ClientGroup { arrivals: Some(Arrivals::even(rate)), ..clients }];
    let order = Order { cpus: cpus.driver.clone(), ..Order::new(server.port, groups, clock) };
    let memory = BoardMemory::create()?;
    let mut driver = Driver::spawn(exe, &order, &memory, &[])?;
    next_report(&mut driver)?;
    memory.board().enter(Phase::Warmup, stamp());
    memory.board().enter(Phase::Measuring, stamp());
    thread::sleep(SETTLING);
    let size = || -> anyhow::Result<(u64, usize)> {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", driver.id()))?.count();
        Ok((process::rss_bytes(driver.id()).unwrap_or(0), descriptors))
    };
    let (first_bytes, first_descriptors) = size()?;
    let (mut bytes, mut descriptors) = (first_bytes, first_descriptors);
    let end = Instant::now() + window;
    while Instant::now() < end {
        println!("{:7} KiB, {descriptors} descriptors", bytes >> 10);
        thread::sleep((window / 20).max(Duration::from_millis(100)));
        (bytes, descriptors) = size()?;
    }
    memory.board().enter(Phase::Over, stamp());
    let load = match next_report(&mut driver)? {
        Report::Finished(load) => *load,
        other => anyhow::bail!("{other:?}"),
    };
    println!(
        "{} requests, {} errors, {}/s of {rate}/s, driver busy {} %",
        load.requests,
        load.errors + load.wrong_answers,
        load.achieved_per_sec,
        load.busy_ns * 100 / load.window_ns.max(1)
    );
    println!(
        "from {first_bytes} to {bytes} bytes, {first_descriptors} to {descriptors} descriptors"
    );
    ensure!(load.errors + load.wrong_answers == 0, "{:?}", load.first_error);
    ensure!(descriptors == first_descriptors, "descriptors were left open");
    ensure!(bytes <= first_bytes + first_bytes / 100 + GROWTH_MAX, "memory has grown");
    Ok(())
}
