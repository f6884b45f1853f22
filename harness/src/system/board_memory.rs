//! The memory that the board of one trial lives in: shared by the harness, the subject's
//! process and the driver's.
//!
//! It never writes to the board, and it never gives the memory a name that could outlive the
//! processes that use it.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;

use quadrant_suite::board::Board;
use rustix::mm::{MapFlags, ProtFlags};

use crate::system::child::Inherited;

const BOARD_BYTES: usize = size_of::<Board>();

/// A board of one's own, all zeros at first.
pub struct BoardMemory {
    fd: OwnedFd,
    board: NonNull<Board>,
}

impl BoardMemory {
    pub fn create() -> io::Result<Self> {
        let fd = nameless_memory()?;
        let board = map(&fd)?;
        Ok(Self { fd, board })
    }

    #[allow(unsafe_code)]
    pub fn board(&self) -> &Board {
        // SAFETY: `map` gave `BOARD_BYTES` bytes at a page boundary, which meets the board's
        // alignment, and they stay mapped until `self` is dropped, which outlives the borrow.
        // The board consists of atomics only, for which every content is valid, so neither
        // zeros nor whatever another process stores there can break it.
        unsafe { self.board.as_ref() }
    }

    /// A second descriptor of this memory that a child inherits.
    pub fn pass_on(&self) -> io::Result<Inherited> {
        Inherited::new(&self.fd)
    }

    /// In a child: the board behind the inherited descriptor `number`, which is closed by this.
    /// The mapping stays for the rest of the process.
    #[allow(unsafe_code)]
    pub fn from_inherited(number: RawFd) -> io::Result<&'static Board> {
        if number <= 2 {
            return Err(refused(format!("descriptor {number} cannot be the board")));
        }
        // SAFETY: the number is not -1, and the borrow only asks whether it is open.
        let asked = unsafe { BorrowedFd::borrow_raw(number) };
        rustix::io::fcntl_getfd(asked).map_err(|_| {
            refused(format!("descriptor {number} is not open: the board was not passed on"))
        })?;
        // SAFETY: the descriptor is open, and the parent opened it for this process alone, whose
        // code takes it here and nowhere else, so nobody else closes it.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        let board = map(&fd)?;
        // SAFETY: as in `board`; and as nothing ever unmaps it, it lives as long as the process.
        Ok(unsafe { board.as_ref() })
    }
}

impl Drop for BoardMemory {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: exactly the range that `map` gave. Borrows of the board end before `self` does.
        let unmapped = unsafe { rustix::mm::munmap(self.board.as_ptr().cast(), BOARD_BYTES) };
        debug_assert!(unmapped.is_ok(), "a range of ours can be unmapped");
    }
}

// SAFETY: the mapping belongs to the process, not to a thread, and all that is reached through it
// are atomics.
#[allow(unsafe_code)]
unsafe impl Send for BoardMemory {}
// SAFETY: as for Send.
#[allow(unsafe_code)]
unsafe impl Sync for BoardMemory {}

fn refused(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[allow(unsafe_code)]
fn map(fd: &OwnedFd) -> io::Result<NonNull<Board>> {
    let size = rustix::fs::fstat(fd)?.st_size;
    if u64::try_from(size) != Ok(BOARD_BYTES as u64) {
        return Err(refused(format!(
            "the board has {BOARD_BYTES} bytes here, but the memory passed on has {size}: \
             harness and adapter were built from different versions of the suite"
        )));
    }
    // SAFETY: a fresh range chosen by the system, so nothing of this process is overwritten. The
    // file is as large as the mapping, so no access in it can fault, and cannot shrink: on Linux
    // it is sealed, elsewhere it has no name and all its holders are processes of this program.
    let start = unsafe {
        rustix::mm::mmap(
            std::ptr::null_mut(),
            BOARD_BYTES,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            fd,
            0,
        )?
    };
    NonNull::new(start.cast()).ok_or_else(|| io::Error::other("the system mapped the null page"))
}

#[cfg(target_os = "linux")]
fn nameless_memory() -> io::Result<OwnedFd> {
    use rustix::fs::{MemfdFlags, SealFlags};

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("quadrant-board", flags)?;
    rustix::fs::ftruncate(&fd, BOARD_BYTES as u64)?;
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(fd)
}

#[cfg(not(target_os = "linux"))]
fn nameless_memory() -> io::Result<OwnedFd> {
    use std::sync::atomic::{AtomicU32, Ordering};

    static MADE: AtomicU32 = AtomicU32::new(0);
    let name =
        format!("quadrant-board-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file.set_len(BOARD_BYTES as u64)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrant_suite::board::Phase;
    use std::os::fd::IntoRawFd;

    #[test]
    fn begins_with_zeros_and_is_seen_by_who_inherits_it() {
        let memory = BoardMemory::create().unwrap();
        assert_eq!(memory.board().phase(), Phase::Starting);
        let number = memory.pass_on().unwrap().0.into_raw_fd();
        let inherited = BoardMemory::from_inherited(number).unwrap();
        memory.board().enter(Phase::Measuring, 17);
        assert_eq!(inherited.phase(), Phase::Measuring);
        assert_eq!(inherited.window_start(), 17);
        inherited.publish_server(4_242);
        assert_eq!(memory.board().server_port(), 4_242);
        drop(memory);
        assert_eq!(inherited.server_port(), 4_242);
    }

    #[test]
    fn only_what_is_passed_on_survives_exec() {
        use rustix::io::{FdFlags, fcntl_getfd};
        let memory = BoardMemory::create().unwrap();
        assert!(fcntl_getfd(&memory.fd).unwrap().contains(FdFlags::CLOEXEC));
        let passed = memory.pass_on().unwrap();
        assert!(!fcntl_getfd(&passed.0).unwrap().contains(FdFlags::CLOEXEC));
    }

    #[test]
    fn refuses_what_is_not_the_board() {
        // A number no test has open, and a file that is too short.
        let error = BoardMemory::from_inherited(1_000_000).err().unwrap();
        assert!(error.to_string().contains("not open"), "{error}");
        assert!(BoardMemory::from_inherited(1).is_err());
        let short = std::fs::File::open("/dev/null").unwrap().into_raw_fd();
        let error = BoardMemory::from_inherited(short).err().unwrap();
        assert!(error.to_string().contains("different versions"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nobody_can_shrink_it() {
        let memory = BoardMemory::create().unwrap();
        assert!(rustix::fs::ftruncate(&memory.fd, 0).is_err());
    }
}
