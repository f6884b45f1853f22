//! System calls that kill the process which makes them: some sandboxes answer a forbidden call by
//! that (seccomp's `SCMP_ACT_KILL`) and not by an error.
//!
//! Never makes such a call in this process.

#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

use std::ffi::c_long;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::child::{ended_within, has_ended};

/// The call that is tried returns at once.
const LIMIT: Duration = Duration::from_secs(5);

/// Tries a system call in a child, with arguments that the kernel refuses. Where no child can be made,
/// the call is taken for harmless.
pub fn is_deadly(call: c_long) -> bool {
    // SAFETY: the child makes three system calls and nothing else, so no lock that another thread
    // held is ever taken. The first reads a limit that is there. The second is given no memory: its
    // descriptor or size is -1, its address null.
    let child = unsafe {
        match libc::fork() {
            0 => {
                // Otherwise its death might leave a file.
                let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
                libc::syscall(call, -1, 0_usize, 0, 0, 0, 0);
                libc::_exit(0)
            }
            child => child,
        }
    };
    let Some(child) = Pid::from_raw(child.max(0)) else { return false };
    let status = ended_within(child, LIMIT).ok().flatten();
    let _ = kill_process(child, Signal::KILL);
    if has_ended(child) {
        let _ = waitpid(Some(child), WaitOptions::NOHANG);
    }
    status.is_some_and(|status| status.signal() == Some(libc::SIGSYS))
}
