//! Counts the threads that a process creates, at the kernel's `task_newtask`: those that are
//! gone before anybody looks are counted as well.
//!
//! Never counts processes, nor what other processes create. Where the kernel takes no program
//! of ours, nothing is known, and nothing is guessed.

use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;

use super::bpf::assembly::Register::{R0, R1, R2, R6, R7, R10};
use super::bpf::assembly::{
    Helper, Instruction, TO_THE_END, add, add_atomically_64, and, call, copy, jump_if_equal,
    jump_if_not_equal, load_64, only_in_process, program, set, set_map, store_number_32,
};
use super::bpf::{Attached, Map, MapKind};

/// Flags that the kernel creates a task with.
const THREAD: i32 = 0x0001_0000;
/// Together with the above only io_uring's workers have it.
const UNTRACED: i32 = 0x0080_0000;

pub struct ThreadCreations {
    _program: Attached,
    count: Map,
    /// The count when the window opened.
    before: u64,
}

impl ThreadCreations {
    pub fn attach(pid: u32) -> io::Result<Self> {
        let count = Map::create(MapKind::Array, 1)?;
        let namespace = std::fs::metadata("/proc/self/ns/pid")?;
        let namespace = (namespace.dev(), namespace.ino());
        let program = Attached::attach(&counting(pid, namespace, count.number()), c"task_newtask")?;
        Ok(Self { _program: program, count, before: 0 })
    }

    pub fn window_opens(&mut self) {
        self.before = self.count.value(0).unwrap_or(0);
    }

    /// Since the window opened.
    pub fn count(&self) -> Option<u64> {
        Some(self.count.value(0).ok()?.saturating_sub(self.before))
    }
}

fn counting(pid: u32, namespace: (u64, u64), count: RawFd) -> Vec<Instruction> {
    // The arguments of this tracepoint: the new task, and its flags.
    let only_threads = [
        load_64(R7, R1, 8),
        copy(R6, R7),
        and(R6, THREAD),
        jump_if_equal(R6, 0, TO_THE_END),
        and(R7, UNTRACED),
        jump_if_not_equal(R7, 0, TO_THE_END),
    ];
    let count = [
        &[store_number_32(R10, -12, 0), copy(R2, R10), add(R2, -12)][..],
        &set_map(R1, count),
        &[
            call(Helper::MapLookup),
            jump_if_equal(R0, 0, TO_THE_END),
            set(R1, 1),
            add_atomically_64(R0, 0, R1),
        ],
    ]
    .concat();
    program(&[&only_threads, &only_in_process(pid, namespace), &count])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_is_counted_however_short_it_lives() {
        let mut creations = match ThreadCreations::attach(std::process::id()) {
            Ok(creations) => creations,
            Err(error) => return eprintln!("skipped: bpf(2) is not allowed here: {error}"),
        };
        creations.window_opens();
        for _ in 0..50 {
            std::thread::spawn(|| {}).join().unwrap();
        }
        // A process is no thread.
        std::process::Command::new("true").status().unwrap();
        let count = creations.count().unwrap();
        // Other tests of this process may start threads meanwhile.
        assert!((50..5_000).contains(&count), "{count}");
    }
}
