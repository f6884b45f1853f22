//! Which features of the system work here: io_uring and the loopback interface. What does not work
//! comes with the reason and what to do.
//!
//! Never mounts, enables or changes anything.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

#[cfg(target_os = "linux")]
use io_uring::{IoUring, Probe, opcode};

#[cfg(target_os = "linux")]
use super::deadly_calls::is_deadly;

/// A ring is set up and completes an operation, or the reason why not.
#[cfg(target_os = "linux")]
pub fn io_uring_works() -> Result<(), String> {
    let calls = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
    if calls.into_iter().any(is_deadly) {
        return Err("a filter of system calls (seccomp) kills whatever uses io_uring here; run \
                    outside of it or allow io_uring_setup, io_uring_enter and io_uring_register"
            .to_owned());
    }
    let mut ring = IoUring::new(4).map_err(|error| explain(&error))?;
    // SAFETY: a no-op refers to no memory.
    #[allow(unsafe_code)]
    let pushed = unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(7)) };
    pushed.map_err(|_| "io_uring's queue is full at its first entry".to_owned())?;
    ring.submit_and_wait(1).map_err(|error| explain(&error))?;
    let completed = ring.completion().next().map(|entry| entry.user_data());
    if completed != Some(7) {
        return Err("io_uring accepts operations but does not complete them".to_owned());
    }
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|_| too_old("probing"))?;
    match NEEDED.iter().find(|(_, code)| !probe.is_supported(*code)) {
        Some((operation, _)) => Err(too_old(operation)),
        None => Ok(()),
    }
}

/// Operations that runtimes use; the newest of these came with Linux 5.6.
#[cfg(target_os = "linux")]
const NEEDED: [(&str, u8); 8] = [
    ("accept", opcode::Accept::CODE),
    ("recv", opcode::Recv::CODE),
    ("send", opcode::Send::CODE),
    ("poll", opcode::PollAdd::CODE),
    ("timeout", opcode::Timeout::CODE),
    ("openat", opcode::OpenAt::CODE),
    ("read", opcode::Read::CODE),
    ("close", opcode::Close::CODE),
];

#[cfg(target_os = "linux")]
fn too_old(operation: &str) -> String {
    format!("this kernel's io_uring has no `{operation}` yet; Linux 5.8 or newer does")
}

#[cfg(target_os = "linux")]
fn explain(error: &io::Error) -> String {
    let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    let disabled = disabled.as_deref().unwrap_or("0").trim();
    if disabled != "0" {
        return format!(
            "io_uring is disabled here (kernel.io_uring_disabled={disabled}); \
             `sysctl kernel.io_uring_disabled=0` allows it"
        );
    }
    match error.raw_os_error() {
        Some(libc::EPERM) => "io_uring is forbidden here, as containers often do (seccomp); \
                              run outside of it or allow io_uring_setup and io_uring_enter"
            .to_owned(),
        Some(libc::ENOSYS) => "this kernel has no io_uring; Linux 5.8 or newer does".to_owned(),
        Some(libc::ENOMEM) => {
            "io_uring may not lock enough memory here; `ulimit -l unlimited` allows it".to_owned()
        }
        _ => format!("io_uring cannot be set up here: {error}"),
    }
}

#[cfg(not(target_os = "linux"))]
pub fn io_uring_works() -> Result<(), String> {
    Err("io_uring exists on Linux only".to_owned())
}

const LOOPBACK_LIMIT: Duration = Duration::from_secs(1);

/// What is wrong with the loopback interface. In a new network namespace it is off.
pub fn loopback_fault() -> Option<String> {
    let error = connect_over_loopback().err()?;
    Some(format!(
        "this machine's loopback interface (127.0.0.1) does not work: {error}; switch it on: \
         `ip link set lo up`"
    ))
}

/// What paces TCP over loopback: `cubic`, `bbr`. Read from a connection, because the route may have
/// another than the system's default. `None` where it cannot be known.
pub fn congestion_control() -> Option<String> {
    #[cfg(target_os = "linux")]
    return rustix::net::sockopt::tcp_congestion(&connect_over_loopback().ok()?).ok();
    #[cfg(not(target_os = "linux"))]
    None
}

fn connect_over_loopback() -> io::Result<TcpStream> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    TcpStream::connect_timeout(&listener.local_addr()?, LOOPBACK_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_have_a_loopback_interface() {
        assert_eq!(loopback_fault(), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_congestion_control_is_one_that_the_kernel_has() {
        let known = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
        let used = congestion_control().unwrap();
        assert!(known.unwrap().split_whitespace().any(|name| name == used), "{used}");
    }
}
