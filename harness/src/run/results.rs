//! The folder of a run: `run.json` says how it was made, `records.jsonl` holds what came out.
//!
//! Every record is written whole before the next trial begins, so an interruption loses none.

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use quadrant_reports::read::Records;
use quadrant_reports::record::{Record, Status};
use quadrant_suite::clock::ClockScale;
use serde::{Deserialize, Serialize};

use super::cells::case_key;
use super::options::RunOptions;
use crate::failure::Failure;
use crate::machine::identity::Identity;
use crate::selection::Selected;

const RUN_FILE: &str = "run.json";
const RECORDS_FILE: &str = "records.jsonl";

/// What a run was: enough to run it again, and to go on with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunFile {
    pub schema: u32,
    pub run_id: String,
    pub seed: u64,
    pub began: String,
    pub quadrant_version: String,
    pub command_line: Vec<String>,
    pub options: ResumableOptions,
    pub specs: Vec<SpecDigest>,
    pub subjects: Vec<SubjectVersion>,
    pub clock: ClockScale,
    pub cpus: Vec<usize>,
    pub machine: Identity,
}

/// The options that decide which trials there are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResumableOptions {
    pub specs: Vec<String>,
    pub axis: Vec<String>,
    pub runtime: Vec<String>,
    pub exclude: Vec<String>,
    pub trials: u32,
    pub quick: bool,
    pub workers: Option<u32>,
    #[serde(default)]
    pub with_test_adapters: bool,
    /// Trials of one run should not be of two builds.
    #[serde(default)]
    pub no_build: bool,
    #[serde(default)]
    pub adapters: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecDigest {
    pub name: String,
    /// FNV-1a of its text: tells that it has changed, not who changed it.
    pub digest: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectVersion {
    pub id: String,
    pub version: String,
}

impl ResumableOptions {
    pub fn of(options: &RunOptions) -> Self {
        Self {
            specs: options.scenarios.specs.clone(),
            axis: options.scenarios.axis.clone(),
            runtime: options.subjects.runtime.clone(),
            exclude: options.subjects.exclude.clone(),
            trials: options.cells.trial_count(),
            quick: options.cells.quick,
            workers: options.cells.workers,
            with_test_adapters: options.subjects.with_test_adapters,
            no_build: options.subjects.no_build,
            adapters: options.subjects.adapters.clone(),
        }
    }

    /// Puts them in the place of what the command line did not say.
    pub fn apply(&self, options: &mut RunOptions) {
        options.scenarios.specs.clone_from(&self.specs);
        options.scenarios.axis.clone_from(&self.axis);
        options.subjects.runtime.clone_from(&self.runtime);
        options.subjects.exclude.clone_from(&self.exclude);
        options.subjects.with_test_adapters = self.with_test_adapters;
        options.subjects.no_build |= self.no_build;
        if options.subjects.adapters.is_none() {
            options.subjects.adapters.clone_from(&self.adapters);
        }
        options.cells.trials = Some(self.trials);
        options.cells.quick = self.quick;
        options.cells.workers = self.workers;
    }
}

pub fn digests(scenarios: &[Selected]) -> Vec<SpecDigest> {
    let digest = |text: &str| {
        text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        })
    };
    scenarios
        .iter()
        .map(|selected| SpecDigest {
            name: selected.name.clone(),
            digest: format!("{:016x}", digest(selected.scenario.source())),
        })
        .collect()
}

/// Why a new run cannot use this folder, if it cannot.
pub fn objection(folder: &Path) -> Option<String> {
    folder.join(RECORDS_FILE).exists().then(|| {
        let folder = folder.display();
        format!(
            "{folder} holds the records of another run; name another folder with --out, or go on \
             with that run by --resume {folder}"
        )
    })
}

/// A results folder that is being filled.
pub struct Results {
    folder: PathBuf,
    records: File,
    written: u64,
}

