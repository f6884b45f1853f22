//! Tests that the machine does not allow are skipped with a reason, and counted.

use std::cell::RefCell;

use libtest_mimic::Completion;

/// What a machine may lack. `QUADRANT_EXPECTED` lists the names of what this machine has; a test
/// that is skipped for lack of one of these fails.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    Root,
    Bpf,
    Cgroups,
    Fuse,
    IoUring,
    Cpus,
    /// Anything else that is named in the reason.
    Other,
}

impl Need {
    fn name(self) -> &'static str {
        match self {
            Need::Root => "root",
            Need::Bpf => "bpf",
            Need::Cgroups => "cgroups",
            Need::Fuse => "fuse",
            Need::IoUring => "io_uring",
            Need::Cpus => "cpus",
            Need::Other => "other",
        }
    }
}

thread_local! {
    static REASON: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Marks the running test as skipped. The test returns after that.
pub fn skip(need: Need, reason: &str) {
    let expected = std::env::var("QUADRANT_EXPECTED").unwrap_or_default();
    let is_expected = expected.split([',', ' ']).any(|name| name == need.name());
    assert!(!is_expected, "QUADRANT_EXPECTED has `{}`, but: {reason}", need.name());
    REASON.set(Some(reason.to_owned()));
}

pub fn run(test: fn()) -> Completion {
    REASON.set(None);
    test();
    REASON.take().map_or(Completion::Completed, Completion::ignored_with)
}
