//! CPU time of the load driver for a request, against a client that does nothing but read, write
//! and wait: `cargo bench -p quadrant --bench driver_cost`.
//!
//! Both are processes of one thread on the driver's CPU, saturate the same null server, and take
//! turns; only their CPU time counts, which other processes disturb least. The plain client checks
//! no answer and measures no latency. Numbers after `--` replace that of the pairs.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use quadrant::driver::alone::next_report;
use quadrant::driver::null_server::NullServer;
use quadrant::driver::order::{ClientGroup, Order, Report};
use quadrant::driver::process::Driver;
use quadrant::system::board_memory::BoardMemory;
use quadrant::system::cpus::{self, Division};
use quadrant::system::{clock, limits};
use quadrant_suite::board::{Phase, TOKEN_BYTES};
use quadrant_suite::clock::stamp;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

/// The share of the plain client's cost that the driver's may be.
const DEMAND: f64 = 1.02;
const CONNECTIONS: [u32; 3] = [1, 64, 1_024];
const MESSAGE_BYTES: usize = 64;
const PAIRS: usize = 24;
const WARMUP: Duration = Duration::from_millis(100);
const WINDOW: Duration = Duration::from_millis(400);
/// As the first argument: this process is the plain client.
const CLIENT: &str = "__plain-client";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, port, connections, cpus @ ..] = arguments.as_slice()
        && role == CLIENT
    {
        let cpus = cpus.iter().map(|cpu| cpu.parse()).collect::<Result<Vec<_>, _>>()?;
        print!("{}", plain_client(port.parse()?, connections.parse()?, &cpus)?);
        return Ok(ExitCode::SUCCESS);
    }
    let pairs = arguments.iter().find_map(|text| text.parse().ok()).unwrap_or(PAIRS);
    let cpus = Division::of(&cpus::allowed(), true);
    limits::raise();
    clock::choose().install();
    let server = NullServer::start(&cpus.subject)?;
    println!("connections  driver ns  plain ns  ratio of {pairs} pairs (median, 99 %)");
    let mut is_reached = true;
    for connections in CONNECTIONS {
        let (mut driver, mut plain, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..pairs {
            // Each comes first in half of the pairs.
            let first = (pair % 2 == 1).then(|| of_plain(server.port, connections, &cpus.driver));
            let ours = of_driver(server.port, connections, &cpus.driver)?;
            let other =
                first.unwrap_or_else(|| of_plain(server.port, connections, &cpus.driver))?;
            driver.push(ours);
            plain.push(other);
            ratios.push(ours / other);
        }
        let [ours, other, ratio] = [&mut driver, &mut plain, &mut ratios].map(|it| median(it));
        // Between these ranks the median lies in 99 of 100 cases.
        let reach = (2.576 * (pairs as f64).sqrt() / 2.0).ceil() as usize;
        let low = ratios[(pairs / 2).saturating_sub(reach)];
        let high = ratios[(pairs / 2 + reach).min(pairs - 1)];
        let judged = if ratio <= DEMAND { "" } else { "  more than demanded" };
        println!(
            "{connections:11} {ours:10.0} {other:9.0}  {ratio:.3} ({low:.3}…{high:.3}){judged}"
        );
        is_reached &= ratio <= DEMAND;
    }
    println!("demand: ≤ {DEMAND}");
    Ok(if is_reached { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sorts them too.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU time for a request, in nanoseconds.
fn of_driver(port: u16, connections: u32, cpus: &[usize]) -> anyhow::Result<f64> {
    let clients = ClientGroup::plain(connections, MESSAGE_BYTES);
    let order = Order { cpus: cpus.to_vec(), ..Order::new(port, vec![clients], clock::choose()) };
    let memory = BoardMemory::create()?;
    let mut driver =
        Driver::spawn(Path::new(env!("CARGO_BIN_EXE_quadrant")), &order, &memory, &[])?;
    next_report(&mut driver)?;
    for (phase, time) in
        [(Phase::Warmup, WARMUP), (Phase::Measuring, WINDOW), (Phase::Over, Duration::ZERO)]
    {
        memory.board().enter(phase, stamp());
        std::thread::sleep(time);
    }
    match next_report(&mut driver)? {
        Report::Finished(load) => {
            ensure!(load.requests > 0 && load.first_error.is_none(), "{:?}", load.first_error);
            Ok(load.busy_ns as f64 / load.requests as f64)
        }
        other => anyhow::bail!("{other:?}"),
    }
}

fn of_plain(port: u16, connections: u32, cpus: &[usize]) -> anyhow::Result<f64> {
    let output = Command::new(std::env::current_exe()?)
        .args([CLIENT, &port.to_string(), &connections.to_string()])
        .args(cpus.iter().map(usize::to_string))
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.parse().context("the plain client gave no figure")
}

/// Sends a request on every connection, and the next one when 64 bytes have come back, for as long
/// as the driver does. One read, one write, and one wait for a batch of answers.
fn plain_client(port: u16, connections: usize, cpus: &[usize]) -> anyhow::Result<f64> {
    limits::raise();
    cpus::stay_on(cpus)?;
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut message = [0x5a; MESSAGE_BYTES];
    let mut sockets = Vec::with_capacity(connections);
    for index in 0..connections {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_nodelay(true)?;
        socket.write_all(&[0; TOKEN_BYTES])?;
        socket.set_nonblocking(true)?;
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&poll, &socket, EventData::new_u64(index as u64), flags)?;
        sockets.push(socket);
    }
    for socket in &sockets {
        rustix::io::write(socket, &message)?;
    }
    let mut events = Vec::with_capacity(connections.min(1_024));
    let (mut requests, mut batches) = (0_u64, 0_u64);
    let began = Instant::now();
    let mut counted_from = None;
    loop {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let socket = &sockets[event.data.u64() as usize];
            // On loopback a message this small is never cut.
            let read = rustix::io::read(socket, &mut message)?;
            ensure!(read == MESSAGE_BYTES, "{read} bytes were read at once");
            rustix::io::write(socket, &message)?;
            requests += 1;
        }
        batches += 1;
        if batches % 16 > 0 {
            continue;
        }
        match counted_from {
            None if began.elapsed() >= WARMUP => {
                counted_from = Some((requests, clock::thread_cpu_ns()))
            }
            Some((before, used)) if began.elapsed() >= WARMUP + WINDOW => {
                return Ok((clock::thread_cpu_ns() - used) as f64 / (requests - before) as f64);
            }
            _ => {}
        }
    }
}
