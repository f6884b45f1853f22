//! Stalls on purpose: a task that holds its thread, and notes exactly for how long and why.
//!
//! It is the ground truth that the poll wrapper and the pings are held against, so it shares
//! nothing with them: it reads the thread's clocks right around each hold, and takes lengths by
//! the system's own clock. Only the self-test asks for it; no scenario can.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Stamp, monotonic_ns, stamp};
use crate::plain_calls;
use crate::runtime::Runtime;
use crate::scene::Scene;
use crate::task::waiting;
use crate::thread_times;

/// Injections of a trial that are kept; a plan that asks for more is no use to anybody.
pub const INJECTIONS_MAX: usize = 4_096;

/// In which way a thread is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// It computes, until its own clock has gone on by the length.
    Spin,
    /// It sleeps in a plain call.
    Sleep,
    /// It waits in a plain read, of a timer's descriptor.
    Read,
}

/// One stall to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Injection {
    /// How long the task waits before it, in the runtime's own way.
    pub after_ns: u64,
    pub hold: Hold,
    pub ns: u64,
}

/// One stall that was made, as it really was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Injected {
    pub hold: Hold,
    /// By the clock of the plan: where on the board's axis it lies.
    pub start: Stamp,
    pub end: Stamp,
    /// By the system's monotonic clock, whatever the plan's clock says.
    pub wall_ns: u64,
    pub cpu_ns: u64,
    pub run_queue_ns: u64,
}

/// Makes one after the other, until all are made or the trial is over.
///
/// They never count as waiting, not even where calls wait by design: whoever holds a thread in
/// the middle of a step has stalled it.
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
    // The lengths take in what it costs to know them: it holds the thread as well.
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

/// Something to read that comes by itself, so that no helper thread has to write it.
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
            // Zero would switch it off, and the read would wait for ever.
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

/// Elsewhere a sleep stands in its place.
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
