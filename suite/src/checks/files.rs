//! Files: which thread reads them, and what the loop does meanwhile.
//!
//! Never compares contents: scenarios do.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise, fstatfs};

use super::lab::{Gaps, percentile};
use super::{Lab, Verdict, checks};
use crate::runtime::{FilePath, Runtime};

checks! {
    "fs-stall", Task, Metric, [Files, Timers], fs_stall,
        "How long do ticks of 5 ms stop at most while a file of 64 MiB is read?",
        "A file that is read on the loop holds every connection.";
    "fs-threads", Task, Differs("ring", "loop", "pool"), [Files], fs_threads,
        "By what is a file read: the loop, a pool of threads, or the system's ring?",
        "A pool costs threads and hand-overs; a read on the loop stalls it.";
    "fs-cold", Task, Metric, [Files], fs_cold,
        "How much longer does a file of 16 MiB take that is not in the page cache?",
        "A benchmark of files that are always cached hides the device.";
}

/// A file that has no name any more, so it goes with the process however that ends.
struct Sample {
    file: File,
    path: FilePath,
    bytes: usize,
}

impl Sample {
    fn new(bytes: usize) -> io::Result<Self> {
        let id = std::process::id();
        let name: PathBuf = std::env::temp_dir().join(format!("quadrant-check-{id}"));
        let mut file = File::options().read(true).write(true).create_new(true).open(&name)?;
        fs::remove_file(&name)?;
        file.write_all(&vec![b'x'; bytes])?;
        let path = FilePath::leaked(format!("/proc/{id}/fd/{}", file.as_raw_fd()).into());
        Ok(Self { file, path, bytes })
    }

    async fn read<R: Runtime>(&self, lab: &Lab<R>) -> Result<Duration, Verdict> {
        let begun = Instant::now();
        match lab.runtime.read_file(self.path).await {
            Ok(contents) if contents.len() == self.bytes => Ok(begun.elapsed()),
            Ok(contents) => {
                let seen = format!("{} of {} bytes were read", contents.len(), self.bytes);
                Err(Verdict::fail(seen))
            }
            Err(error) => Err(Verdict::fail(format!("the file could not be read: {error}"))),
        }
    }
}

fn no_file(error: &io::Error) -> Verdict {
    let reason = format!("no file could be made in {}: {error}", std::env::temp_dir().display());
    Verdict::Unsupported { reason }
}

async fn fs_stall<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let sample = match Sample::new(64 << 20) {
        Ok(sample) => sample,
        Err(error) => return no_file(&error),
    };
    let gaps = Gaps::begin(lab).await;
    match sample.read(lab).await {
        Ok(_) => gaps.longest(lab).await,
        Err(verdict) => verdict,
    }
}

/// Bytes that read calls have brought, by the accounting of the system. A ring's reads are not
/// calls, and do not count.
fn bytes_read(of: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{of}/io")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("rchar: "))?.parse().ok()
}

async fn fs_threads<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let sample = match Sample::new(16 << 20) {
        Ok(sample) => sample,
        Err(error) => return no_file(&error),
    };
    // Not the difference of one thread: the task may continue on another one, and a read on the loop
    // belongs to the thread that ends it.
    let Some(before) = bytes_read("self") else {
        let reason = "the system does not count the bytes that threads read".to_owned();
        return Verdict::Unsupported { reason };
    };
    if let Err(verdict) = sample.read(lab).await {
        return verdict;
    }
    let here = bytes_read("thread-self").unwrap_or(0);
    let all = bytes_read("self").unwrap_or(0).saturating_sub(before);
    let half = sample.bytes as u64 / 2;
    if all < half {
        Verdict::answer("ring", "no thread of the process made a call that read it")
    } else if here >= half {
        Verdict::answer("loop", "the thread that ran the task read it")
    } else {
        Verdict::answer("pool", "another thread than that of the task read it")
    }
}

async fn fs_cold<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const TIMES: usize = 3;
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    let sample = match Sample::new(16 << 20) {
        Ok(sample) => sample,
        Err(error) => return no_file(&error),
    };
    if fstatfs(&sample.file).is_ok_and(|system| system.f_type == TMPFS_MAGIC) {
        let folder = std::env::temp_dir();
        let reason = format!("{} is in memory; set TMPDIR to a folder on a disk", folder.display());
        return Verdict::Unsupported { reason };
    }
    let (mut cold, mut hot) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        // Pages that are not on the device yet stay in the cache.
        let dropped = sample.file.sync_all().and_then(|()| {
            fadvise(&sample.file, 0, None, Advice::DontNeed).map_err(io::Error::from)
        });
        if let Err(error) = dropped {
            return no_file(&error);
        }
        for times in [&mut cold, &mut hot] {
            match sample.read(lab).await {
                Ok(time) => times.push(time),
                Err(verdict) => return verdict,
            }
        }
    }
    let [cold, hot] = [cold, hot].map(|times| percentile(times, 50).as_secs_f64());
    let ratio = cold / hot;
    Verdict::number(ratio, "times as long as from the cache")
}
