//! The folder of a run: `run.json` has how it was made, `records.jsonl` its results.
//!
//! Every record is written before the next trial begins, so an interruption loses none. Never
//! changes a record that is written.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use quadrant_reports::record::Record;
use quadrant_reports::record::by_case::{Cases, WholeCase};

use super::run_file::{RUN_FILE, RunFile};
use crate::commands::failure::Failure;
use crate::system::regular_file;
use crate::terminal::standard_error::say;

pub const RECORDS_FILE: &str = "records.jsonl";

/// Checks that a new run can use this folder, before anything is built for the run: makes it,
/// writes to it, and removes what it has made.
pub fn check(folder: &Path) -> Result<(), Failure> {
    if [RECORDS_FILE, RUN_FILE].iter().any(|name| folder.join(name).exists()) {
        let folder = folder.display();
        return Err(Failure::usage(format!(
            "{folder} holds the records of another run; name another folder with --out, or go on \
             with that run by --resume {folder}"
        )));
    }
    let missing = missing(folder);
    let usable = make(folder).and_then(|()| {
        tempfile::tempfile_in(folder).map(drop).map_err(|error| unusable(folder, "written", &error))
    });
    remove(&missing);
    Ok(usable?)
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| unusable(folder, "made", &error))
}

fn unusable(folder: &Path, how: &str, error: &io::Error) -> anyhow::Error {
    let folder = folder.display();
    anyhow!("the folder {folder} cannot be {how}: {error}; name another folder with --out")
}

/// The folders that have to be made for this one, itself first.
fn missing(folder: &Path) -> Vec<PathBuf> {
    folder.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect()
}

/// Removes folders that this process has made, unless there is something in them.
fn remove(made: &[PathBuf]) {
    for folder in made {
        let _ = fs::remove_dir(folder);
    }
}

/// A results folder that is being filled. The file of records is locked as long as this lives.
pub struct Results {
    folder: PathBuf,
    records: File,
    written: usize,
}

impl Results {
    pub fn create(folder: PathBuf, run: &RunFile) -> Result<Self> {
        let missing = missing(&folder);
        make(&folder)?;
        // First the file that only one run can create, in case two begin in the same folder.
        let path = folder.join(RECORDS_FILE);
        let mut new = File::options();
        let unwritable = |error: io::Error| unusable(&folder, "written", &error);
        let records = new.append(true).create_new(true).open(&path).map_err(unwritable)?;
        let written = run.write(&folder).map_err(unwritable);
        if let Err(error) = lock(&records, &folder).and(written) {
            // Without a whole run.json the folder could neither be resumed nor be used again.
            let _ = fs::remove_file(folder.join(RUN_FILE));
            let _ = fs::remove_file(path);
            remove(&missing);
            return Err(error);
        }
        Ok(Self { folder, records, written: 0 })
    }

    /// Opens the folder of an interrupted run: cuts off an unfinished last line, and finds the
    /// records of each case.
    pub fn reopen(folder: &Path) -> Result<(Self, Cases<File>)> {
        let path = folder.join(RECORDS_FILE);
        let earlier = regular_file::open(&path).with_context(|| unreadable(&path))?;
        let mut records =
            File::options().append(true).open(&path).with_context(|| unwritable(&path))?;
        lock(&records, folder)?;
        let cases = Cases::find(earlier.try_clone()?).map_err(|error| {
            let folder = folder.display();
            anyhow!("{folder}: {error}. Nothing can be added to that; begin a new run")
        })?;
        records.set_len(cases.end())?;
        // The line feed of a whole record may be missing.
        let mut last = [0];
        if cases.end() > 0 {
            earlier.read_exact_at(&mut last, cases.end() - 1)?;
            if last != *b"\n" {
                records.write_all(b"\n")?;
            }
        }
        Ok((Self { folder: folder.to_owned(), records, written: cases.len() }, cases))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn append(&mut self, record: &Record) -> Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.records.write_all(&line).with_context(|| {
            format!(
                "the record of a trial could not be written to {}; the {} before it are safe, \
                 and `quadrant run --resume {}` goes on from there",
                self.folder.join(RECORDS_FILE).display(),
                self.written,
                self.folder.display()
            )
        })?;
        self.written += 1;
        self.check_in_place()
    }

