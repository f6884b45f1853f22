//! Reading a file by attempts, each of which returns `WouldBlock` instead of waiting for the disk.

use std::fs::File;
use std::io::{self, ErrorKind};

use crate::file_path::FilePath;

pub(crate) struct FileAttempts {
    file: File,
    contents: Vec<u8>,
    filled: usize,
}

impl FileAttempts {
    pub(crate) fn open(path: FilePath) -> io::Result<Self> {
        let file = File::open(path)?;
        // With room for the read that finds the end.
        let contents = vec![0; file.metadata()?.len() as usize + 1];
        Ok(Self { file, contents, filled: 0 })
    }

    /// Returns the contents once all of them have been read.
    #[cfg(target_os = "linux")]
    pub(crate) fn go_on(&mut self) -> io::Result<Vec<u8>> {
        use rustix::fs::{Advice, fadvise};
        use rustix::io::{Errno, ReadWriteFlags, preadv2};
        loop {
            if self.filled == self.contents.len() {
                self.contents.resize(2 * self.filled, 0);
            }
            let room = &mut [io::IoSliceMut::new(&mut self.contents[self.filled..])];
            match preadv2(&self.file, room, self.filled as u64, ReadWriteFlags::NOWAIT) {
                Ok(0) => {
                    self.contents.truncate(self.filled);
                    return Ok(std::mem::take(&mut self.contents));
                }
                Ok(count) => self.filled += count,
                Err(Errno::AGAIN) => {
                    // The attempt itself does not make the disk read anything.
                    fadvise(&self.file, self.filled as u64, None, Advice::WillNeed)?;
                    return Err(ErrorKind::WouldBlock.into());
                }
                Err(Errno::OPNOTSUPP) => {
                    let text = "this file system has no reads that do not wait; set TMPDIR to a \
                                folder on another one (ext4, xfs, btrfs)";
                    return Err(io::Error::new(ErrorKind::Unsupported, text));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn go_on(&mut self) -> io::Result<Vec<u8>> {
        let text = "reads of files that do not wait exist on Linux only";
        Err(io::Error::new(ErrorKind::Unsupported, text))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn read(bytes: usize) -> io::Result<Vec<u8>> {
        let path = std::env::temp_dir().join(format!("quadrant-attempts-{}", std::process::id()));
        let written: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
        std::fs::write(&path, &written)?;
        let file = FileAttempts::open(FilePath::leaked(path.clone()));
        std::fs::remove_file(&path)?;
        let mut file = file?;
        let read = loop {
            match file.go_on() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // A file system without such reads.
                Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(written),
                done => break done?,
            }
        };
        assert_eq!(read, written);
        Ok(read)
    }

    #[test]
    fn attempts_read_a_whole_file() {
        for bytes in [0, 1, 4_095, 4_096, 1_000_000] {
            assert_eq!(read(bytes).unwrap().len(), bytes);
        }
    }
}
