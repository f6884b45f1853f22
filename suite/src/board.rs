//! The board: a page of shared memory between the subject, its parent and the driver.
//!
//! The parent sets the phase of the trial, the subject's loops write their counters. The subject
//! never waits on it. Every field is an atomic that is valid when zero, and the layout is part of
//! the ABI version.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::clock::Stamp;

/// The most roots (workers of a per-core executor) a subject may have.
pub const ROOTS_MAX: usize = 64;
/// The highest `tasks_max` of an executor that runs each task on its own thread: about as many threads
/// as a process may have where `vm.max_map_count` is that of Linux (each needs two maps).
pub const THREADED_TASKS_MAX: u64 = 32_768;
/// Loops that can be measured, each in its own slot: one thread per task, plus the threads that
/// accept connections and read the parent's messages. Further loops are only counted. Unused slots
/// cost no memory.
pub const LOOPS_MAX: usize = THREADED_TASKS_MAX as usize + 2 * ROOTS_MAX;

/// Length of the secret that the driver sends first on every connection.
pub const TOKEN_BYTES: usize = 8;

/// Stalls of a window that are recorded individually; further ones are only counted.
pub const STALLS_MAX: usize = 4_096;

/// Capacity of the log of cold-file reads; when it is full the oldest entries are overwritten.
const FILE_READS_KEPT: usize = 4_096;

/// The phase of a trial. Only the parent changes it, and only forwards.
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
    /// The final number of roots; 0 until the first root has published it.
    roots: AtomicU32,
    server_port: AtomicU32,
    control_ports: [AtomicU32; ROOTS_MAX],
    /// The local ports of the parent's control connections.
    parent_ports: [AtomicU32; ROOTS_MAX],
    /// See [`Board::token`].
    token: AtomicU64,
    /// Set when every group with a fixed number of operations has completed them.
    finished: AtomicU32,
    window_start: AtomicU64,
    window_end: AtomicU64,
    /// Threads alive that have polled tasks, and their peak.
    loops: AtomicU64,
    loops_peak: AtomicU64,
    /// Threads that found no free slot, and the operations that they completed.
    loops_unmetered: AtomicU64,
    operations_without_slot: AtomicU64,
    /// Slots that were ever taken.
    slots_used: AtomicU64,
    /// Index at which the search for a free slot begins.
    slots_free_from: AtomicU64,
    /// Injected stalls and pings before the window that the instruments detected.
    canary_stalls: AtomicU32,
    canary_pings: AtomicU32,
    /// Stalls of the window so far; may exceed `STALLS_MAX`.
    stalls: AtomicU64,
    answered: Answered,
    slots: [LoopSlot; LOOPS_MAX],
    stall_log: [StallEntry; STALLS_MAX],
    /// Reads of cold files since the trial's beginning.
    file_reads: AtomicU64,
    /// Ring of the files read: index + 1; 0 means already taken, or not written yet.
    file_read_log: [AtomicU32; FILE_READS_KEPT],
}

/// Correct answers that the driver has received. On its own cache line, because the driver writes
/// it all the time and the subject reads its neighbours all the time.
#[repr(C, align(128))]
struct Answered(AtomicU64);

/// One recorded stall, as it lies in shared memory.
#[repr(C)]
pub struct StallEntry {
    slot: AtomicU64,
    start: AtomicU64,
    /// Written last: zero while the entry is being written.
    end: AtomicU64,
    cpu_ns: AtomicU64,
    run_queue_ns: AtomicU64,
}

/// One recorded stall: when, and what the thread's time was spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// Index of the slot of the loop that stalled.
    pub slot: usize,
    pub start: Stamp,
    pub end: Stamp,
    pub cpu_ns: u64,
    pub run_queue_ns: u64,
}

/// The counters of one loop. Stall figures cover the measuring window only.
#[repr(C, align(128))]
pub struct LoopSlot {
    taken: AtomicU32,
    /// Start of the poll in progress; 0 between polls.
    pub poll_started: AtomicU64,
    pub polls: AtomicU64,
    /// Polls of tasks that another thread had polled before.
    pub migrations: AtomicU64,
    /// Operations of the plan's first group that this loop has completed since the trial began.
    pub operations: AtomicU64,
    /// Polls of at least 1 ms, of at least the plan's threshold, of at least 100 ms.
    pub stalls: [AtomicU64; 3],
    pub longest_ns: AtomicU64,
    /// Of the polls at or above the threshold: their total time, and the parts of it in which the
    /// thread was running and was waiting for a CPU.
    pub stalled_ns: AtomicU64,
    pub stalled_cpu_ns: AtomicU64,
    pub stalled_run_queue_ns: AtomicU64,
    /// The system's id of the thread that owns the slot; 0 on systems without thread ids.
    pub thread_id: AtomicU32,
}

