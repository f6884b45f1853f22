//! The count by a program at the kernel's `sys_enter`.
//!
//! Each thread has entries of its own in the table, which nobody else writes: no count is lost
//! to a race, and nothing is locked together. It never looks at what a call is given.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;

use super::Counted;
use crate::system::bpf::assembly::Register::{R0, R1, R2, R3, R4, R6, R8, R10};
use crate::system::bpf::assembly::{
    Helper, Instruction, TO_THE_END, add, call, copy, jump, jump_if_equal, jump_if_not_equal,
    load_32, load_64, only_in_process, program, set, set_map, store_32, store_64, store_number_32,
    store_number_64,
};
use crate::system::bpf::{Attached, Map, MapKind, split};
use crate::system::system_calls;

/// For 4,096 threads with 32 different calls each.
const ENTRIES_MAX: u32 = 1 << 17;

pub struct InKernel {
    _program: Attached,
    is_open: Map,
    counts: Map,
}

impl InKernel {
    pub fn attach(pid: u32) -> io::Result<Self> {
        let is_open = Map::create(MapKind::Array, 1)?;
        let counts = Map::create(MapKind::Hash, ENTRIES_MAX)?;
        let namespace = std::fs::metadata("/proc/self/ns/pid")?;
        let namespace = (namespace.dev(), namespace.ino());
        let program = counting(pid, namespace, is_open.number(), counts.number());
        let program = Attached::attach(&program, c"sys_enter")?;
        Ok(Self { _program: program, is_open, counts })
    }

    pub fn count(&mut self, on: bool) {
        // The entry is there since the map was made, so this cannot fail.
        let _ = self.is_open.set(0, u64::from(on));
    }

    pub fn read(self, threads: &BTreeSet<u32>) -> Result<Counted, String> {
        let entries = self
            .counts
            .entries(ENTRIES_MAX as usize)
            .map_err(|error| format!("the counts of system calls cannot be read: {error}"))?;
        let mut all = BTreeMap::new();
        let mut of_threads = BTreeMap::new();
        for (key, count) in &entries {
            let (thread, number) = split(*key);
            let name = system_calls::name(i64::from(number as i32));
            if threads.contains(&thread) {
                *of_threads.entry(name.clone()).or_default() += count;
            }
            *all.entry(name).or_default() += count;
        }
        let method = match entries.len() < ENTRIES_MAX as usize {
            true => "bpf at sys_enter",
            false => "bpf at sys_enter, table full: some calls are missing",
        };
        Ok(Counted { method: method.to_owned(), all, of_threads: Some(of_threads) })
    }
}

/// Adds one to the entry of this thread and this call, if `is_open` says so.
fn counting(pid: u32, namespace: (u64, u64), is_open: RawFd, counts: RawFd) -> Vec<Instruction> {
    /// Thread and call, 32 bits each.
    const KEY: i16 = -16;
    const ONE: i16 = -24;
    let if_open = [
        &[copy(R6, R1), store_number_32(R10, -4, 0), copy(R2, R10), add(R2, -4)][..],
        &set_map(R1, is_open),
        &[
            call(Helper::MapLookup),
            jump_if_equal(R0, 0, TO_THE_END),
            load_64(R0, R0, 0),
            jump_if_equal(R0, 0, TO_THE_END),
        ],
    ]
    .concat();
    // The arguments of this tracepoint: the registers, and the number of the call.
    let key = [
        load_32(R8, R10, -8),
        store_32(R10, KEY, R8),
        load_64(R8, R6, 8),
        store_32(R10, KEY + 4, R8),
    ];
    let count_on = [
        &[copy(R2, R10), add(R2, i32::from(KEY))][..],
        &set_map(R1, counts),
        &[
            call(Helper::MapLookup),
            jump_if_equal(R0, 0, 4),
            load_64(R1, R0, 0),
            add(R1, 1),
            store_64(R0, 0, R1),
            jump(TO_THE_END),
        ],
    ]
    .concat();
    let first_of_its_kind = [
        &[
            jump_if_not_equal(R0, 0, TO_THE_END),
            store_number_64(R10, ONE, 1),
            copy(R2, R10),
            add(R2, i32::from(KEY)),
            copy(R3, R10),
            add(R3, i32::from(ONE)),
            set(R4, 0),
        ][..],
        &set_map(R1, counts),
        &[call(Helper::MapUpdate)],
    ]
    .concat();
    program(&[&if_open, &only_in_process(pid, namespace), &key, &count_on, &first_of_its_kind])
}
