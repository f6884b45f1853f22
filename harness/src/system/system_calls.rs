//! System calls by number and name, those that a subject's threads wait in or work with.
//!
//! Numbers differ between architectures, so they come from the C library's headers.

#[cfg(target_os = "linux")]
macro_rules! named {
    ($($constant:ident),* $(,)?) => {
        &[$((libc::$constant as i64, stringify!($constant))),*]
    };
}

#[cfg(target_os = "linux")]
const NAMED: &[(i64, &str)] = named![
    SYS_accept4,
    SYS_brk,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_clone,
    SYS_clone3,
    SYS_close,
    SYS_connect,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_eventfd2,
    SYS_exit,
    SYS_exit_group,
    SYS_fadvise64,
    SYS_fcntl,
    SYS_fdatasync,
    SYS_fstat,
    SYS_fsync,
    SYS_futex,
    SYS_getsockopt,
    SYS_gettid,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_io_uring_setup,
    SYS_lseek,
    SYS_madvise,
    SYS_membarrier,
    SYS_mmap,
    SYS_mprotect,
    SYS_munmap,
    SYS_nanosleep,
    SYS_openat,
    SYS_openat2,
    SYS_ppoll,
    SYS_prctl,
    SYS_pread64,
    SYS_preadv,
    SYS_preadv2,
    SYS_pselect6,
    SYS_pwrite64,
    SYS_read,
    SYS_readv,
    SYS_recvfrom,
    SYS_recvmmsg,
    SYS_recvmsg,
    SYS_restart_syscall,
    SYS_rseq,
    SYS_rt_sigprocmask,
    SYS_sched_yield,
    SYS_sendmsg,
    SYS_sendto,
    SYS_set_robust_list,
    SYS_setsockopt,
    SYS_shutdown,
    SYS_socket,
    SYS_statx,
    SYS_timerfd_settime,
    SYS_write,
    SYS_writev,
];

#[cfg(not(target_os = "linux"))]
const NAMED: &[(i64, &str)] = &[];

/// Older calls that newer architectures do without.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const NAMED_HERE: &[(i64, &str)] =
    named![SYS_accept, SYS_epoll_wait, SYS_newfstatat, SYS_open, SYS_poll, SYS_select];
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
const NAMED_HERE: &[(i64, &str)] = &[];

/// `epoll_wait`, or `call 424` for one that is not in the table.
pub fn name(number: i64) -> String {
    let known = NAMED.iter().chain(NAMED_HERE).find(|(known, _)| *known == number);
    match known {
        Some((_, constant)) => constant.trim_start_matches("SYS_").to_owned(),
        None => format!("call {number}"),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_number() {
        assert_eq!(name(libc::SYS_io_uring_enter), "io_uring_enter");
        assert_eq!(name(9_999), "call 9999");
    }
}