    /// An error if the file of records is no longer in the folder: the system goes on writing to a
    /// file that was removed.
    pub fn check_in_place(&self) -> Result<()> {
        let written = self.records.metadata()?;
        match fs::metadata(self.folder.join(RECORDS_FILE)) {
            Ok(there) if (there.dev(), there.ino()) == (written.dev(), written.ino()) => Ok(()),
            _ => bail!(
                "{} was removed or moved during the run, and its {RECORDS_FILE} with it; what was \
                 measured is in the report of this run only",
                self.folder.display()
            ),
        }
    }
}

fn lock(records: &File, folder: &Path) -> Result<()> {
    match records.try_lock() {
        Err(TryLockError::WouldBlock) => {
            bail!("another run is writing its records to {}", folder.display())
        }
        // Some file systems have no locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

fn unwritable(path: &Path) -> String {
    format!("{} cannot be written", path.display())
}

fn unreadable(path: &Path) -> String {
    format!("{} cannot be read", path.display())
}

/// The records in a results folder, case by case. Reports an unfinished last line.
pub fn find_cases(folder: &Path) -> Result<Cases<File>, Failure> {
    let path = folder.join(RECORDS_FILE);
    let file = regular_file::open(&path)
        .map_err(|error| Failure::usage(format!("{}: {error}", unreadable(&path))))?;
    let shown = folder.display();
    let cases = Cases::find(file).map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    if let Some(end) = cases.broken_end() {
        say!("{shown}: {end}");
    }
    Ok(cases)
}

/// The next of them.
pub fn next_case(folder: &Path, cases: &mut Cases<File>) -> Result<Option<WholeCase>, Failure> {
    cases.next_case().map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))
}

#[cfg(test)]
mod tests {
    use quadrant_reports::record::{AxisValue, Status};

    use super::*;

    fn line(connections: u32, trial: u32, status: &str) -> String {
        format!(
            r#"{{"schema":1,"run_id":"r","seed":1,"scenario":"echo","question":"","workload":"","case":[{{"axis":"connections","value":"{connections}"}}],"trial":{trial},"subject":{{"id":"a/b/c","runtime":"a","version":"1","executor":"b","backend":"c","workers":1}},"status":"{status}","took_ns":1}}"#
        ) + "\n"
    }

    #[test]
    fn an_unfinished_line_is_cut_off_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let path = folder.join(RECORDS_FILE);
        let whole = line(1, 0, "unmeasured") + &line(1, 1, "failed") + &line(64, 0, "failed");
        let axes = [AxisValue { axis: "connections".into(), value: "1".into() }];
        // The last two are whole without and with their line feed.
        for end in ["{\"half", line(1, 0, "failed").trim_end(), &line(1, 0, "failed")] {
            fs::write(&path, whole.clone() + end).unwrap();
            let (mut results, mut cases) = Results::reopen(folder).unwrap();
            let is_whole = end.ends_with('}') || end.ends_with('\n');
            assert_eq!(results.written, 3 + usize::from(is_whole));
            let earlier = cases.of("r", "echo", &axes).unwrap();
            let trials: Vec<_> = earlier.iter().map(|it| (it.trial, it.status)).collect();
            let first = if is_whole { Status::Failed } else { Status::Unmeasured };
            assert_eq!(trials, [(0, first), (1, Status::Failed)]);

            results.append(&earlier[1]).unwrap();
            drop(results);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with(&whole) && text.ends_with('\n'), "{text}");
            assert_eq!(text.lines().count(), 4 + usize::from(is_whole));
        }
        fs::write(&path, whole + "{\"half\n").unwrap();
        let error = Results::reopen(folder).err().unwrap().to_string();
        assert!(error.contains("line 4 is not a record"), "{error}");
    }
}
