//! The limits of this process, which its children inherit.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limits on open files, locked memory and threads as far as is allowed, so that
/// many connections, io_uring's rings and a thread for each of many tasks fit.
pub fn raise() {
    for resource in [Resource::Nofile, Resource::Memlock, Resource::Nproc] {
        let limit = getrlimit(resource);
        // Staying where it is, is no failure: what needs more is told so when it is planned.
        let _ = setrlimit(resource, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    if getrlimit(Resource::Memlock).maximum.is_some() {
        // Root may go beyond the hard limit.
        let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    }
}

/// Files that may be open at once; no value means no limit.
pub fn open_files_max() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Memory that may be locked; no value means no limit.
pub fn locked_memory_max() -> Option<u64> {
    getrlimit(Resource::Memlock).current
}
