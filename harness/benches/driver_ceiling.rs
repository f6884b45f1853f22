//! What the driver reaches against a server that does nothing: `cargo bench -p quadrant --bench
//! driver_ceiling`. Server and driver are processes on CPUs of their own where there are two.

use std::io::BufRead;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use quadrant::board_memory::BoardMemory;
use quadrant::driver::order::{Load, Order, Report};
use quadrant::driver::process::{Driver, SUBCOMMAND};
use quadrant_suite::board::Phase;
use quadrant_suite::clock::{ClockScale, cpu_counter, monotonic_ns, stamp};

const NULL_SERVER: &str = "null-server";

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some(SUBCOMMAND) => return quadrant::driver::run_from_stdin(),
        Some(NULL_SERVER) => be_the_null_server(),
        _ => bench(),
    };
    if let Err(error) = done {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn be_the_null_server() -> anyhow::Result<()> {
    bind_to(0)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    Ok(quadrant::driver::null_server::serve(listener)?)
}

fn bench() -> anyhow::Result<()> {
    let exe = std::env::current_exe()?;
    let mut server = Command::new(&exe).arg(NULL_SERVER).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    let stdout = server.stdout.take().expect("standard output was piped");
    std::io::BufReader::new(stdout).read_line(&mut line)?;
    let port = line.trim().parse()?;
    let measured = measure_all(&exe, port);
    server.kill()?;
    server.wait()?;
    measured
}

fn measure_all(exe: &Path, port: u16) -> anyhow::Result<()> {
    let clock = cpu_clock();
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
        let order = Order {
            port,
            connections,
            message_bytes: 64,
            rate_per_sec: rate,
            seed: 1,
            clock,
            cpus: vec![std::thread::available_parallelism()?.get() - 1],
            connect_limit_ns: 10_000_000_000,
            board_fd: 0,
            parent: 0,
        };
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
    let mut driver = Driver::spawn(exe, order, &memory)?;
    heard(&mut driver)?;
    let ready = begun.elapsed();
    memory.board().enter(Phase::Warmup, stamp());
    std::thread::sleep(Duration::from_millis(300));
    memory.board().enter(Phase::Measuring, stamp());
    std::thread::sleep(Duration::from_secs(2));
    memory.board().enter(Phase::Over, stamp());
    match heard(&mut driver)? {
        Report::Finished(load) => Ok((*load, ready)),
        other => anyhow::bail!("{other:?}"),
    }
}

fn heard(driver: &mut Driver) -> anyhow::Result<Report> {
    let begun = Instant::now();
    loop {
        if let Some(report) = driver.try_read()? {
            return Ok(report);
        }
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(20), "no word");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The CPU's counter against the monotonic clock over a tenth of a second: enough here.
fn cpu_clock() -> ClockScale {
    let (ticks, ns) = (cpu_counter(), monotonic_ns());
    std::thread::sleep(Duration::from_millis(100));
    let (ticks, ns) = (cpu_counter() - ticks, monotonic_ns() - ns);
    ClockScale {
        cpu_counter: true,
        ns_per_tick_shifted: ((u128::from(ns) << 32) / u128::from(ticks)) as u64,
    }
}

fn bind_to(cpu: usize) -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let mut set = rustix::thread::CpuSet::new();
        set.set(cpu);
        rustix::thread::sched_setaffinity(None, &set)?;
    }
    let _ = cpu;
    Ok(())
}
