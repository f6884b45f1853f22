//! Small programs inside the kernel that count at its tracepoints, through bpf(2) itself.
//!
//! It knows no tracepoint, and what a program counts is its maker's business. Whatever the
//! kernel refuses is an error for the caller to fall back from; nothing is ever half attached.

pub mod assembly;

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use assembly::Instruction;

const MAP_CREATE: i64 = 0;
const MAP_LOOKUP: i64 = 1;
const MAP_UPDATE: i64 = 2;
const MAP_NEXT_KEY: i64 = 4;
const PROGRAM_LOAD: i64 = 5;
const TRACEPOINT_OPEN: i64 = 17;

const PROGRAM_OF_RAW_TRACEPOINT: u32 = 17;
/// Entries are allocated when they come, so a large table costs nothing until it fills.
const NO_PREALLOCATION: u32 = 1;

/// Every argument of every command used here lies within this; the kernel accepts one that is
/// longer than it knows as long as the rest is zero.
const ATTRIBUTE_WORDS: usize = 16;

/// A table that a program fills and this process reads. Values are 64 bits each, and so are the
/// keys of a hash.
pub struct Map {
    descriptor: OwnedFd,
    kind: MapKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapKind {
    Hash,
    /// As many values as entries, all there from the beginning. Its keys are 32 bits.
    Array,
}

/// A program at its tracepoint, until it is dropped.
pub struct Attached {
    _link: OwnedFd,
}

/// The words that the kernel takes one command's arguments from.
#[derive(Default)]
#[repr(C, align(8))]
struct Attribute([u64; ATTRIBUTE_WORDS]);

impl Map {
    pub fn create(kind: MapKind, entries_max: u32) -> io::Result<Self> {
        let (number, key_bytes, flags) = match kind {
            MapKind::Hash => (1, 8, NO_PREALLOCATION),
            MapKind::Array => (2, 4, 0),
        };
        let mut attribute = Attribute::default();
        attribute.0[0] = halves(number, key_bytes);
        attribute.0[1] = halves(8, entries_max);
        attribute.0[2] = halves(flags, 0);
        // SAFETY: this command takes numbers only.
        #[allow(unsafe_code)]
        let descriptor = unsafe { descriptor(MAP_CREATE, &mut attribute) }?;
        Ok(Self { descriptor, kind })
    }

    pub fn number(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }

    pub fn value(&self, key: u64) -> io::Result<u64> {
        let mut value = 0;
        self.element(MAP_LOOKUP, Some(key), &mut value)?;
        Ok(value)
    }

    pub fn set(&self, key: u64, mut value: u64) -> io::Result<()> {
        self.element(MAP_UPDATE, Some(key), &mut value)
    }

