//! What a task passes to its runtime to read or to write a file.
//!
//! Types of their own: the compiler can prove a future `Send` that holds one, but not one that holds
//! a bare `&Path` or `&[u8]`.

use std::path::{Path, PathBuf};

/// The path of a file of the trial.
#[derive(Debug, Clone, Copy)]
pub struct FilePath(&'static Path);

impl FilePath {
    pub(crate) fn of(path: &'static Path) -> Self {
        Self(path)
    }

    /// A process has few of them: files of a check, and one for each task that writes at a time.
    pub(crate) fn leaked(path: PathBuf) -> Self {
        Self(path.leak())
    }
}

impl AsRef<Path> for FilePath {
    fn as_ref(&self) -> &Path {
        self.0
    }
}

/// What is to be written to which file.
#[derive(Debug, Clone, Copy)]
pub struct FileWrite {
    pub path: FilePath,
    contents: &'static [u8],
    /// Whether to wait until it is on the disk.
    pub sync: bool,
}

impl FileWrite {
    pub(crate) fn new(path: FilePath, contents: &'static [u8], sync: bool) -> Self {
        Self { path, contents, sync }
    }

    pub fn contents(&self) -> &'static [u8] {
        self.contents
    }
}
