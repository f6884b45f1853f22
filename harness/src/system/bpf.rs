//! Small programs inside the kernel that count at one of its tracepoints, through bpf(2).
//!
//! Never half attached: whatever the kernel refuses is an error, for the caller to fall back from.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
#[cfg(target_os = "linux")]
use std::sync::OnceLock;

use rustix::io::Errno;

#[cfg(target_os = "linux")]
use super::deadly_calls::is_deadly;

const MAP_CREATE: i64 = 0;
const MAP_LOOKUP: i64 = 1;
const MAP_UPDATE: i64 = 2;
const MAP_DELETE: i64 = 3;
const MAP_NEXT_KEY: i64 = 4;
const PROGRAM_LOAD: i64 = 5;
const TRACEPOINT_OPEN: i64 = 17;

const MAP_OF_HASH: u32 = 1;
const PROGRAM_OF_RAW_TRACEPOINT: u32 = 17;
/// Entries are allocated when they come, so a large table costs nothing until it fills.
const NO_PREALLOCATION: u32 = 1;
/// Every argument of every command used here lies within this; the kernel accepts one that is
/// longer than it expects as long as the rest is zero.
const ARGUMENT_WORDS: usize = 16;

/// Registers: R0 holds results, R1 to R5 arguments, which a call overwrites. R6 to R9 stay. R10 is
/// the end of the stack.
pub const R0: u8 = 0;
pub const R1: u8 = 1;
pub const R2: u8 = 2;
const R3: u8 = 3;
const R4: u8 = 4;
pub const R7: u8 = 7;
const R10: u8 = 10;

/// What a program may call in the kernel.
const LOOKUP: i32 = 1;
const UPDATE: i32 = 2;
/// Since Linux 5.7: thread and process in the numbers of a given PID namespace, ours. In a container
/// they differ from the kernel's own.
const NAMESPACE_PID: i32 = 120;
/// For [`UPDATE`]: an entry that another CPU has added meanwhile stays.
const NO_EXIST: i32 = 1;

/// The entry that is there while a program is to count: no thread and number have this key.
const OPEN: u64 = u64::MAX;

/// Where a program jumps when it has nothing to count.
pub const TO_THE_END: i16 = i16::MIN;

/// One instruction as the kernel reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    operation: u8,
    /// Destination in the low half, source in the high one.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn instruction(
    operation: u8,
    destination: u8,
    source: u8,
    offset: i16,
    immediate: i32,
) -> Instruction {
    let registers = destination | source << 4;
    // On a big-endian machine the halves are the other way round.
    let registers = if cfg!(target_endian = "big") { registers.rotate_left(4) } else { registers };
    Instruction { operation, registers, offset, immediate }
}

pub const fn copy(to: u8, from: u8) -> Instruction {
    instruction(0xBF, to, from, 0, 0)
}

pub const fn set(to: u8, value: i32) -> Instruction {
    instruction(0xB7, to, 0, 0, value)
}

pub const fn and(to: u8, value: i32) -> Instruction {
    instruction(0x57, to, 0, 0, value)
}

/// One of the tracepoint's arguments: at the program's start, R1 is where they are.
pub const fn load_argument(to: u8, index: i16) -> Instruction {
    instruction(0x79, to, R1, 8 * index, 0)
}

pub const fn jump_if_equal(register: u8, value: i32, offset: i16) -> Instruction {
    instruction(0x15, register, 0, offset, value)
}

pub const fn jump_if_not_equal(register: u8, value: i32, offset: i16) -> Instruction {
    instruction(0x55, register, 0, offset, value)
}

const fn call(function: i32) -> Instruction {
    instruction(0x85, 0, 0, 0, function)
}

/// An address on the stack.
const fn stack(to: u8, offset: i32) -> [Instruction; 2] {
    [copy(to, R10), instruction(0x07, to, 0, 0, offset)]
}

/// All 64 bits of a number; with `kind` 1, the map behind a descriptor.
const fn wide(to: u8, kind: u8, value: u64) -> [Instruction; 2] {
    let high = (value >> 32) as i32;
    [instruction(0x18, to, kind, 0, value as i32), instruction(0, 0, 0, 0, high)]
}