impl Board {
    /// A board in the memory of this process only.
    #[cfg(test)]
    #[allow(unsafe_code)]
    pub(crate) fn blank() -> Box<Board> {
        // SAFETY: the board consists of atomics only, for which all zeros is a valid value.
        unsafe { Box::<Board>::new_zeroed().assume_init() }
    }

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

    /// Whether the window was open at some time after `start`, up to now.
    pub(crate) fn has_seen(&self, start: Stamp) -> bool {
        match self.phase() {
            Phase::Starting | Phase::Warmup => false,
            Phase::Measuring => true,
            Phase::Over => start < self.window_end(),
        }
    }

    #[inline]
    pub fn is_over(&self) -> bool {
        self.phase.load(Ordering::Relaxed) >= Phase::Over as u32
    }

    /// For the parent: begins a phase of the trial.
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

    /// For a root: publishes its control port and the final number of roots.
    pub fn publish_root(&self, index: usize, control_port: u16, roots: usize) {
        self.control_ports[index].store(u32::from(control_port), Ordering::Relaxed);
        self.roots.store(roots as u32, Ordering::Release);
        self.roots_ready.fetch_add(1, Ordering::Release);
    }

    /// For the parent: the control ports, when every root is ready.
    pub fn control_ports(&self) -> Option<Vec<u16>> {
        let ready = self.roots_ready.load(Ordering::Acquire);
        let roots = self.roots.load(Ordering::Acquire);
        if roots == 0 || ready < roots || roots as usize > ROOTS_MAX {
            return None;
        }
        let ports = &self.control_ports[..roots as usize];
        Some(ports.iter().map(|port| port.load(Ordering::Relaxed) as u16).collect())
    }

    /// For the parent, before it connects to this root: the local port of that connection.
    pub fn publish_parent(&self, root: usize, port: u16) {
        self.parent_ports[root].store(u32::from(port), Ordering::Release);
    }

    pub(crate) fn parent_port(&self, root: usize) -> u16 {
        self.parent_ports[root].load(Ordering::Acquire) as u16
    }

    /// For the parent, before the subject starts: sets the trial's secret.
    pub fn set_token(&self, token: u64) {
        self.token.store(token, Ordering::Release);
    }

    /// The first bytes on every connection of the driver. Any local process can connect to the
    /// subject's port, but only processes that share this board have this secret.
    pub fn token(&self) -> [u8; TOKEN_BYTES] {
        self.token.load(Ordering::Acquire).to_le_bytes()
    }

    pub fn publish_server(&self, port: u16) {
        self.server_port.store(u32::from(port), Ordering::Release);
    }

    pub fn server_port(&self) -> u16 {
        self.server_port.load(Ordering::Acquire) as u16
    }

