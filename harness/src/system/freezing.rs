//! Freezes a child of this process with all that it has started, and lets it go on.
//!
//! Knows only children that lead a process group of their own.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// Threads stop where they next return from the kernel: at once, but for those that wait for a
/// device.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_micros(50);

/// Comes back when every thread has stopped. One that has ended instead is no error here.
pub fn freeze(pid: u32) -> io::Result<()> {
    let pid = known(pid)?;
    kill_process_group(pid, Signal::STOP)?;
    let options = WaitIdOptions::STOPPED
        | WaitIdOptions::EXITED
        | WaitIdOptions::NOHANG
        // Who it was and how it ended is left to whoever started it.
        | WaitIdOptions::NOWAIT;
    let begin = Instant::now();
    loop {
        if waitid(WaitId::Pid(pid), options)?.is_some() {
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it did not stop within {} s", PATIENCE.as_secs()),
            ));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

pub fn thaw(pid: u32) -> io::Result<()> {
    Ok(kill_process_group(known(pid)?, Signal::CONT)?)
}

fn known(pid: u32) -> io::Result<Pid> {
    Pid::from_raw(pid as i32).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::process;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    fn busy_child() -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done"]).stdin(Stdio::null()).process_group(0);
        command.spawn().unwrap()
    }

    #[test]
    fn a_frozen_process_uses_no_cpu_until_it_is_thawed_however_often() {
        let mut child = busy_child();
        let pid = child.id();
        let used = || process::cpu_ns(pid).unwrap();
        for _ in 0..20 {
            freeze(pid).unwrap();
            let at_freezing = used();
            std::thread::sleep(Duration::from_millis(3));
            let frozen = used();
            // Its last steps out of the way are made after the word that it has stopped.
            assert!(frozen - at_freezing < 300_000, "{} ns", frozen - at_freezing);
            thaw(pid).unwrap();
            let begin = Instant::now();
            while used() == frozen {
                assert!(begin.elapsed() < Duration::from_secs(20), "it goes on");
            }
        }
        freeze(pid).unwrap();
        assert!(child.try_wait().unwrap().is_none(), "a frozen process has not ended");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn one_that_has_ended_is_frozen_enough() {
        let mut child = Command::new("true").process_group(0).spawn().unwrap();
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(known(child.id()).unwrap()), options).unwrap();
        freeze(child.id()).unwrap();
        assert!(child.wait().unwrap().success());
    }
}
