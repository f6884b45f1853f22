//! A child that does not outlive its parent.

use anyhow::{Result, bail};

/// Makes the system kill this process when `parent` dies.
pub fn die_with(parent: u32) -> Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have died before the line above.
    let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if now as u32 != parent {
        bail!("the process that started this one is gone");
    }
    Ok(())
}
