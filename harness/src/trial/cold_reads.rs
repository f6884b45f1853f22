//! The share of what the subject read in a window that came from a device and not from the page cache.
//!
//! Never reads a file itself.

use std::path::Path;

use quadrant_suite::plan::Plan;

use super::processes::Processes;
use crate::fixtures;
use crate::system::process;

/// What had been read when the window opened.
pub struct ColdReads {
    bytes_per_read: u64,
    reads: u64,
    device_bytes: u64,
}

impl ColdReads {
    /// `None` where files need not be cold or cannot be, and where the system does not count.
    pub fn begin(plan: &Plan, subject: &Processes) -> Option<Self> {
        let files = plan.files.as_ref().filter(|files| files.cold)?;
        if fixtures::is_memory_backed(Path::new(&files.directory)) {
            return None;
        }
        Some(Self {
            bytes_per_read: files.bytes,
            reads: subject.board().file_reads(),
            device_bytes: process::device_bytes_read(subject.pid())?,
        })
    }

    /// The share, now that the window is over. Not above 1, though whole pages are read.
    pub fn end(self, subject: &Processes) -> Option<f64> {
        let from_device = process::device_bytes_read(subject.pid())? - self.device_bytes;
        let read = (subject.board().file_reads() - self.reads) * self.bytes_per_read;
        (read > 0).then(|| (from_device as f64 / read as f64).min(1.0))
    }
}
