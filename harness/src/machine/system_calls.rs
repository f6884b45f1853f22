//! System calls by number and name, those that a subject's threads wait in or work with.
//!
//! Numbers differ between architectures, so they come from the C library's headers.

macro_rules! named {
    ($($constant:ident),* $(,)?) => {
        &[$((libc::$constant as i64, stringify!($constant))),*]
    };
}

#[cfg(target_os = "linux")]
const NAMED: &[(i64, &str)] = named![
    SYS_accept4,
    SYS_clock_nanosleep,
    SYS_clone3,
    SYS_close,
    SYS_connect,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_fadvise64,
    SYS_fdatasync,
    SYS_fstat,
    SYS_fsync,
    SYS_futex,
    SYS_io_uring_enter,
    SYS_madvise,
    SYS_mmap,
    SYS_munmap,
    SYS_nanosleep,
    SYS_openat,
    SYS_ppoll,
    SYS_pread64,
    SYS_preadv2,
    SYS_pselect6,
    SYS_pwrite64,
    SYS_read,
    SYS_readv,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_sched_yield,
    SYS_sendmsg,
    SYS_sendto,
    SYS_statx,
    SYS_timerfd_settime,
    SYS_write,
    SYS_writev,
];

/// Older calls that newer architectures do without.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const NAMED_HERE: &[(i64, &str)] =
    named![SYS_accept, SYS_epoll_wait, SYS_newfstatat, SYS_open, SYS_poll, SYS_select];
#[cfg(all(target_os = "linux", not(target_arch = "x86_64")))]
const NAMED_HERE: &[(i64, &str)] = &[];

/// `epoll_wait`, or `call 424` for one that is not in the table.
#[cfg(target_os = "linux")]
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
