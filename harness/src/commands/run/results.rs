//! The folder of a run: `run.json` has how it was made, `records.jsonl` its results.
//!
//! Every record is written before the next trial begins, so an interruption loses none. Never
//! changes a record that is written.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use quadrant_reports::record::read::{ReadError, Records};
use quadrant_reports::record::{Record, Status};

use super::planned_case::case_key;
use super::run_file::{RUN_FILE, RunFile};
use crate::commands::failure::Failure;
use crate::terminal::standard_error::say;

const RECORDS_FILE: &str = "records.jsonl";

/// Checks that a new run can use this folder, before anything is built for the run: makes it and
/// removes it again.
pub fn check(folder: &Path) -> Result<(), Failure> {
    if [RECORDS_FILE, RUN_FILE].iter().any(|name| folder.join(name).exists()) {
        let folder = folder.display();
        return Err(Failure::usage(format!(
            "{folder} holds the records of another run; name another folder with --out, or go on \
             with that run by --resume {folder}"
        )));
    }
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    let made = make(folder);
    for made in missing {
        let _ = fs::remove_dir(made);
    }
    Ok(made?)
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("the folder {} cannot be made", folder.display()))
}

/// A results folder that is being filled. The file of records is locked as long as this lives.
pub struct Results {
    folder: PathBuf,
    records: File,
    written: u64,
}

impl Results {
    pub fn create(folder: PathBuf, run: &RunFile) -> Result<Self> {
        make(&folder)?;
        // First the file that only one run can create, in case two begin in the same folder.
        let path = folder.join(RECORDS_FILE);
        let mut new = File::options();
        let records = new.append(true).create_new(true).open(&path);
        let records = records.with_context(|| unwritable(&path))?;
        lock(&records, &folder)?;
        let mut text = serde_json::to_string_pretty(run)?;
        text.push('\n');
        let run_file = folder.join(RUN_FILE);
        fs::write(&run_file, text).with_context(|| unwritable(&run_file))?;
        Ok(Self { folder, records, written: 0 })
    }

    /// Opens the folder of an interrupted run: cuts off an unfinished last line, and finds the
    /// records of each case.
    pub fn reopen(folder: &Path) -> Result<(Self, Earlier)> {
        let path = folder.join(RECORDS_FILE);
        let records = File::options()
            .append(true)
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        lock(&records, folder)?;
        let mut reader = BufReader::new(open(&path)?);
        let mut lines: HashMap<String, Vec<u64>> = HashMap::new();
        let (mut line, mut begin, mut written) = (Vec::new(), 0, 0);
        for number in 1.. {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)? as u64;
            if !line.ends_with(b"\n") {
                break;
            }
            if let Some(record) = Records::new(line.as_slice()).next() {
                let record = record.map_err(|error| {
                    let (folder, error) = (folder.display(), at_line(error, number));
                    anyhow!("{folder}: {error}. Nothing can be added to that; begin a new run")
                })?;
                lines.entry(case_key(&record.scenario, &record.case)).or_default().push(begin);
                written += 1;
            }
            begin += length;
        }
        records.set_len(begin)?;
        Ok((Self { folder: folder.to_owned(), records, written }, Earlier { path, lines }))
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
        Ok(())
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

/// The same error with the number of its line in the file.
fn at_line(error: ReadError, line: u64) -> ReadError {
    match error {
        ReadError::Io(error) => ReadError::Io(error),
        ReadError::UnknownSchema { schema, .. } => ReadError::UnknownSchema { line, schema },
        ReadError::NotARecord { reason, .. } => ReadError::NotARecord { line, reason },
    }
}

fn unwritable(path: &Path) -> String {
    format!("{} cannot be written", path.display())
}

/// Calls `take` with each record in a results folder. Reports an unfinished last line; returns an
/// error for any other line that is not a record.
pub fn each_record(folder: &Path, mut take: impl FnMut(Record)) -> Result<(), Failure> {
    let shown = folder.display();
    let file = open(&folder.join(RECORDS_FILE));
    let file = file.map_err(|error| Failure::usage(format!("{error:#}")))?;
    let mut records = Records::new(BufReader::new(file));
    for record in &mut records {
        take(record.map_err(|error| Failure::usage(format!("{shown}: {error}")))?);
    }
    if let Some(end) = records.broken_end() {
        say!("{shown}: {end}");
    }
    Ok(())
}

/// The records of an interrupted run by their case. Those of one case may be far apart, because an
/// unmeasured trial is repeated at the end of the file.
#[derive(Default)]
pub struct Earlier {
    path: PathBuf,
    /// Where the lines of each case begin.
    lines: HashMap<String, Vec<u64>>,
}

impl Earlier {
    /// The finished trials of this case. Of a trial that was repeated the later record counts; an
    /// unmeasured one is to be repeated.
    pub fn take(&mut self, key: &str) -> Result<Vec<Record>> {
        let Some(lines) = self.lines.remove(key) else { return Ok(Vec::new()) };
        let mut reader = BufReader::new(open(&self.path)?);
        let mut taken: Vec<Record> = Vec::new();
        for begin in lines {
            reader.seek(SeekFrom::Start(begin))?;
            let Some(record) = Records::new(&mut reader).next().transpose()? else { break };
            taken.retain(|known| !known.is_same_trial(&record));
            taken.push(record);
        }
        taken.retain(|record| record.status != Status::Unmeasured);
        Ok(taken)
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("{} cannot be read", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(connections: u32, trial: u32, status: &str) -> String {
        format!(
            r#"{{"schema":1,"run_id":"r","seed":1,"scenario":"echo","question":"","workload":"","case":[{{"axis":"connections","value":"{connections}"}}],"trial":{trial},"subject":{{"id":"a/b/c","runtime":"a","version":"1","executor":"b","backend":"c","workers":1}},"status":"{status}","took_ns":1}}"#
        ) + "\n"
    }

    #[test]
    fn finished_trials_are_found_wherever_they_are() {
        let folder = std::env::temp_dir().join(format!("quadrant-earlier-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // The first case was continued after the second had begun, and so was the second.
        let lines = [
            line(1, 0, "unmeasured"),
            line(1, 1, "failed"),
            line(64, 0, "failed"),
            line(64, 1, "unmeasured"),
            line(1, 0, "failed"),
            line(64, 1, "unmeasured"),
            line(64, 2, "failed"),
        ];
        let whole = lines.concat();
        let path = folder.join(RECORDS_FILE);
        fs::write(&path, whole.clone() + "{\"half").unwrap();
        let (results, mut earlier) = Results::reopen(&folder).unwrap();
        assert_eq!(results.written, 7);
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
        let mut trials = |key: &str| {
            let taken = earlier.take(key).unwrap();
            taken.iter().map(|record| record.trial).collect::<Vec<_>>()
        };
        assert_eq!(trials("echo connections=64"), [0, 2]);
        assert_eq!(trials("echo connections=1"), [1, 0]);
        assert_eq!(trials("echo connections=7"), [0; 0]);
        drop(results);

        fs::write(&path, whole + "{\"half\n").unwrap();
        let error = Results::reopen(&folder).err().unwrap().to_string();
        assert!(error.contains("line 8 is not a record"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }
}
