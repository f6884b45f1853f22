//! The instructions of the kernel's virtual machine that our programs are made of, and the
//! beginnings they share.
//!
//! It only puts numbers together: nothing here asks the kernel anything.

use std::os::fd::RawFd;

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

/// R0 holds results, R1 to R5 arguments, which a call forgets; R6 to R9 last. R10 is the end
/// of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Register {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
}

/// What a program may ask of the kernel.
#[derive(Debug, Clone, Copy)]
pub enum Helper {
    MapLookup = 1,
    MapUpdate = 2,
    /// Needs Linux 5.7. Answers in the numbers of a given PID namespace, ours: in a container
    /// the kernel's own numbers are not the ones that we know our child by.
    NamespacePid = 120,
}

/// Where the program goes when it is not concerned.
pub const TO_THE_END: i16 = i16::MIN;

use Register::{R0, R1, R2, R3, R4, R10};

fn instruction(
    operation: u8,
    destination: Register,
    source: Register,
    offset: i16,
    immediate: i32,
) -> Instruction {
    let registers = destination as u8 | (source as u8) << 4;
    // On a big-endian machine the halves are the other way round.
    let registers = if cfg!(target_endian = "big") { registers.rotate_left(4) } else { registers };
    Instruction { operation, registers, offset, immediate }
}

pub fn copy(to: Register, from: Register) -> Instruction {
    instruction(0xBF, to, from, 0, 0)
}

pub fn set(to: Register, value: i32) -> Instruction {
    instruction(0xB7, to, R0, 0, value)
}

pub fn add(to: Register, value: i32) -> Instruction {
    instruction(0x07, to, R0, 0, value)
}

pub fn and(to: Register, value: i32) -> Instruction {
    instruction(0x57, to, R0, 0, value)
}

/// All 64 bits of a number.
pub fn set_wide(to: Register, value: u64) -> [Instruction; 2] {
    wide(to, R0, value)
}

/// A map, by the descriptor that this process has of it.
pub fn set_map(to: Register, map: RawFd) -> [Instruction; 2] {
    wide(to, R1, map as u64)
}

fn wide(to: Register, kind: Register, value: u64) -> [Instruction; 2] {
    [instruction(0x18, to, kind, 0, value as i32), instruction(0, R0, R0, 0, (value >> 32) as i32)]
}

pub fn load_64(to: Register, from: Register, offset: i16) -> Instruction {
    instruction(0x79, to, from, offset, 0)
}

pub fn load_32(to: Register, from: Register, offset: i16) -> Instruction {
    instruction(0x61, to, from, offset, 0)
}

pub fn store_64(to: Register, offset: i16, from: Register) -> Instruction {
    instruction(0x7B, to, from, offset, 0)
}

pub fn store_32(to: Register, offset: i16, from: Register) -> Instruction {
    instruction(0x63, to, from, offset, 0)
}

pub fn store_number_32(to: Register, offset: i16, value: i32) -> Instruction {
    instruction(0x62, to, R0, offset, value)
}

pub fn store_number_64(to: Register, offset: i16, value: i32) -> Instruction {
    instruction(0x7A, to, R0, offset, value)
}

/// Adds in one piece, whoever else does so at the same moment.
pub fn add_atomically_64(to: Register, offset: i16, from: Register) -> Instruction {
    instruction(0xDB, to, from, offset, 0)
}

pub fn call(helper: Helper) -> Instruction {
    instruction(0x85, R0, R0, 0, helper as i32)
}

/// Goes on `offset` instructions further if the register holds this number.
pub fn jump_if_equal(register: Register, value: i32, offset: i16) -> Instruction {
    instruction(0x15, register, R0, offset, value)
}

pub fn jump_if_not_equal(register: Register, value: i32, offset: i16) -> Instruction {
    instruction(0x55, register, R0, offset, value)
}

pub fn jump(offset: i16) -> Instruction {
    instruction(0x05, R0, R0, offset, 0)
}

pub fn exit() -> Instruction {
    instruction(0x95, R0, R0, 0, 0)
}

/// Goes on only in the threads of process `pid`; leaves the thread's number at R10 − 8, as
/// 32 bits. `namespace` is where both numbers count: the device and inode of `/proc/self/ns/pid`.
pub fn only_in_process(pid: u32, namespace: (u64, u64)) -> Vec<Instruction> {
    [
        &[store_number_64(R10, -8, 0)][..],
        &set_wide(R1, namespace.0),
        &set_wide(R2, namespace.1),
        &[
            copy(R3, R10),
            add(R3, -8),
            set(R4, 8),
            call(Helper::NamespacePid),
            jump_if_not_equal(R0, 0, TO_THE_END),
            load_32(R0, R10, -4),
            jump_if_not_equal(R0, pid as i32, TO_THE_END),
        ],
    ]
    .concat()
}

/// The parts in a row, an end that answers 0, and every jump `TO_THE_END` led there.
pub fn program(parts: &[&[Instruction]]) -> Vec<Instruction> {
    let mut program = parts.concat();
    let end = program.len();
    for (index, instruction) in program.iter_mut().enumerate() {
        if instruction.offset == TO_THE_END {
            instruction.offset = (end - index - 1) as i16;
        }
    }
    program.extend([set(R0, 0), exit()]);
    program
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
        assert_eq!(bytes(copy(Register::R6, R1)), [0xBF, 0x16, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes(store_64(R10, -8, R1)), [0x7B, 0x1A, 0xF8, 0xFF, 0, 0, 0, 0]);
        assert_eq!(bytes(call(Helper::MapLookup)), [0x85, 0, 0, 0, 1, 0, 0, 0]);
        let [first, second] = set_map(R1, 7);
        assert_eq!(bytes(first), [0x18, 0x11, 0, 0, 7, 0, 0, 0]);
        assert_eq!(bytes(second), [0; 8]);
    }

    #[test]
    fn jumps_to_the_end_land_on_its_first_instruction() {
        let whole = program(&[&[jump(TO_THE_END), set(R0, 1)], &[jump(TO_THE_END)]]);
        assert_eq!(whole[0].offset, 2);
        assert_eq!(whole[2].offset, 0);
        assert_eq!(whole[3..], [set(R0, 0), exit()]);
    }
}
