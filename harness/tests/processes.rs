//! The helper processes, as real processes: this program starts itself again as each of them.
#![allow(clippy::unwrap_used)] // all of it is a test

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use quadrant::driver::null_server::NullServer;
use quadrant::driver::order::{ClientGroup, Order, Report};
use quadrant::driver::process::{Driver, DriverError, SUBCOMMAND};
use quadrant::fixtures::FixtureStore;
use quadrant::system::board_memory::BoardMemory;
use quadrant_suite::board::Phase;
use quadrant_suite::clock::{ClockScale, stamp};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [SUBCOMMAND] => return ExitCode::from(quadrant::driver::run_from_stdin()),
        ["harness-with-files"] => be_a_harness_with_files(),
        ["harness-with-driver", port] => be_a_harness_with_a_driver(port.parse().unwrap()),
        _ => {}
    }
    let exe = std::env::current_exe().unwrap();
    // Test runners list the tests first; there is one.
    if arguments.iter().any(|argument| argument == "--list") {
        println!("processes: test");
        return ExitCode::SUCCESS;
    }
    a_driver_runs_a_trial(&exe);
    an_impossible_order_is_an_error(&exe);
    a_driver_that_is_killed_is_an_error(&exe);
    a_dropped_driver_is_gone(&exe);
    a_driver_dies_with_its_harness(&exe);
    files_of_a_killed_harness_are_swept(&exe);
    println!("processes: ok");
    ExitCode::SUCCESS
}

fn order(port: u16) -> Order {
    Order {
        seed: 7,
        connect_limit_ns: 1_000_000_000,
        ..Order::new(port, vec![ClientGroup::plain(4, 64)], ClockScale::MONOTONIC)
    }
}

/// The port of a server that runs until this process ends.
fn null_server() -> u16 {
    let server = NullServer::start(&[]).unwrap();
    let port = server.port;
    std::mem::forget(server);
    port
}

fn next_report(driver: &mut Driver) -> Result<Report, DriverError> {
    let begun = Instant::now();
    loop {
        if let Some(report) = driver.try_read()? {
            return Ok(report);
        }
        assert!(begun.elapsed() < LIMIT, "the driver reports nothing");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn a_driver_runs_a_trial(exe: &Path) {
    let memory = BoardMemory::create().unwrap();
    let mut driver = Driver::spawn(exe, &order(null_server()), &memory, &[]).unwrap();
    assert_eq!(next_report(&mut driver).unwrap(), Report::Connected(4));
    memory.board().enter(Phase::Warmup, stamp());
    std::thread::sleep(Duration::from_millis(20));
    memory.board().enter(Phase::Measuring, stamp());
    std::thread::sleep(Duration::from_millis(200));
    memory.board().enter(Phase::Over, stamp());
    let Report::Finished(load) = next_report(&mut driver).unwrap() else {
        panic!("no result");
    };
    assert!(load.requests > 0);
    assert_eq!(load.first_error, None);
    assert_eq!((load.connections, load.connections_served), (4, 4));
    assert!(matches!(
        next_report(&mut driver),
        Err(DriverError::Ended(status)) if status.success()
    ));
}

fn an_impossible_order_is_an_error(exe: &Path) {
    let memory = BoardMemory::create().unwrap();
    let impossible = Order { groups: Vec::new(), ..order(1) };
    let mut driver = Driver::spawn(exe, &impossible, &memory, &[]).unwrap();
    let error = next_report(&mut driver).unwrap_err().to_string();
    assert!(error.contains("a load needs a connection"), "{error}");
    let error = Driver::spawn(Path::new("/nowhere"), &order(1), &memory, &[]).err();
    assert!(matches!(error, Some(DriverError::Start(_))));
}

fn a_driver_that_is_killed_is_an_error(exe: &Path) {
    let memory = BoardMemory::create().unwrap();
    let mut driver = Driver::spawn(exe, &order(null_server()), &memory, &[]).unwrap();
    next_report(&mut driver).unwrap();
    signal(driver.id(), Signal::KILL);
    assert!(matches!(next_report(&mut driver), Err(DriverError::Ended(_))));
}

fn a_dropped_driver_is_gone(exe: &Path) {
    let memory = BoardMemory::create().unwrap();
    let mut driver = Driver::spawn(exe, &order(null_server()), &memory, &[]).unwrap();
    next_report(&mut driver).unwrap();
    let id = driver.id();
    drop(driver);
    assert!(!is_alive(id));
}

fn a_driver_dies_with_its_harness(exe: &Path) {
    let (mut harness, line) = start(exe, &["harness-with-driver", &null_server().to_string()]);
    let driver: u32 = line.parse().unwrap();
    assert!(is_alive(driver));
    harness.kill().unwrap();
    harness.wait().unwrap();
    wait_until(|| !is_alive(driver));
}

fn be_a_harness_with_a_driver(port: u16) {
    let memory = BoardMemory::create().unwrap();
    let exe = std::env::current_exe().unwrap();
    let mut driver = Driver::spawn(&exe, &order(port), &memory, &[]).unwrap();
    next_report(&mut driver).unwrap();
    println!("{}", driver.id());
    std::thread::sleep(LIMIT);
}

fn files_of_a_killed_harness_are_swept(exe: &Path) {
    let (mut harness, line) = start(exe, &["harness-with-files"]);
    let directory = Path::new(&line);
    FixtureStore::new(std::env::temp_dir());
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 5, "it is alive");
    harness.kill().unwrap();
    harness.wait().unwrap();
    FixtureStore::new(std::env::temp_dir());
    assert!(!directory.exists());
}

fn be_a_harness_with_files() {
    let mut store = FixtureStore::new(std::env::temp_dir());
    let set = store.files(5, 1_000, None).unwrap();
    println!("{}", set.directory().display());
    std::thread::sleep(LIMIT);
}

/// Starts this program as a harness and returns its first line.
fn start(exe: &Path, arguments: &[&str]) -> (Child, String) {
    let mut harness = Command::new(exe).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let stdout = harness.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    (harness, line.trim().to_owned())
}

fn signal(id: u32, signal: Signal) {
    let id = rustix::process::Pid::from_raw(id as i32).unwrap();
    rustix::process::kill_process(id, signal).unwrap();
}

/// A zombie, which no process has waited for yet, is not alive.
fn is_alive(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z ") && !stat.contains(") X "))
}

fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "it did not happen in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}
