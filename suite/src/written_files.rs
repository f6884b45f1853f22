//! The files that the step `write_file` writes, and what is known of their contents.
//!
//! Each file has at most one writer at a time, and each version of it has other contents than the one
//! before, so that a write that was lost shows.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::file_path::{FilePath, FileWrite};
use crate::pattern;
use crate::plan::{Action, Plan};

/// Limits of the check after the window.
const CHECKED_FILES: usize = 64;
const CHECKED_BYTES: usize = 64 << 20;

pub(crate) struct WrittenFiles {
    folder: String,
    /// The contents of even and of odd versions, by size. Made before the window.
    contents: BTreeMap<u64, [&'static [u8]; 2]>,
    files: Mutex<Files>,
}

#[derive(Default)]
struct Files {
    all: Vec<WrittenFile>,
    /// Those without a writer.
    free: Vec<usize>,
}

#[derive(Clone, Copy)]
struct WrittenFile {
    path: FilePath,
    version: usize,
    contents: &'static [u8],
}

/// A write in progress. One that fails leaves its file out of the check.
#[derive(Clone, Copy)]
pub(crate) struct Write {
    number: usize,
    pub(crate) what: FileWrite,
}

impl WrittenFiles {
    pub(crate) fn of(plan: &Plan) -> Self {
        let sizes = plan.programs.iter().flatten().filter_map(|step| match step.action {
            Action::WriteFile { bytes, .. } => Some(bytes),
            _ => None,
        });
        let contents = |version: u64, bytes: u64| {
            let mut contents = vec![0; bytes as usize];
            pattern::fill(version, 0, &mut contents);
            &*contents.leak()
        };
        Self {
            folder: plan.written.clone().unwrap_or_default(),
            contents: sizes.map(|bytes| (bytes, [0, 1].map(|it| contents(it, bytes)))).collect(),
            files: Mutex::default(),
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a file that nothing else writes, a new one if need be.
    pub(crate) fn begin(&self, bytes: u64, sync: bool) -> Write {
        let versions = self.contents[&bytes];
        let mut files = self.files();
        let number = files.free.pop().unwrap_or_else(|| {
            let number = files.all.len();
            // Several processes may write into the folder.
            let name = format!("{}-{number}", std::process::id());
            let path = FilePath::leaked(Path::new(&self.folder).join(name));
            files.all.push(WrittenFile { path, version: 0, contents: versions[0] });
            number
        });
        let file = &mut files.all[number];
        file.version += 1;
        file.contents = versions[file.version % 2];
        Write { number, what: FileWrite::new(file.path, file.contents, sync) }
    }

    /// The file holds these contents now, says the runtime.
    pub(crate) fn end(&self, write: Write) {
        self.files().free.push(write.number);
    }

    /// Whether a write has not ended yet, or has failed.
    pub(crate) fn is_being_written(&self) -> bool {
        let files = self.files();
        files.free.len() < files.all.len()
    }

    /// Compares some of the files with what was written last, and removes all. To be called after the
    /// window, because it holds the loop. Returns what is wrong.
    pub(crate) fn check_and_remove(&self) -> Vec<String> {
        let taken = std::mem::take(&mut self.files().free);
        let files: Vec<WrittenFile> = {
            let all = &self.files().all;
            taken.iter().map(|number| all[*number]).collect()
        };
        let mut left = CHECKED_BYTES;
        let mut wrong = Vec::new();
        for file in files.iter().take(CHECKED_FILES) {
            let written = file.contents;
            if written.len() > left && left < CHECKED_BYTES {
                break;
            }
            left = left.saturating_sub(written.len());
            wrong.extend(what_is_wrong(fs::read(file.path), written));
        }
        for file in files {
            // The harness removes the folder too.
            let _ = fs::remove_file(file.path);
        }
        wrong
    }
}

fn what_is_wrong(read: io::Result<Vec<u8>>, written: &[u8]) -> Option<String> {
    match read {
        Err(error) => Some(format!("write_file: a file that was written cannot be read: {error}")),
        Ok(read) if read == written => None,
        Ok(read) if read.len() != written.len() => Some(format!(
            "write_file: {} bytes were written, the file has {}",
            written.len(),
            read.len()
        )),
        Ok(_) => Some("write_file: a file does not hold what was written last".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::plain_calls;
    use crate::plan::{How, Step};

    /// Removed when it is dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn len(&self) -> usize {
            fs::read_dir(&self.0).unwrap().count()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn scene(name: &str) -> (Folder, WrittenFiles) {
        let name = format!("quadrant-written-{name}-{}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0).unwrap();
        let mut plan = Plan::empty("e", "b", 1, 1);
        let action = Action::WriteFile { bytes: 5_000, sync: false, how: How::Await };
        plan.programs = vec![vec![Step { action, row: None }]];
        plan.written = Some(folder.0.display().to_string());
        let files = WrittenFiles::of(&plan);
        (folder, files)
    }

    fn write(files: &WrittenFiles) -> Write {
        let write = files.begin(5_000, false);
        plain_calls::write_file(write.what).unwrap();
        files.end(write);
        write
    }

    #[test]
    fn what_was_written_passes_and_is_removed() {
        let (folder, files) = scene("passes");
        let first = files.begin(5_000, false);
        assert!(files.is_being_written());
        plain_calls::write_file(first.what).unwrap();
        assert_ne!(
            write(&files).what.path.as_ref(),
            first.what.path.as_ref(),
            "one writer at a time"
        );
        files.end(first);
        for _ in 0..3 {
            write(&files);
        }
        assert_eq!(folder.len(), 2);
        assert!(!files.is_being_written());
        assert_eq!(files.check_and_remove(), Vec::<String>::new());
        assert_eq!(folder.len(), 0);
    }

    #[test]
    fn a_lost_a_short_and_a_missing_write_show() {
        let (_folder, files) = scene("shows");
        write(&files);
        files.end(files.begin(5_000, false));
        assert!(files.check_and_remove()[0].contains("does not hold what was written last"));

        let cut = files.begin(5_000, false);
        fs::write(cut.what.path, &cut.what.contents()[..4_999]).unwrap();
        files.end(cut);
        assert!(files.check_and_remove()[0].contains("5000 bytes were written, the file has 4999"));

        files.end(files.begin(5_000, false));
        assert!(files.check_and_remove()[0].contains("cannot be read"));
    }
}
