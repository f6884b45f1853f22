//! The driver's own ceiling: how many requests a second it could carry if the other side cost
//! nothing.
//!
//! It is told from the CPU time that the driver needs for a request, against a server that does
//! nothing but echo: a second divided by that. What the two reach together is not it: with few
//! connections they wait for each other, and both are mostly idle. Only a driver that is
//! saturated shows its ceiling by its throughput, and there the two are the same.
//!
//! Never runs beside a trial, and leaves nothing running.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;
use quadrant_suite::board::Phase;
use quadrant_suite::clock::{ClockScale, stamp};

use super::null_server;
use super::order::{Load, Order, Report};
use super::process::Driver;
use crate::system::affinity::{self, Division};
use crate::system::board_memory::BoardMemory;
use crate::system::child::{ChildGroup, die_with_parent, wait_for_output};
use crate::system::interrupt;

/// The subcommand under which the `quadrant` executable is a server that only echoes.
pub const SUBCOMMAND: &str = "__null-server";

const WARMUP: Duration = Duration::from_millis(50);
const WINDOW: Duration = Duration::from_millis(150);
/// For every step besides these two; none takes a tenth of it on an idle machine.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of fewer requests nothing is concluded.
const REQUESTS_MIN: u64 = 100;

/// What decides how much a request costs the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    pub connections: u32,
    pub message_bytes: usize,
}

/// Requests a second, with driver and server on the CPUs that driver and subject will have.
/// Takes some 250 ms, and is back at once when the run is interrupted.
pub fn measure(
    executable: &Path,
    shape: Shape,
    clock: ClockScale,
    cpus: &Division,
) -> anyhow::Result<u64> {
    let server = NullServer::start(executable, &cpus.subject)?;
    let order = Order {
        port: server.port,
        connections: shape.connections,
        message_bytes: shape.message_bytes,
        rate_per_sec: None,
        seed: 1,
        clock,
        cpus: cpus.driver.clone(),
        connect_limit_ns: PATIENCE.as_nanos() as u64,
        board_fd: 0,
        ping_fds: Vec::new(),
        parent: 0,
    };
    let memory = BoardMemory::create()?;
    let mut driver = Driver::spawn(executable, &order, &memory, &[])?;
    match hear(&mut driver)? {
        Report::Connected(count) if count == shape.connections => {}
        other => bail!("{} connections were asked for: {other:?}", shape.connections),
    }
    for (phase, time) in
        [(Phase::Warmup, WARMUP), (Phase::Measuring, WINDOW), (Phase::Over, Duration::ZERO)]
    {
        ensure!(!interrupt::requested(), "interrupted");
        memory.board().enter(phase, stamp());
        std::thread::sleep(time);
    }
    match hear(&mut driver)? {
        Report::Finished(load) => of(&load),
        other => bail!("no result: {other:?}"),
    }
}

fn of(load: &Load) -> anyhow::Result<u64> {
    ensure!(load.first_error.is_none(), "{:?}", load.first_error);
    ensure!(
        load.requests >= REQUESTS_MIN && load.busy_ns > 0,
        "only {} requests were answered",
        load.requests
    );
    let ceiling = u128::from(load.requests) * 1_000_000_000 / u128::from(load.busy_ns);
    Ok(u64::try_from(ceiling)?)
}

/// What the driver says next.
pub fn hear(driver: &mut Driver) -> anyhow::Result<Report> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(report) = driver.try_read()? {
            return Ok(report);
        }
        ensure!(!interrupt::requested(), "interrupted");
        ensure!(Instant::now() < end, "the load driver says nothing");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A server in a process of its own. Dropping it ends it.
pub struct NullServer {
    _child: ChildGroup,
    pub port: u16,
}

impl NullServer {
    pub fn start(executable: &Path, cpus: &[usize]) -> anyhow::Result<Self> {
        let mut command = Command::new(executable);
        command
            .arg(SUBCOMMAND)
            .args(["--cpus", &affinity::listed(cpus)])
            .args(["--parent", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = ChildGroup::spawn(&mut command).context("starting the null server")?;
        let stdout = child.stdout.take().expect("standard output was asked for");
        let has_output = wait_for_output([Some(stdout.as_fd())], PATIENCE);
        ensure!(has_output, "the null server says nothing");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let port = line.trim().parse().context("the null server has no port")?;
        Ok(Self { _child: child, port })
    }
}

#[derive(Debug, Args)]
pub struct NullServerArguments {
    /// CPUs to stay on.
    #[arg(long, value_delimiter = ',')]
    cpus: Vec<usize>,
    /// Process to die with.
    #[arg(long)]
    parent: u32,
}

/// `__null-server`: says its port and echoes until it is ended.
pub fn serve(arguments: &NullServerArguments) -> anyhow::Result<()> {
    die_with_parent(arguments.parent)?;
    if !arguments.cpus.is_empty() {
        affinity::stay_on(&arguments.cpus).context("the CPUs could not be chosen")?;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    writeln!(io::stdout().lock(), "{port}")?;
    Ok(null_server::serve(listener)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_is_a_second_by_what_a_request_costs() {
        let load = |requests, busy_ns| Load {
            requests,
            busy_ns,
            window_ns: 150_000_000,
            ..Load::default()
        };
        // Saturated: what it reaches. Half idle: twice that.
        assert_eq!(of(&load(30_000, 150_000_000)).unwrap(), 200_000);
        assert_eq!(of(&load(30_000, 75_000_000)).unwrap(), 400_000);
        assert!(of(&load(99, 75_000_000)).is_err());
        assert!(of(&load(30_000, 0)).is_err());
        let broken = Load { first_error: Some("it was closed".into()), ..load(30_000, 1) };
        assert!(of(&broken).is_err());
    }
}