impl Results {
    pub fn create(folder: PathBuf, run: &RunFile) -> Result<Self> {
        fs::create_dir_all(&folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        let records = folder.join(RECORDS_FILE);
        let mut text = serde_json::to_string_pretty(run)?;
        text.push('\n');
        let run_file = folder.join(RUN_FILE);
        fs::write(&run_file, text).with_context(|| unwritable(&run_file))?;
        let file = File::create_new(&records).with_context(|| unwritable(&records))?;
        Ok(Self { folder, records: file, written: 0 })
    }

    /// Opens the folder of an interrupted run, to write on behind its last whole record.
    pub fn reopen(folder: &Path) -> Result<Self> {
        let path = folder.join(RECORDS_FILE);
        let text_end = whole_records_end(&path)?;
        let records = File::options()
            .append(true)
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        records.set_len(text_end)?;
        Ok(Self { folder: folder.to_owned(), records, written: 0 })
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

fn unwritable(path: &Path) -> String {
    format!("{} cannot be written", path.display())
}

/// Where the last whole line ends; a line that was cut off is no record.
fn whole_records_end(path: &Path) -> Result<u64> {
    use std::io::BufRead;
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut reader = BufReader::new(file);
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

pub fn read_run(folder: &Path) -> Result<RunFile> {
    let path = folder.join(RUN_FILE);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{} holds no run: {RUN_FILE} cannot be read", folder.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
}

/// The records in a results folder, one at a time.
fn open_records(folder: &Path) -> Result<Records<BufReader<File>>> {
    let path = folder.join(RECORDS_FILE);
    let file = File::open(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Records::new(BufReader::new(file)))
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
        eprintln!("{shown}: {end}");
    }
    Ok(())
}

/// The records that a run has left, in its own order, one case at a time.
pub struct Earlier {
    records: std::iter::Peekable<Box<dyn Iterator<Item = Record>>>,
}

impl Earlier {
    pub fn none() -> Self {
        let nothing: Box<dyn Iterator<Item = Record>> = Box::new(std::iter::empty());
        Self { records: nothing.peekable() }
    }

    pub fn read(folder: &Path) -> Result<Self> {
        let records: Box<dyn Iterator<Item = Record>> =
            Box::new(open_records(folder)?.map_while(Result::ok));
        Ok(Self { records: records.peekable() })
    }

    /// Those of the next case, if it is this one. What was left unmeasured is run again.
    pub fn take(&mut self, key: &str) -> Vec<Record> {
        let mut taken = Vec::new();
        while let Some(record) =
            self.records.next_if(|record| case_key(&record.scenario, &record.case) == key)
        {
            if record.status != Status::Unmeasured {
                taken.push(record);
            }
        }
        taken
    }
}

/// `20261120-093412-1f4c`: sorts by time, and two runs of one second differ.
pub fn new_run_id(seed: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (year, month, day) = civil_date(now.as_secs() / 86_400);
    let second = now.as_secs() % 86_400;
    format!(
        "{year:04}{month:02}{day:02}-{:02}{:02}{:02}-{:04x}",
        second / 3_600,
        second / 60 % 60,
        second % 60,
        (seed ^ u64::from(now.subsec_nanos()) ^ u64::from(std::process::id())) & 0xFFFF
    )
}

/// The date of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= months[month] {
        left -= months[month];
        month += 1;
    }
    (year, month as u64 + 1, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil_date(0), (1970, 1, 1));
        assert_eq!(civil_date(19_782), (2024, 2, 29));
        assert_eq!(civil_date(20_088), (2024, 12, 31));
        assert_eq!(civil_date(20_089), (2025, 1, 1));
    }

    #[test]
    fn a_cut_line_is_no_record() {
        let path = std::env::temp_dir().join(format!("quadrant-cut-{}", std::process::id()));
        fs::write(&path, "{}\n{}\n{\"half").unwrap();
        assert_eq!(whole_records_end(&path).unwrap(), 6);
        fs::remove_file(path).unwrap();
    }
}
