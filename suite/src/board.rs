//! The board: a page of shared memory between the subject, its parent and the driver.
//!
//! The parent sets the phase; the subject's loops leave their marks; nobody ever waits on it
//! inside the subject. Every field is an atomic, all zeros is its valid beginning, and its
//! layout is part of the ABI version.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::clock::Stamp;

/// The most roots (workers of a per-core executor) a subject may have.
pub const ROOTS_MAX: usize = 64;
/// Loops that have a slot of their own; later ones share the last slot.
pub const LOOPS_MAX: usize = 2_048;

/// Where a trial stands. Only the parent moves it, and only forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Phase {
    Starting = 0,
    Warmup = 1,
    Measuring = 2,
    Over = 3,
}

#[repr(C)]
pub struct Board {
    phase: AtomicU32,
    /// Roots that have published their control port.
    roots_ready: AtomicU32,
    /// How many roots there are going to be; 0 until the first one knows.
    roots: AtomicU32,
    server_port: AtomicU32,
    control_ports: [AtomicU32; ROOTS_MAX],
    /// Set when every group with a fixed number of operations has done them.
    finished: AtomicU32,
    window_start: AtomicU64,
    window_end: AtomicU64,
    /// Threads that have polled tasks; may exceed `LOOPS_MAX`.
    loops: AtomicU64,
    slots: [LoopSlot; LOOPS_MAX],
}

/// What one loop leaves on the board. Stall figures cover the measuring window only.
#[repr(C, align(128))]
pub struct LoopSlot {
    /// Start of the poll in progress; 0 between polls.
    pub poll_started: AtomicU64,
    pub polls: AtomicU64,
    /// Polls of at least 1 ms, of at least the plan's threshold, of at least 100 ms.
    pub stalls: [AtomicU64; 3],
    pub longest_ns: AtomicU64,
    /// Of the polls at or above the threshold.
    pub stalled_ns: AtomicU64,
}

impl Board {
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Warmup,
            2 => Phase::Measuring,
            _ => Phase::Over,
        }
    }

    #[inline]
    pub fn is_measuring(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == Phase::Measuring as u32
    }

    #[inline]
    pub fn is_over(&self) -> bool {
        self.phase.load(Ordering::Relaxed) >= Phase::Over as u32
    }

    /// For the parent: the trial's phase, with the stamp at which it began.
    pub fn enter(&self, phase: Phase, now: Stamp) {
        match phase {
            Phase::Measuring => self.window_start.store(now, Ordering::Relaxed),
            Phase::Over => self.window_end.store(now, Ordering::Relaxed),
            Phase::Starting | Phase::Warmup => {}
        }
        self.phase.store(phase as u32, Ordering::Release);
    }

    pub fn window_start(&self) -> Stamp {
        self.window_start.load(Ordering::Acquire)
    }

    pub fn window_end(&self) -> Stamp {
        self.window_end.load(Ordering::Acquire)
    }

    /// For a root: where the parent can reach it, out of how many there will be.
    pub fn publish_root(&self, index: usize, control_port: u16, roots: usize) {
        self.control_ports[index].store(u32::from(control_port), Ordering::Relaxed);
        self.roots.store(roots as u32, Ordering::Release);
        self.roots_ready.fetch_add(1, Ordering::Release);
    }

    /// For the parent: the control ports, once every root is ready.
    pub fn control_ports(&self) -> Option<Vec<u16>> {
        let ready = self.roots_ready.load(Ordering::Acquire);
        let roots = self.roots.load(Ordering::Acquire);
        if roots == 0 || ready < roots || roots as usize > ROOTS_MAX {
            return None;
        }
        let ports = &self.control_ports[..roots as usize];
        Some(
            ports
                .iter()
                .map(|port| port.load(Ordering::Relaxed) as u16)
                .collect(),
        )
    }

    pub fn publish_server(&self, port: u16) {
        self.server_port.store(u32::from(port), Ordering::Release);
    }

    pub fn server_port(&self) -> u16 {
        self.server_port.load(Ordering::Acquire) as u16
    }

    pub fn publish_finished(&self) {
        self.finished.store(1, Ordering::Release);
    }

    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire) != 0
    }

    /// How many threads have polled tasks.
    pub fn loops(&self) -> u64 {
        self.loops.load(Ordering::Relaxed)
    }

    /// The slots in use.
    pub fn slots(&self) -> &[LoopSlot] {
        &self.slots[..(self.loops() as usize).min(LOOPS_MAX)]
    }

    /// A slot for a thread that polls a task for the first time.
    pub(crate) fn register_loop(&self) -> &LoopSlot {
        let index = self.loops.fetch_add(1, Ordering::Relaxed) as usize;
        &self.slots[index.min(LOOPS_MAX - 1)]
    }
}
