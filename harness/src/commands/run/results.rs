//! The folder of a run: `run.json` says how it was made, `records.jsonl` holds what came out.
//!
//! Every record is written whole before the next trial begins, so an interruption loses none.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use quadrant_reports::read::Records;
use quadrant_reports::record::{Record, Status};

use super::cells::case_key;
use super::run_file::{RUN_FILE, RunFile};
use crate::commands::failure::Failure;
use crate::terminal::standard_error::say;

const RECORDS_FILE: &str = "records.jsonl";

/// Why a new run cannot use this folder, if it cannot.
pub fn objection(folder: &Path) -> Option<String> {
    let holds_a_run = [RECORDS_FILE, RUN_FILE].iter().any(|name| folder.join(name).exists());
    holds_a_run.then(|| {
        let folder = folder.display();
        format!(
            "{folder} holds the records of another run; name another folder with --out, or go on \
             with that run by --resume {folder}"
        )
    })
}

/// Makes it and takes it away again, to know before anything is built for a run.
pub fn try_to_make(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    let made = make(folder);
    for made in missing {
        let _ = fs::remove_dir(made);
    }
    made
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
        // First the one that can be made by one run only, should two begin in the same folder.
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

    /// Opens the folder of an interrupted run, to write on behind its last whole record.
    pub fn reopen(folder: &Path) -> Result<Self> {
        let path = folder.join(RECORDS_FILE);
        let records = File::options()
            .append(true)
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        lock(&records, folder)?;
        records.set_len(whole_records_end(&path)?)?;
        let mut written = 0;
        for record in open_records(folder)? {
            if let Err(damage) = record {
                let folder = folder.display();
                bail!("{folder}: {damage}. Nothing can be added to that; begin a new run");
            }
            written += 1;
        }
        Ok(Self { folder: folder.to_owned(), records, written })
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

fn unwritable(path: &Path) -> String {
    format!("{} cannot be written", path.display())
}

/// Where the last whole line ends; a line that was cut off is no record.
fn whole_records_end(path: &Path) -> Result<u64> {
    let mut reader = BufReader::new(open(path)?);
    let (mut end, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)? as u64;
        if length == 0 || !line.ends_with(b"\n") {
            return Ok(end);
        }
        end += length;
    }
}

fn open_records(folder: &Path) -> Result<Records<BufReader<File>>> {
    let path = folder.join(RECORDS_FILE);
    Ok(Records::new(BufReader::new(open(&path)?)))
}

/// Goes through the records in a results folder. A cut off end is told; a record that cannot be
/// followed ends it.
pub fn each_record(folder: &Path, mut take: impl FnMut(Record)) -> Result<(), Failure> {
    let shown = folder.display();
    let mut records = open_records(folder).map_err(|error| Failure::usage(format!("{error:#}")))?;
    for record in &mut records {
        take(record.map_err(|error| Failure::usage(format!("{shown}: {error}")))?);
    }
    if let Some(end) = records.broken_end() {
        say!("{shown}: {end}");
    }
    Ok(())
}

/// The records that a run has left, found again by their case. A case's records may lie apart,
/// because what was left unmeasured is made again at the end of the file.
pub struct Earlier {
    path: PathBuf,
    /// Where the lines of each case begin.
    lines: HashMap<String, Vec<u64>>,
}

impl Earlier {
    pub fn none() -> Self {
        Self { path: PathBuf::new(), lines: HashMap::new() }
    }

    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(RECORDS_FILE);
        let mut lines: HashMap<String, Vec<u64>> = HashMap::new();
        let (mut reader, mut line, mut begin) = (BufReader::new(open(&path)?), Vec::new(), 0);
        while reader.read_until(b'\n', &mut line)? > 0 {
            if let Some(record) = Records::new(line.as_slice()).next() {
                let record = record?;
                lines.entry(case_key(&record.scenario, &record.case)).or_default().push(begin);
            }
            begin += line.len() as u64;
            line.clear();
        }
        Ok(Self { path, lines })
    }

    /// What is done of this case. Of a trial that was made again the later record counts; what was
    /// left unmeasured is to be made again.
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

    #[test]
    fn a_cut_line_is_no_record() {
        let path = std::env::temp_dir().join(format!("quadrant-cut-{}", std::process::id()));
        fs::write(&path, "{}\n{}\n{\"half").unwrap();
        assert_eq!(whole_records_end(&path).unwrap(), 6);
        fs::remove_file(path).unwrap();
    }

    fn line(connections: u32, trial: u32, status: &str) -> String {
        format!(
            r#"{{"schema":1,"run_id":"r","seed":1,"scenario":"echo","question":"","workload":"","case":[{{"axis":"connections","value":"{connections}"}}],"trial":{trial},"subject":{{"id":"a/b/c","runtime":"a","version":"1","executor":"b","backend":"c","workers":1}},"status":"{status}","took_ns":1}}"#
        ) + "\n"
    }

    #[test]
    fn what_is_done_is_found_wherever_it_lies() {
        let folder = std::env::temp_dir().join(format!("quadrant-earlier-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // The first case was gone on with after the second had begun, and so was the second.
        let lines = [
            line(1, 0, "unmeasured"),
            line(1, 1, "failed"),
            line(64, 0, "failed"),
            line(64, 1, "unmeasured"),
            line(1, 0, "failed"),
            line(64, 1, "unmeasured"),
            line(64, 2, "failed"),
        ];
        fs::write(folder.join(RECORDS_FILE), lines.concat()).unwrap();
        let mut earlier = Earlier::read(&folder).unwrap();
        let mut trials = |key: &str| {
            let taken = earlier.take(key).unwrap();
            taken.iter().map(|record| record.trial).collect::<Vec<_>>()
        };
        assert_eq!(trials("echo connections=64"), [0, 2]);
        assert_eq!(trials("echo connections=1"), [1, 0]);
        assert_eq!(trials("echo connections=7"), [0; 0]);
        fs::remove_dir_all(folder).unwrap();
    }
}
