//! ^C: a request to stop, for which the program looks regularly, so that what was measured is kept.
//!
//! Never ends the process at the first request.

use std::mem::MaybeUninit;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use quadrant_suite::clock::monotonic_ns;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level;

/// When the first request came; 0 before it has.
static REQUESTED_AT: AtomicU64 = AtomicU64::new(0);
/// Signals that come closer together are one request: `timeout` sends one to a process and one to
/// its group.
const ONE_REQUEST: Duration = Duration::from_millis(300);

/// That of an interrupted command.
pub const EXIT_CODE: u8 = 130;

/// From now on ^C, a termination and a closed terminal are requests. A second ^C ends at once. A signal
/// that is ignored stays ignored, as `nohup` and a shell's background jobs want it.
pub fn listen() {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        for signal in [SIGINT, SIGTERM] {
            register(signal, || {
                let now = monotonic_ns();
                if let Err(first) = REQUESTED_AT.compare_exchange(0, now, Relaxed, Relaxed)
                    && now.saturating_sub(first) > ONE_REQUEST.as_nanos() as u64
                {
                    low_level::exit(i32::from(EXIT_CODE));
                }
            });
        }
        register(SIGHUP, || {
            let _ = REQUESTED_AT.compare_exchange(0, monotonic_ns(), Relaxed, Relaxed);
        });
    });
}

#[allow(unsafe_code)]
fn register(signal: i32, act: impl Fn() + Send + Sync + 'static) {
    if is_ignored(signal) {
        return;
    }
    // SAFETY: what is registered here uses an atomic, clock_gettime and _exit, all of which a
    // signal handler may use.
    let _ = unsafe { low_level::register(signal, act) };
}

#[allow(unsafe_code)]
fn is_ignored(signal: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call only writes the present one, for which there is room; it
    // is read only where the call has succeeded.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

pub fn requested() -> bool {
    REQUESTED_AT.load(Relaxed) != 0
}