/// While [`OPEN`] is there: adds one to the entry of the thread and of the number that `select` leaves
/// in R7, in the threads of process `pid`. `namespace` is where its number counts: the device and inode of
/// `/proc/self/ns/pid`.
fn counting(
    pid: u32,
    namespace: (u64, u64),
    select: &[Instruction],
    counts: RawFd,
) -> Vec<Instruction> {
    // On the stack: thread and process, later thread and number, 32 bits each; then a zero.
    const KEY: i32 = -8;
    const ZERO: i32 = -16;
    let lookup = [&stack(R2, KEY)[..], &wide(R1, 1, counts as u64), &[call(LOOKUP)]].concat();
    let only_while_open = [
        // The number is extended to 64 bits.
        &[instruction(0x7A, R10, 0, KEY as i16, OPEN as i32)][..],
        &lookup,
        &[jump_if_equal(R0, 0, TO_THE_END)],
    ]
    .concat();
    let only_in_process = [
        &[instruction(0x7A, R10, 0, KEY as i16, 0)][..],
        &wide(R1, 0, namespace.0),
        &wide(R2, 0, namespace.1),
        &stack(R3, KEY),
        &[
            set(R4, 8),
            call(NAMESPACE_PID),
            jump_if_not_equal(R0, 0, TO_THE_END),
            instruction(0x61, R0, R10, KEY as i16 + 4, 0),
            jump_if_not_equal(R0, pid as i32, TO_THE_END),
            instruction(0x63, R10, R7, KEY as i16 + 4, 0),
        ],
    ]
    .concat();
    let add_entry = [
        &[instruction(0x7A, R10, 0, ZERO as i16, 0)][..],
        &stack(R2, KEY),
        &stack(R3, ZERO),
        &[set(R4, NO_EXIST)],
        &wide(R1, 1, counts as u64),
        &[call(UPDATE)],
        &lookup,
        &[jump_if_equal(R0, 0, TO_THE_END)],
    ]
    .concat();
    let skip_if_there = [jump_if_not_equal(R0, 0, add_entry.len() as i16)];
    // In one piece, whichever CPUs do so at the same moment.
    let add_one = [set(R1, 1), instruction(0xDB, R0, R1, 0, 0)];
    let parts: [&[_]; 7] =
        [select, &only_while_open, &only_in_process, &lookup, &skip_if_there, &add_entry, &add_one];
    with_an_end(parts.concat())
}

/// Adds an end that returns 0, where every jump `TO_THE_END` leads.
fn with_an_end(mut program: Vec<Instruction>) -> Vec<Instruction> {
    let end = program.len();
    for (index, instruction) in program.iter_mut().enumerate() {
        if instruction.offset == TO_THE_END {
            instruction.offset = (end - index - 1) as i16;
        }
    }
    program.extend([set(R0, 0), instruction(0x95, 0, 0, 0, 0)]);
    program
}

/// A counting program in the kernel, with its table: how often each thread passed the tracepoint with
/// each number.
pub struct Counter {
    /// Holds the program at the tracepoint.
    _link: OwnedFd,
    counts: OwnedFd,
    entries_max: u32,
}

impl Counter {
    /// Attaches a program that counts in process `pid` from [`start`](Self::start) to
    /// [`stop`](Self::stop): these take effect at once, while attaching takes milliseconds. `select`
    /// finds the number, or jumps to the end.
    pub fn attach(
        pid: u32,
        tracepoint: &CStr,
        select: &[Instruction],
        entries_max: u32,
    ) -> io::Result<Self> {
        let namespace = rustix::fs::stat("/proc/self/ns/pid")?;
        let namespace = (namespace.st_dev as u64, namespace.st_ino as u64);
        let (key_bytes, value_bytes) = (8, 8);
        let arguments = [
            pair(MAP_OF_HASH, key_bytes),
            pair(value_bytes, entries_max + 1),
            pair(NO_PREALLOCATION, 0),
        ];
        // SAFETY: this command takes numbers only.
        #[allow(unsafe_code)]
        let counts = unsafe { descriptor(MAP_CREATE, &arguments) }?;
        let program = counting(pid, namespace, select, counts.as_raw_fd());
        let license = c"MIT";
        let arguments = [
            pair(PROGRAM_OF_RAW_TRACEPOINT, program.len() as u32),
            program.as_ptr().expose_provenance() as u64,
            license.as_ptr().expose_provenance() as u64,
        ];
        // SAFETY: the kernel reads as many instructions as `program` has, each of the eight
        // bytes that `Instruction` is, and a text that ends in zero. Both outlive the call.
        // What the program does is checked by the kernel before it accepts it.
        #[allow(unsafe_code)]
        let program = unsafe { descriptor(PROGRAM_LOAD, &arguments) }?;
        let tracepoint = tracepoint.as_ptr().expose_provenance() as u64;
        let arguments = [tracepoint, pair(program.as_raw_fd() as u32, 0)];
        // SAFETY: the kernel reads a text that ends in zero and outlives the call, and the
        // number of a descriptor.
        #[allow(unsafe_code)]
        let link = unsafe { descriptor(TRACEPOINT_OPEN, &arguments) }?;
        Ok(Self { _link: link, counts, entries_max })
    }

    pub fn start(&self) -> io::Result<()> {
        self.element(MAP_UPDATE, Some(OPEN), 1).map(drop)
    }

    pub fn stop(&self) {
        // It fails only where the entry is not there.
        let _ = self.element(MAP_DELETE, Some(OPEN), 0);
    }

    /// The counts by thread and number.
    pub fn read(&self) -> io::Result<Vec<((u32, u32), u64)>> {
        let mut entries = Vec::new();
        let mut key = None;
        while entries.len() < self.entries_max as usize {
            let next = match self.element(MAP_NEXT_KEY, key, 0) {
                Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => break,
                next => next?,
            };
            key = Some(next);
            if next == OPEN {
                continue;
            }
            let [a, b, c, d, number @ ..] = next.to_ne_bytes();
            let of = (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes(number));
            entries.push((of, self.element(MAP_LOOKUP, key, 0)?));
        }
        Ok(entries)
    }

