//! What one trial is to do, and what it may cost.
//!
//! Never carries anything out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quadrant_suite::plan::{Group, Plan};

use super::freeze::Freeze;
use super::library_file::LibraryFile;
use super::memory::Memory;
use crate::driver::order::ClientGroup;
use crate::responder::order::Backend;
use crate::system::cpus::Division;
use crate::system::forbid::Forbidden;

/// What one trial may cost, and what it is forbidden.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For becoming ready, and again for the outcome after the window.
    pub answer: Duration,
    /// Of all its processes together.
    pub memory_bytes: u64,
    pub output_bytes: u64,
    pub forbidden: Option<Forbidden>,
}

impl Limits {
    /// A subject that takes longer, uses more or prints more has failed.
    pub const USUAL: Limits = Limits {
        answer: Duration::from_secs(10),
        memory_bytes: 4 << 30,
        output_bytes: 16 << 20,
        forbidden: None,
    };
}

/// One trial to be run.
pub struct Order<'a> {
    /// This very program.
    pub executable: &'a Path,
    pub library: &'a Arc<LibraryFile>,
    pub plan: &'a Plan,
    /// What the driver is to do; nothing without a load.
    pub load: &'a [ClientGroup],
    /// What the responder plays; the plan has the same backends.
    pub backends: &'a [Backend],
    pub cpus: &'a Division,
    pub warmup: Duration,
    pub measure: Duration,
    pub attention: Attention,
    /// Freezes the subject during the window; for the self-test.
    pub freeze: Option<Freeze>,
    pub memory: Memory,
    pub limits: Limits,
}

/// What is done to a subject while its window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// Pings are sent to it, and it is looked at.
    Usual,
    /// Its system calls are counted, and no ping is sent, which would cause more of them. The trial has
    /// no figures.
    Evidence,
    /// Nothing.
    None,
}

impl Order<'_> {
    /// Whether pings are sent to the subject, by the driver or, without a load, by the harness.
    pub fn is_pinged(&self) -> bool {
        self.attention == Attention::Usual
    }

    /// Whether some of its work is of a fixed amount: such work is measured from its very beginning.
    pub fn has_fixed_work(&self) -> bool {
        self.plan.groups.iter().any(Group::is_of_fixed_work)
    }
}
