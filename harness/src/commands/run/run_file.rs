//! `run.json`: how a run was made, enough to repeat, continue and compare it.
//!
//! Never holds a result.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use quadrant_reports::random::fingerprint;
use quadrant_reports::record::SCHEMA;
use quadrant_suite::clock::ClockScale;
use serde::{Deserialize, Serialize};

use super::options::RunOptions;
use crate::adapters::build::Profile;
use crate::adapters::subject::Subject;
use crate::commands::selection::Selected;
use crate::system::{clock, cpus, date, machine::Identity, regular_file};

pub const RUN_FILE: &str = "run.json";
/// How many letters of a long reason are printed at either end of it.
const REASON_ENDS: usize = 120;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunFile {
    pub schema: u32,
    pub run_id: String,
    pub seed: u64,
    pub began: String,
    pub quadrant_version: String,
    pub command_line: Vec<String>,
    pub options: RunOptions,
    pub specs: Vec<SpecDigest>,
    pub subjects: Vec<SubjectVersion>,
    /// How the adapters were optimised; `None` for libraries that were built elsewhere, and in runs
    /// of earlier versions.
    #[serde(default)]
    pub adapter_profile: Option<Profile>,
    pub clock: ClockScale,
    pub cpus: Vec<usize>,
    pub machine: Identity,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecDigest {
    pub name: String,
    /// FNV-1a of its text.
    pub digest: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectVersion {
    pub id: String,
    pub version: String,
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

/// The same options, for a run that is resumed from another folder. Names of scenarios that come
/// with the program stay names.
fn from_any_folder(mut options: RunOptions) -> RunOptions {
    for spec in &mut options.scenarios.specs {
        let path = Path::new(&*spec);
        let absolute = std::path::absolute(path).ok().filter(|_| path.exists());
        if let Some(absolute) = absolute.as_deref().and_then(Path::to_str) {
            *spec = absolute.to_owned();
        }
    }
    options
}

impl RunFile {
    /// For a run that is about to begin.
    pub fn new(options: &RunOptions, scenarios: &[Selected], subjects: &[Subject]) -> Self {
        let seed = options.seed.unwrap_or_else(fresh_seed);
        let run_id = new_run_id(seed);
        let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
        Self {
            schema: SCHEMA,
            seed,
            began: run_id.clone(),
            run_id,
            quadrant_version: env!("CARGO_PKG_VERSION").to_owned(),
            command_line: words.collect(),
            options: from_any_folder(options.clone()),
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
            cpus: cpus::allowed(),
            machine: Identity::look(),
        }
    }

    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join(RUN_FILE), serde_json::to_string_pretty(self)? + "\n")
    }

    /// What keeps the figures of two runs from being compared, one sentence each with both values.
    /// The versions of the runtimes and of quadrant are not among it: they are what is compared.
    pub fn differences(&self, new: &Self) -> Vec<String> {
        let facts = |run: &Self| {
            let machine = &run.machine;
            let cells = &run.options.cells;
            let forbidden = run.options.forbid;
            [
                ("system", machine.system.clone()),
                ("architecture", machine.architecture.clone()),
                ("cpu model", machine.cpu_model.clone()),
                ("kernel", machine.kernel.clone()),
                ("cpus", cpus::listed(&run.cpus)),
                ("governor", machine.governor.clone().unwrap_or_else(|| "none".to_owned())),
                ("congestion control", machine.congestion_control.clone().unwrap_or_default()),
                ("workers", cells.workers.map_or("by the CPUs".to_owned(), |n| n.to_string())),
                ("forbidden", forbidden.map_or("nothing".to_owned(), |what| what.to_string())),
                (
                    "allocator",
                    cells.allocator.map_or("by the scenario".to_owned(), |how| how.to_string()),
                ),
                ("quick", if cells.quick { "yes" } else { "no" }.to_owned()),
            ]
        };
        let pairs = facts(self).into_iter().zip(facts(new));
        // Nothing is known of what an earlier version did not record.
        let is_known = |(_, value): &(&str, String)| !value.is_empty();
        let pairs = pairs.filter(|(base, new)| is_known(base) && is_known(new));
        let unequal = pairs.filter(|((_, base), (_, new))| base != new);
        let of_facts =
            unequal.map(|((name, base), (_, new))| format!("{name}: {base} in BASE, {new} in NEW"));
        // A scenario that only one run has makes no difference: its cells have no counterpart.
        let digests = new.specs.iter().map(|spec| (&spec.name, &spec.digest));
        let digests: HashMap<&String, &String> = digests.collect();
        let is_other = |spec: &&SpecDigest| {
            digests.get(&spec.name).is_some_and(|digest| **digest != spec.digest)
        };
        let of_specs =
            self.specs.iter().filter(is_other).map(|spec| {
                format!("scenario {}: its text is not the same (spec digest)", spec.name)
            });
        of_facts.chain(of_specs).collect()
    }
}

pub fn read_run(folder: &Path) -> Result<RunFile> {
    let path = folder.join(RUN_FILE);
    let text = regular_file::open(&path)
        .and_then(io::read_to_string)
        .with_context(|| format!("{} holds no run: {RUN_FILE} cannot be read", folder.display()))?;
    let run: RunFile = serde_json::from_str(&text).map_err(|error| {
        anyhow!("{} is damaged: {}", path.display(), without_middle(&error.to_string()))
    })?;
    if run.schema != SCHEMA {
        let (path, schema) = (path.display(), run.schema);
        bail!("{path} is of schema {schema}, and this program reads schema {SCHEMA}");
    }
    Ok(run)
}

/// A reason may quote all of a long value.
fn without_middle(reason: &str) -> String {
    let letters: Vec<char> = reason.chars().collect();
    match (letters.first_chunk::<REASON_ENDS>(), letters.last_chunk::<REASON_ENDS>()) {
        (Some(first), Some(last)) if letters.len() > 2 * REASON_ENDS => {
            first.iter().chain(&[' ', '…', ' ']).chain(last).collect()
        }
        _ => reason.to_owned(),
    }
}

/// A run that is to go on in this process.
pub fn resume_run(folder: &Path) -> Result<RunFile> {
    let run = read_run(folder)?;
    let allowed = cpus::allowed();
    if run.cpus.is_empty() || run.cpus.iter().any(|cpu| !allowed.contains(cpu)) {
        bail!(
            "the run in {} used the CPUs {}, and this process may use {}: allow those (taskset, \
             cpuset), or begin a new run",
            folder.display(),
            cpus::listed(&run.cpus),
            cpus::listed(&allowed)
        );
    }
    // Another start of the machine has another clock.
    Ok(RunFile { clock: clock::choose(), ..run })
}

/// A random seed, small enough to be typed again.
pub fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() % 1_000_000
}

/// `20261120-093412-1f4c`: sorts by time, and two runs within a second differ.
pub fn new_run_id(seed: u64) -> String {
    let now = date::since_epoch();
    let (year, month, day) = date::civil_date(now.as_secs() / 86_400);
    let second = now.as_secs() % 86_400;
    format!(
        "{year:04}{month:02}{day:02}-{:02}{:02}{:02}-{:04x}",
        second / 3_600,
        second / 60 % 60,
        second % 60,
        (seed ^ u64::from(now.subsec_nanos()) ^ u64::from(std::process::id())) & 0xFFFF
    )
}