    /// One of the commands that take a key, and a value to be set, or return a value or the next key.
    fn element(&self, command: i64, key: Option<u64>, mut value: u64) -> io::Result<u64> {
        let key = key.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let arguments = [
            pair(self.counts.as_raw_fd() as u32, 0),
            key.expose_provenance() as u64,
            (&raw mut value).expose_provenance() as u64,
        ];
        // To delete takes no value, and what a command does not take has to be zero.
        let used = if command == MAP_DELETE { 2 } else { arguments.len() };
        // SAFETY: the kernel reads the key and reads or writes the value, each of 8 bytes as the
        // map was created with; both live until this returns. The first key is found by none at all,
        // which null is.
        #[allow(unsafe_code)]
        unsafe { bpf(command, &arguments[..used]) }?;
        Ok(value)
    }
}

/// Two 32-bit fields as they lie in memory one after the other.
fn pair(first: u32, second: u32) -> u64 {
    let [a, b, c, d] = first.to_ne_bytes();
    let [e, f, g, h] = second.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// A command whose result is a new descriptor.
///
/// # Safety
/// As for [`bpf`].
#[allow(unsafe_code)]
unsafe fn descriptor(command: i64, arguments: &[u64]) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise is the one that is asked for.
    let number = unsafe { bpf(command, arguments) }?;
    // SAFETY: the kernel has just opened it for this process, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number as RawFd) })
}

/// # Safety
/// Every address in `arguments` must be of memory that the command may read, or write where it
/// does, for as long as this call takes.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
unsafe fn bpf(command: i64, arguments: &[u64]) -> io::Result<i64> {
    static IS_DEADLY: OnceLock<bool> = OnceLock::new();
    if *IS_DEADLY.get_or_init(|| is_deadly(libc::SYS_bpf)) {
        let reason = "a filter of system calls (seccomp) kills whatever calls bpf(2) here";
        return Err(io::Error::other(reason));
    }
    let mut attribute = [0_u64; ARGUMENT_WORDS];
    attribute[..arguments.len()].copy_from_slice(arguments);
    let address = attribute.as_mut_ptr();
    // SAFETY: the attribute is as large as is passed here; the rest is the caller's promise.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command as libc::c_long, address, size_of_val(&attribute))
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i64) }
}

/// # Safety
/// None is needed.
#[cfg(not(target_os = "linux"))]
#[allow(unsafe_code)]
unsafe fn bpf(_command: i64, _arguments: &[u64]) -> io::Result<i64> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn instructions_are_what_the_kernel_documents() {
        let bytes = |instruction: Instruction| {
            let [low, high] = instruction.offset.to_le_bytes();
            let [a, b, c, d] = instruction.immediate.to_le_bytes();
            [instruction.operation, instruction.registers, low, high, a, b, c, d]
        };
        assert_eq!(bytes(copy(6, R1)), [0xBF, 0x16, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes(load_argument(R7, 1)), [0x79, 0x17, 8, 0, 0, 0, 0, 0]);
        assert_eq!(bytes(stack(R2, -8)[1]), [0x07, 2, 0, 0, 0xF8, 0xFF, 0xFF, 0xFF]);
        assert_eq!(bytes(call(LOOKUP)), [0x85, 0, 0, 0, 1, 0, 0, 0]);
        let [first, second] = wide(R1, 1, 7);
        assert_eq!(bytes(first), [0x18, 0x11, 0, 0, 7, 0, 0, 0]);
        assert_eq!(bytes(second), [0; 8]);
    }

    #[test]
    fn jumps_to_the_end_land_on_its_first_instruction() {
        let jump = jump_if_equal(R0, 0, TO_THE_END);
        let whole = with_an_end(vec![jump, set(R0, 1), jump]);
        assert_eq!(whole[0].offset, 2);
        assert_eq!(whole[2].offset, 0);
        assert_eq!(whole[3], set(R0, 0));
    }

    #[test]
    fn what_the_kernel_refuses_is_an_error() {
        let pid = std::process::id();
        // It reads a register that nothing was put into, which no kernel accepts; without
        // rights it is not even looked at.
        assert!(Counter::attach(pid, c"sys_enter", &[copy(R7, 5)], 16).is_err());
        assert!(Counter::attach(pid, c"no_such_tracepoint", &[set(R7, 0)], 16).is_err());
    }

    #[test]
    fn a_full_table_is_read_as_far_as_it_goes() {
        let Ok(counter) =
            Counter::attach(std::process::id(), c"sys_enter", &[load_argument(R7, 1)], 2)
        else {
            return eprintln!("skipped: bpf(2) is not allowed here");
        };
        assert_eq!(counter.read().unwrap(), []);
        counter.start().unwrap();
        for _ in 0..10 {
            let _ = rustix::process::getppid();
            std::thread::yield_now();
            let _ = std::fs::metadata("/");
        }
        counter.stop();
        assert_eq!(counter.read().unwrap().len(), 2);
    }
}