    /// For the driver, which is the only writer: counts one answered request.
    #[inline]
    pub fn count_answer(&self) {
        self.answered.0.store(self.answered.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Operations completed since the trial began, from which throughput is computed: answered
    /// requests if there is a load, otherwise operations of the plan's first group.
    pub fn done(&self, has_load: bool) -> u64 {
        if has_load { self.answered() } else { self.operations() }
    }

    fn answered(&self) -> u64 {
        self.answered.0.load(Ordering::Relaxed)
    }

    fn operations(&self) -> u64 {
        let metered: u64 =
            self.slots().iter().map(|slot| slot.operations.load(Ordering::Relaxed)).sum();
        metered + self.operations_without_slot.load(Ordering::Relaxed)
    }

    pub(crate) fn count_operation_without_slot(&self) {
        self.operations_without_slot.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_canary_stall(&self) {
        self.canary_stalls.fetch_add(1, Ordering::Release);
    }

    /// For a root: it has read the ping that comes before the trial.
    pub fn count_canary_ping(&self) {
        self.canary_pings.fetch_add(1, Ordering::Release);
    }

    /// Roots whose injected stall the poll wrapper has detected.
    pub fn canary_stalls(&self) -> u32 {
        self.canary_stalls.load(Ordering::Acquire)
    }

    /// Roots that have read the ping that comes before the trial.
    pub fn canary_pings(&self) -> u32 {
        self.canary_pings.load(Ordering::Acquire)
    }

    pub fn publish_finished(&self) {
        self.finished.store(1, Ordering::Release);
    }

    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire) != 0
    }

    /// Threads alive that have polled tasks.
    pub(crate) fn loops(&self) -> u64 {
        self.loops.load(Ordering::Relaxed)
    }

    /// The most threads that polled tasks at one time.
    pub fn loops_peak(&self) -> u64 {
        self.loops_peak.load(Ordering::Relaxed)
    }

    /// Threads that polled tasks but were not measured, because all slots were taken.
    pub fn loops_unmetered(&self) -> u64 {
        self.loops_unmetered.load(Ordering::Relaxed)
    }

    /// The slots that were ever in use.
    pub fn slots(&self) -> &[LoopSlot] {
        &self.slots[..(self.slots_used.load(Ordering::Acquire) as usize).min(LOOPS_MAX)]
    }

    /// The index of one of this board's own slots.
    fn index_of(&self, slot: &LoopSlot) -> usize {
        (std::ptr::from_ref(slot).addr() - self.slots.as_ptr().addr()) / size_of::<LoopSlot>()
    }

    /// Records a stall of the loop that owns `slot`, unless the log is full.
    pub(crate) fn log_stall(&self, slot: &LoopSlot, stall: Stall) {
        let index = self.stalls.fetch_add(1, Ordering::Relaxed) as usize;
        if let Some(entry) = self.stall_log.get(index) {
            entry.slot.store(self.index_of(slot) as u64, Ordering::Relaxed);
            entry.start.store(stall.start, Ordering::Relaxed);
            entry.cpu_ns.store(stall.cpu_ns, Ordering::Relaxed);
            entry.run_queue_ns.store(stall.run_queue_ns, Ordering::Relaxed);
            entry.end.store(stall.end, Ordering::Release);
        }
    }

    /// The recorded stalls, and whether none is missing.
    pub fn stalls(&self) -> (Vec<Stall>, bool) {
        let count = self.stalls.load(Ordering::Acquire) as usize;
        let kept = self.stall_log[..count.min(STALLS_MAX)]
            .iter()
            .map(|entry| Stall {
                end: entry.end.load(Ordering::Acquire),
                slot: entry.slot.load(Ordering::Relaxed) as usize,
                start: entry.start.load(Ordering::Relaxed),
                cpu_ns: entry.cpu_ns.load(Ordering::Relaxed),
                run_queue_ns: entry.run_queue_ns.load(Ordering::Relaxed),
            })
            .filter(|stall| stall.end != 0)
            .collect();
        (kept, count <= STALLS_MAX)
    }

    /// For the subject: it has read a cold file, which is now in the page cache.
    pub fn log_file_read(&self, file: u32) {
        let at = self.file_reads.fetch_add(1, Ordering::Relaxed) as usize;
        self.file_read_log[at % FILE_READS_KEPT].store(file + 1, Ordering::Release);
    }

    /// Reads of cold files since the trial's beginning.
    pub fn file_reads(&self) -> u64 {
        self.file_reads.load(Ordering::Relaxed)
    }

    /// For the harness: the files read since the last call. `seen` is the caller's position in the
    /// log, 0 at first. Entries that have been overwritten since are left out.
    pub fn take_file_reads(&self, seen: &mut u64) -> Vec<u32> {
        let count = self.file_reads();
        *seen = (*seen).max(count.saturating_sub(FILE_READS_KEPT as u64));
        let mut files = Vec::new();
        while *seen < count {
            let entry = &self.file_read_log[*seen as usize % FILE_READS_KEPT];
            match entry.swap(0, Ordering::Acquire) {
                // Counted already; its index will be written in a moment.
                0 => break,
                file => files.push(file - 1),
            }
            *seen += 1;
        }
        files
    }

    /// A slot for a thread that is about to poll its first task; `None` if all are taken. Counters
    /// of an earlier owner are continued.
    pub(crate) fn take_slot(&self) -> Option<&LoopSlot> {
        let alive = self.loops.fetch_add(1, Ordering::Relaxed) + 1;
        self.loops_peak.fetch_max(alive, Ordering::Relaxed);
        // A thread that ended meanwhile may have freed a slot below this index, so the search
        // wraps around.
        let first = self.slots_free_from.load(Ordering::Relaxed);
        let found = (first as usize..LOOPS_MAX).chain(0..first as usize).find(|&index| {
            let taken = &self.slots[index].taken;
            taken.load(Ordering::Relaxed) == 0 && taken.swap(1, Ordering::Acquire) == 0
        });
        let Some(index) = found else {
            self.loops_unmetered.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let next = index as u64 + 1;
        let _ = self.slots_free_from.compare_exchange(
            first,
            next,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        let slot = &self.slots[index];
        slot.thread_id.store(own_thread_id(), Ordering::Relaxed);
        self.slots_used.fetch_max(next, Ordering::Release);
        Some(slot)
    }

    /// The thread that took `slot` ends.
    pub(crate) fn give_back(&self, slot: Option<&LoopSlot>) {
        self.loops.fetch_sub(1, Ordering::Relaxed);
        if let Some(slot) = slot {
            slot.poll_started.store(0, Ordering::Relaxed);
            slot.taken.store(0, Ordering::Release);
            self.slots_free_from.fetch_min(self.index_of(slot) as u64, Ordering::Relaxed);
        }
    }
}

fn own_thread_id() -> u32 {
    #[cfg(target_os = "linux")]
    {
        rustix::thread::gettid().as_raw_nonzero().get() as u32
    }
    #[cfg(not(target_os = "linux"))]
    {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_handed_out_once_and_taken_back() {
        let board = Board::blank();
        let first: *const LoopSlot = board.take_slot().unwrap();
        let second: *const LoopSlot = board.take_slot().unwrap();
        assert_ne!(first, second);
        assert_eq!((board.loops_peak(), board.slots().len()), (2, 2));
        board.give_back(Some(&board.slots[0]));
        assert!(std::ptr::eq(board.take_slot().unwrap(), first));
        assert_eq!((board.loops_peak(), board.slots().len()), (2, 2));
    }

    #[test]
    fn more_loops_than_slots_are_not_metered() {
        let board = Board::blank();
        for index in 0..LOOPS_MAX + 10 {
            assert_eq!(board.take_slot().is_some(), index < LOOPS_MAX);
        }
        assert_eq!(board.loops_peak() as usize, LOOPS_MAX + 10);
        assert_eq!((board.slots().len(), board.loops_unmetered()), (LOOPS_MAX, 10));
        // Wherever one is given back, it is found.
        for index in [LOOPS_MAX - 1, 7, 0] {
            board.give_back(Some(&board.slots[index]));
            board.slots_free_from.store(LOOPS_MAX as u64 / 2, Ordering::Relaxed);
            assert_eq!(board.take_slot().map(|slot| board.index_of(slot)), Some(index));
        }
        board.give_back(None);
        assert_eq!(board.loops() as usize, LOOPS_MAX + 9);
    }

    #[test]
    fn stalls_are_kept_until_there_is_no_room() {
        let board = Board::blank();
        board.take_slot();
        board.take_slot();
        let stall = Stall { slot: 1, start: 10, end: 20, cpu_ns: 3, run_queue_ns: 4 };
        board.log_stall(&board.slots[1], stall);
        assert_eq!(board.stalls(), (vec![stall], true));
        for _ in 0..STALLS_MAX {
            board.log_stall(&board.slots[1], stall);
        }
        let (kept, all) = board.stalls();
        assert_eq!((kept.len(), all), (STALLS_MAX, false));
    }

    #[test]
    fn file_reads_are_taken_once_and_the_oldest_are_lost() {
        let board = Board::blank();
        let mut seen = 0;
        assert!(board.take_file_reads(&mut seen).is_empty());
        board.log_file_read(7);
        board.log_file_read(0);
        assert_eq!(board.take_file_reads(&mut seen), [7, 0]);
        assert!(board.take_file_reads(&mut seen).is_empty());
        for file in 0..FILE_READS_KEPT as u32 + 10 {
            board.log_file_read(file);
        }
        let taken = board.take_file_reads(&mut seen);
        assert_eq!((taken.len(), taken.first()), (FILE_READS_KEPT, Some(&10)));
        assert_eq!(board.file_reads(), FILE_READS_KEPT as u64 + 12);
    }

    #[test]
    fn control_ports_appear_when_every_root_is_ready() {
        let board = Board::blank();
        assert_eq!(board.control_ports(), None);
        board.publish_root(1, 5001, 2);
        assert_eq!(board.control_ports(), None);
        board.publish_root(0, 5000, 2);
        assert_eq!(board.control_ports(), Some(vec![5000, 5001]));
    }
}
