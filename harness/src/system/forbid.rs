//! Forbids system calls to this process and all it starts, for good, as containers and hardened
//! services do.
//!
//! Never changes a setting of the machine.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// What can be forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Forbidden {
    #[value(name = "io_uring")]
    IoUring,
    /// Choosing one's CPUs.
    #[value(name = "affinity")]
    Affinity,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Forbidden::IoUring => formatter.write_str("io_uring"),
            Forbidden::Affinity => formatter.write_str("affinity"),
        }
    }
}

/// From here on these calls are refused, as most containers refuse those of io_uring.
#[cfg(target_os = "linux")]
pub fn forbid(forbidden: Forbidden) -> io::Result<()> {
    let calls: &[libc::c_long] = match forbidden {
        Forbidden::IoUring => {
            &[libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register]
        }
        Forbidden::Affinity => &[libc::SYS_sched_setaffinity],
    };
    answer(calls, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32)
}

/// From here on these calls are answered so, by one of `SECCOMP_RET_…`.
#[cfg(target_os = "linux")]
pub fn answer(calls: &[libc::c_long], answer: u32) -> io::Result<()> {
    let mut filter = vec![
        // The number of the call is the first word of what a filter looks at.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
    ];
    for (index, call) in calls.iter().enumerate() {
        // Where it is one of them, past the others and past the permission.
        let to_answer = (calls.len() - index) as u8;
        let compare = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        filter.push(instruction(compare, *call as u32, to_answer));
    }
    filter.push(instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0));
    filter.push(instruction(libc::BPF_RET | libc::BPF_K, answer, 0));
    install(&filter)
}

#[cfg(not(target_os = "linux"))]
pub fn forbid(_: Forbidden) -> io::Result<()> {
    // There is no io_uring anyway, and CPUs are not chosen.
    Ok(())
}

/// `jump` is taken when a comparison holds.
#[cfg(target_os = "linux")]
fn instruction(code: u32, k: u32, jump: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: jump, jf: 0, k }
}

#[cfg(target_os = "linux")]
fn install(filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // Without it only root may have a filter; with it no program started from here gains rights.
    rustix::thread::set_no_new_privs(true)?;
    // SAFETY: the call copies the program, which lives until it returns, and does not write to it.
    #[allow(unsafe_code)]
    let answer =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
