//! Descriptors that a child inherits, under the same number.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// A second descriptor of something, for a child.
///
/// It is open across `exec` from its making to its drop, for *every* process started in between.
/// So it is made right before the one child that is to have it and dropped right after. What no other
/// may have goes to children that are started from one thread, as those of trials are.
pub struct PassedOn(pub(crate) OwnedFd);

impl PassedOn {
    pub fn new(of: impl AsFd) -> io::Result<Self> {
        // A plain dup never carries CLOEXEC.
        Ok(Self(rustix::io::dup(of)?))
    }

    /// The number under which the child finds it.
    pub fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
