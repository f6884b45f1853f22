//! The file of an adapter library. It is opened before its description is read and stays open, so
//! that every trial loads the described file, whatever lies at its path by then.
//!
//! Never loads it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::system::child::Inherited;

#[derive(Debug)]
pub struct LibraryFile {
    path: PathBuf,
    file: File,
    /// When it was opened.
    version: Version,
}

/// Differs after the file was written to.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    bytes: u64,
    modified: (i64, i64),
}

impl Version {
    fn of(file: &File) -> io::Result<Self> {
        let seen = file.metadata()?;
        Ok(Self { bytes: seen.size(), modified: (seen.mtime(), seen.mtime_nsec()) })
    }
}

impl LibraryFile {
    pub fn open(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let open = || -> io::Result<(File, Version)> {
            // Opening a FIFO would wait for a writer.
            let flags = OFlags::NONBLOCK.bits() as i32;
            let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
            let version = Version::of(&file)?;
            Ok((file, version))
        };
        let (file, version) =
            open().map_err(|error| format!("{shown} cannot be opened: {error}"))?;
        if !file.metadata().is_ok_and(|it| it.is_file()) {
            return Err(format!("{shown} is not a regular file"));
        }
        Ok(Self { path: path.to_owned(), file, version })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, for a child that loads it.
    pub(super) fn inherited(&self) -> io::Result<Inherited> {
        Inherited::new(&self.file)
    }

    /// Returns an error if the file itself was written to. Replacing it by another does not.
    pub(super) fn check_unwritten(&self) -> Result<(), String> {
        match Version::of(&self.file) {
            Ok(version) if version == self.version => Ok(()),
            _ => Err(format!(
                "{} was overwritten after it had described itself: begin a new run",
                self.path.display()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn writing_is_noticed_and_replacing_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        fs::write(&path, "first").unwrap();
        let library = LibraryFile::open(&path).unwrap();
        let other = folder.path().join("other");
        fs::write(&other, "another").unwrap();
        fs::hard_link(&path, folder.path().join("link")).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(library.check_unwritten(), Ok(()));
        fs::write(folder.path().join("link"), "longer").unwrap();
        let reason = library.check_unwritten().unwrap_err();
        assert!(reason.contains("libx.so was overwritten"), "{reason}");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        for path in [&fifo, folder.path(), Path::new("/dev/zero")] {
            let reason = LibraryFile::open(path).unwrap_err();
            assert!(reason.ends_with(" is not a regular file"), "{reason}");
        }
        assert!(LibraryFile::open(&folder.path().join("none")).is_err());
    }
}