    /// All keys with their values, of a table that nobody fills any more.
    pub fn entries(&self, entries_max: usize) -> io::Result<Vec<(u64, u64)>> {
        let mut entries = Vec::new();
        let mut key = None;
        while entries.len() < entries_max {
            let mut next = 0;
            match self.element(MAP_NEXT_KEY, key, &mut next) {
                Ok(()) => entries.push((next, self.value(next)?)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            }
            key = Some(next);
        }
        Ok(entries)
    }

    /// One of the commands that take a key, and a value or a second key.
    fn element(&self, command: i64, key: Option<u64>, other: &mut u64) -> io::Result<()> {
        let key = key.map(|key| match self.kind {
            MapKind::Hash => key,
            MapKind::Array => halves(key as u32, 0),
        });
        let key = key.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let mut attribute = Attribute::default();
        attribute.0[0] = halves(self.number() as u32, 0);
        attribute.0[1] = key.expose_provenance() as u64;
        attribute.0[2] = std::ptr::from_mut(other).expose_provenance() as u64;
        // SAFETY: the kernel reads the key, of 4 or 8 bytes as the map was created with, and
        // reads or writes as many of the other word, or 8 of a value; both are 8 bytes that
        // live until this returns. The first key is found by none at all, which null is.
        #[allow(unsafe_code)]
        unsafe { command_of(command, &mut attribute) }.map(drop)
    }
}

impl Attached {
    /// Loads `program` and attaches it to the raw tracepoint of this name.
    pub fn attach(program: &[Instruction], tracepoint: &CStr) -> io::Result<Self> {
        let license = c"MIT";
        let mut attribute = Attribute::default();
        attribute.0[0] = halves(PROGRAM_OF_RAW_TRACEPOINT, program.len() as u32);
        attribute.0[1] = program.as_ptr().expose_provenance() as u64;
        attribute.0[2] = license.as_ptr().expose_provenance() as u64;
        // SAFETY: the kernel reads as many instructions as `program` has, each of the eight
        // bytes that `Instruction` is, and a text that ends in zero. Both outlive the call.
        // What the program does is checked by the kernel before it accepts it.
        #[allow(unsafe_code)]
        let program = unsafe { descriptor(PROGRAM_LOAD, &mut attribute) }?;

        let mut attribute = Attribute::default();
        attribute.0[0] = tracepoint.as_ptr().expose_provenance() as u64;
        attribute.0[1] = halves(program.as_raw_fd() as u32, 0);
        // SAFETY: the kernel reads a text that ends in zero and outlives the call, and the
        // number of a descriptor.
        #[allow(unsafe_code)]
        let link = unsafe { descriptor(TRACEPOINT_OPEN, &mut attribute) }?;
        // The link holds the program from here on.
        Ok(Self { _link: link })
    }
}

/// Two 32-bit fields as they lie in memory one after the other.
pub fn halves(first: u32, second: u32) -> u64 {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&first.to_ne_bytes());
    bytes[4..].copy_from_slice(&second.to_ne_bytes());
    u64::from_ne_bytes(bytes)
}

/// The two that [`halves`] put together.
pub fn split(word: u64) -> (u32, u32) {
    let [a, b, c, d, rest @ ..] = word.to_ne_bytes();
    (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes(rest))
}

/// A command whose result is a new descriptor.
///
/// # Safety
/// As for [`command_of`].
#[allow(unsafe_code)]
unsafe fn descriptor(command: i64, attribute: &mut Attribute) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise is the one that is asked for.
    let number = unsafe { command_of(command, attribute) }?;
    // SAFETY: the kernel has just opened it for this process, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number as RawFd) })
}

/// # Safety
/// Every address in `attribute` must be of memory that the command may read, or write where it
/// does, for as long as this call takes.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
unsafe fn command_of(command: i64, attribute: &mut Attribute) -> io::Result<i64> {
    // SAFETY: the attribute is as large as is said here; the rest is the caller's promise.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_mut(attribute),
            size_of::<Attribute>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i64) }
}

/// # Safety
/// None is needed.
#[cfg(not(target_os = "linux"))]
#[allow(unsafe_code)]
unsafe fn command_of(_command: i64, _attribute: &mut Attribute) -> io::Result<i64> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use assembly::{Register, exit, set};

    #[test]
    fn a_program_the_kernel_will_not_have_is_an_error() {
        // It reads a register that nothing was put into, which no kernel accepts; without
        // rights it is not even looked at.
        let program = [assembly::copy(Register::R0, Register::R5), exit()];
        assert!(Attached::attach(&program, c"sys_enter").is_err());
        let sound = [set(Register::R0, 0), exit()];
        assert!(Attached::attach(&sound, c"no_such_tracepoint").is_err());
    }

    #[test]
    fn what_is_put_into_a_map_is_found_there() {
        let Ok(map) = Map::create(MapKind::Hash, 16) else {
            eprintln!("skipped: bpf(2) is not allowed here");
            return;
        };
        assert_eq!(map.entries(16).unwrap(), []);
        for key in 1..=5 {
            map.set(halves(3, key), u64::from(key) * 10).unwrap();
        }
        let entries = map.entries(16).unwrap();
        assert_eq!(entries.len(), 5);
        assert!(entries.contains(&(halves(3, 5), 50)));
        assert_eq!(split(halves(3, 5)), (3, 5));
        assert_eq!(map.entries(2).unwrap().len(), 2);
        assert!(map.value(99).is_err());

        let array = Map::create(MapKind::Array, 2).unwrap();
        assert_eq!((array.value(0).unwrap(), array.value(1).unwrap()), (0, 0));
        array.set(1, u64::MAX).unwrap();
        assert_eq!(array.value(1).unwrap(), u64::MAX);
        assert!(array.set(2, 1).is_err());
    }
}
