//! Injected stalls: a task that holds its thread and measures exactly for how long and why.
//!
//! This is the ground truth for the poll wrapper and the pings, so it never shares an instrument
//! with them: it reads the thread's clocks around each hold and measures lengths with the system's
//! clock. Only the self-test uses it.

use std::io;
use std::time::Duration;

use crate::clock::{monotonic_ns, stamp};
use crate::outcome::Injected;
use crate::plain_calls;
use crate::plan::{Hold, Injection};
use crate::runtime::{Runtime, waiting};
use crate::scene::Scene;
use crate::thread_times;

/// Injects one stall after the other until all are done or the trial is over.
///
/// They never count as waiting, not even in executors whose calls block by design.
pub(crate) async fn series<R: Runtime>(
    scene: &'static Scene,
    runtime: &R,
    injections: &[Injection],
) -> io::Result<()> {
    let timer = Timer::new()?;
    for injection in injections {
        let pause = Duration::from_nanos(injection.after_ns);
        waiting!(R, scene, runtime.sleep(pause));
        if scene.board().is_over() {
            break;
        }
        scene.keep_injected(inject(injection, &timer)?);
    }
    Ok(())
}

fn inject(injection: &Injection, timer: &Timer) -> io::Result<Injected> {
    let time = Duration::from_nanos(injection.ns);
    // The clock readings hold the thread as well, so they are part of the length.
    let (start, started_ns) = (stamp(), monotonic_ns());
    let before = thread_times::read();
    if injection.hold == Hold::Read {
        timer.set(time)?;
    }
    match injection.hold {
        Hold::Spin => plain_calls::use_cpu(time),
        Hold::Sleep => std::thread::sleep(time),
        Hold::Read => timer.wait(time)?,
    }
    let spent = thread_times::read().since(before);
    let (ended_ns, end) = (monotonic_ns(), stamp());
    Ok(Injected {
        hold: injection.hold,
        start,
        end,
        wall_ns: ended_ns.saturating_sub(started_ns),
        cpu_ns: spent.cpu_ns,
        run_queue_ns: spent.run_queue_ns,
    })
}

/// A descriptor that becomes readable by itself, without a helper thread that writes to it.
#[cfg(target_os = "linux")]
struct Timer(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Timer {
    fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?))
    }

    fn set(&self, time: Duration) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let it_value = Timespec {
            tv_sec: time.as_secs() as i64,
            // Zero would disarm the timer, and the read would never return.
            tv_nsec: i64::from(time.subsec_nanos().max(1)),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    fn wait(&self, _: Duration) -> io::Result<()> {
        let mut expirations = [0_u8; 8];
        loop {
            match rustix::io::read(&self.0, &mut expirations) {
                Err(rustix::io::Errno::INTR) => {}
                read => return Ok(read.map(drop)?),
            }
        }
    }
}

/// A sleep replaces it on other systems.
#[cfg(not(target_os = "linux"))]
struct Timer;

#[cfg(not(target_os = "linux"))]
impl Timer {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    fn set(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn wait(&self, time: Duration) -> io::Result<()> {
        std::thread::sleep(time);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn made(hold: Hold, ns: u64) -> Injected {
        let timer = Timer::new().unwrap();
        inject(&Injection { after_ns: 0, hold, ns }, &timer).unwrap()
    }

    #[test]
    fn each_lasts_at_least_as_long_as_asked() {
        for hold in [Hold::Spin, Hold::Sleep, Hold::Read] {
            let injected = made(hold, 3 * MS);
            assert!(injected.wall_ns >= 3 * MS, "{injected:?}");
            assert!(injected.end > injected.start);
        }
    }

    #[test]
    fn spinning_is_cpu_time_and_waiting_is_not() {
        assert!(made(Hold::Spin, 4 * MS).cpu_ns >= 4 * MS);
        for hold in [Hold::Sleep, Hold::Read] {
            let injected = made(hold, 20 * MS);
            assert!(injected.cpu_ns < 10 * MS, "{injected:?}");
        }
    }
}
