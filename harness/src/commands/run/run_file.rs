//! `run.json`: how a run was made, enough to run it again and to go on with it.
//!
//! Holds nothing that a trial found out.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use quadrant_reports::record::SCHEMA;
use quadrant_suite::clock::ClockScale;
use serde::{Deserialize, Serialize};

use super::options::{RunOptions, usual_memory_limit, usual_time_limit};
use crate::adapters::build::Profile;
use crate::adapters::subject::Subject;
use crate::commands::selection::Selected;
use crate::system::allocator::Allocator;
use crate::system::forbid::Forbidden;
use crate::system::{affinity, clock, identity::Identity};
use quadrant_reports::random::fingerprint;

pub const RUN_FILE: &str = "run.json";

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
    /// How the adapters were optimised; `None` of libraries that were built elsewhere, and of
    /// runs that did not write it down.
    #[serde(default)]
    pub adapter_profile: Option<Profile>,
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
    #[serde(default)]
    pub trials: Option<u32>,
    #[serde(default)]
    pub starts: Option<u32>,
    #[serde(default)]
    pub until: Option<f64>,
    #[serde(default)]
    pub allocator: Option<Allocator>,
    pub quick: bool,
    pub workers: Option<u32>,
    #[serde(default)]
    pub with_test_adapters: bool,
    /// Trials of one run should not be of two builds.
    #[serde(default)]
    pub no_build: bool,
    #[serde(default)]
    pub adapters: Option<PathBuf>,
    #[serde(default)]
    pub evidence: bool,
    #[serde(default)]
    pub forbid: Option<Forbidden>,
    /// Runs of before these two were written down had what is usual.
    #[serde(default = "usual_time_limit")]
    pub time_limit: f64,
    #[serde(default = "usual_memory_limit")]
    pub memory_limit: u64,
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
            trials: options.cells.trials,
            starts: options.cells.starts,
            until: options.cells.until,
            allocator: options.cells.allocator,
            quick: options.cells.quick,
            workers: options.cells.workers,
            with_test_adapters: options.subjects.source.with_test_adapters,
            no_build: options.subjects.source.no_build,
            adapters: options.subjects.source.adapters.clone(),
            evidence: options.evidence,
            forbid: options.forbid,
            time_limit: options.time_limit,
            memory_limit: options.memory_limit,
        }
    }

    /// Puts them in the place of what the command line did not say.
    pub fn apply(&self, options: &mut RunOptions) {
        options.scenarios.specs.clone_from(&self.specs);
        options.scenarios.axis.clone_from(&self.axis);
        options.subjects.runtime.clone_from(&self.runtime);
        options.subjects.exclude.clone_from(&self.exclude);
        options.subjects.source.with_test_adapters = self.with_test_adapters;
        options.subjects.source.no_build |= self.no_build;
        if options.subjects.source.adapters.is_none() {
            options.subjects.source.adapters.clone_from(&self.adapters);
        }
        options.evidence = self.evidence;
        options.forbid = self.forbid;
        options.time_limit = self.time_limit;
        options.memory_limit = self.memory_limit;
        options.cells.trials = self.trials;
        options.cells.starts = self.starts;
        options.cells.until = self.until;
        options.cells.allocator = self.allocator;
        options.cells.quick = self.quick;
        options.cells.workers = self.workers;
    }
}

pub fn digests(scenarios: &[Selected]) -> Vec<SpecDigest> {
    scenarios
        .iter()
        .map(|selected| SpecDigest {
            name: selected.name.clone(),
            digest: format!("{:016x}", fingerprint(selected.scenario.source())),
        })
        .collect()
}

impl RunFile {
    /// That of a run about to begin.
    pub fn new(options: &RunOptions, scenarios: &[Selected], subjects: &[Subject]) -> Self {
        let seed = options.seed.unwrap_or_else(fresh_seed);
        let run_id = new_run_id(seed);
        Self {
            schema: SCHEMA,
            seed,
            began: run_id.clone(),
            run_id,
            quadrant_version: env!("CARGO_PKG_VERSION").to_owned(),
            command_line: std::env::args().collect(),
            options: ResumableOptions::of(options),
            specs: digests(scenarios),
            subjects: subjects
                .iter()
                .map(|subject| SubjectVersion {
                    id: subject.id.clone(),
                    version: subject.version.clone(),
                })
                .collect(),
            adapter_profile: options.subjects.source.profile(),
            clock: clock::choose(),
            cpus: affinity::allowed(),
            machine: Identity::look(),
        }
    }
}

pub fn read_run(folder: &Path) -> Result<RunFile> {
    let path = folder.join(RUN_FILE);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{} holds no run: {RUN_FILE} cannot be read", folder.display()))?;
    let run: RunFile =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    if run.schema != SCHEMA {
        let (path, schema) = (path.display(), run.schema);
        bail!("{path} is of schema {schema}, and this program knows schema {SCHEMA}");
    }
    Ok(run)
}

/// Small enough to be typed again.
pub fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() % 1_000_000
}

/// `20261120-093412-1f4c`: sorts by time, and two runs of one second differ.
pub fn new_run_id(seed: u64) -> String {
    // A name and nothing else: no time is ever measured by a clock that people set.
    #[allow(clippy::disallowed_types)]
    let epoch = std::time::SystemTime::UNIX_EPOCH;
    let now = epoch.elapsed().unwrap_or(Duration::ZERO);
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
}
