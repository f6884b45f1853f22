//! Faults of the whole process. They occur on the thread of the run, whatever its tasks are doing.

use std::hint::black_box;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, abort, exit};
use std::thread;
use std::time::Duration;

use quadrant_suite::scene::Scene;

use crate::fault::Fault;

/// Performs the fault on the process during the trial, if it is one of these.
pub(crate) fn strike_of(fault: Fault) -> Option<fn()> {
    Some(match fault {
        Fault::PanicsInRun => || panic!("this fault panics in mid-run"),
        Fault::Aborts => || abort(),
        Fault::Exits => || exit(7),
        Fault::Segfaults => segfault,
        Fault::PrintsWithoutEnd => print_without_end,
        Fault::AllocatesWithoutEnd => allocate_without_end,
        Fault::LeaksChild => leak_child,
        _ => return None,
    })
}

/// The connections of a process that dies are closed before it is seen to have ended.
pub(crate) fn die_when_ready(scene: &Scene) -> ! {
    let once_open = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr());
    scene.open_root(0, once_open.map_or(1, |address| address.port()), 1);
    thread::sleep(Duration::from_millis(5));
    abort()
}

#[allow(unsafe_code)]
fn segfault() {
    let nowhere = std::ptr::without_provenance_mut::<u8>(16);
    // SAFETY: a volatile access outside of all of Rust's memory is made as it is written, and
    // Linux maps nothing into the first page: the CPU refuses, which is what is wanted.
    unsafe { nowhere.write_volatile(1) };
}

/// Continues when its output is closed.
fn print_without_end() {
    let line = "this fault prints without end\n".repeat(1_000);
    loop {
        drop(std::io::stdout().write_all(line.as_bytes()));
        drop(std::io::stderr().write_all(line.as_bytes()));
    }
}

/// Slowly enough to be stopped in time, and the first process to be killed if memory runs out.
fn allocate_without_end() {
    drop(std::fs::write("/proc/self/oom_score_adj", "1000"));
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 16 << 20]));
        thread::sleep(Duration::from_millis(10));
    }
}

/// It is never waited for.
fn leak_child() {
    if let Err(error) = Command::new("sleep").arg("1000").spawn() {
        panic!("`sleep` could not be started: {error}");
    }
}
