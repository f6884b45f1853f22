//! Measures one case of a run: all subjects in turns, then each by itself.
//!
//! Starts and trials are interleaved, so that noise of the machine affects all subjects alike. Never
//! decides which cases there are.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Instant;

use quadrant_reports::random::SplitMix;
use quadrant_reports::ranking::widest_interval;
use quadrant_reports::record::{Pass, Record, Status};

use super::all_cases::Run;
use super::evidence_pass::{self, Gathered};
use super::planned_case::{PlannedCase, case_key};
use super::stop::Stop;
use super::{ceilings, record, turns};
use crate::adapters::filter::Filter;
use crate::adapters::subject::Subject;
use crate::fixtures::{FixtureError, FixtureStore};
use crate::system::features;
use crate::trial::{self, Attention, Ended, Memory};

/// The files of a case during a trial.
#[derive(Default)]
pub struct FilesInPlace {
    /// Of the files to read.
    pub directory: Option<String>,
    /// The folder for the files that are written, empty.
    written: Option<String>,
    /// That they cannot be cold.
    pub warning: Option<String>,
}

/// Makes and verifies the files of a case that reads files, and drops cold ones from the page cache.
/// Empties the folder of one that writes files.
pub fn place_files(case: &PlannedCase, store: &mut FixtureStore) -> Result<FilesInPlace, Stop> {
    let mut files = FilesInPlace::default();
    let bytes = case.written_bytes();
    if bytes > 0 {
        files.written = Some(store.empty_folder(bytes)?.display().to_string());
    }
    let Some(shape) = case.case.work.files else { return Ok(files) };
    let set = store.files(shape.count, shape.bytes, shape.latency)?;
    files.warning = if shape.cold { set.drop_from_cache()?.warning() } else { None };
    files.directory = Some(set.directory().display().to_string());
    Ok(files)
}

impl Run {
    /// Measures cases, with `trials` together until the claim of their scenario is decided. Adds the
    /// records of each case to its part of `records`; an interruption or an error leaves some out.
    pub(super) fn measure(
        &mut self,
        cases: &[PlannedCase],
        trials: Option<&RangeInclusive<u32>>,
        filter: &Filter,
        records: &mut [Vec<Record>],
    ) -> Result<(), Stop> {
        let subjects = Rc::clone(&self.subjects);
        let selected: Vec<&Subject> = subjects.iter().filter(|it| filter.selects(it)).collect();
        let mut runnable = Vec::with_capacity(cases.len());
        for (case, records) in cases.iter().zip(&mut *records) {
            runnable.push(self.recall(case, &selected, records)?);
        }
        if let Some(trials) = trials {
            return self.measure_until_decided(cases, trials, runnable, records);
        }
        for ((case, subjects), records) in cases.iter().zip(&runnable).zip(records) {
            self.measure_case(case, subjects, None, records)?;
        }
        Ok(())
    }

    /// Adds the records that the case has before it is measured: those of an interrupted run, and one
    /// for each subject that cannot run it. Returns the other subjects.
    fn recall<'s>(
        &mut self,
        case: &PlannedCase,
        subjects: &[&'s Subject],
        records: &mut Vec<Record>,
    ) -> Result<Vec<&'s Subject>, Stop> {
        if let Some(earlier) = &mut self.earlier {
            let of_case = earlier.of(&self.run_id, case.scenario, &case.case.values);
            let of_case = of_case.map_err(anyhow::Error::new)?.into_iter();
            // What was not measured is measured now.
            records.extend(of_case.filter(|record| record.status != Status::Unmeasured));
        }
        self.done +=
            records.iter().filter(|record| record.status != Status::Unsupported).count() as u64;
        self.progress.advance(records.len() as u64);

        let mut runnable = Vec::new();
        for &subject in subjects {
            match case.refusal(subject) {
                None => runnable.push(subject),
                Some((status, reason)) if records.iter().all(|it| it.subject.id != subject.id) => {
                    let mut record = self.record(case, subject, Pass::Alone, 0);
                    (record.status, record.reason) = (status, Some(reason));
                    record::complete(&mut record, case, subject);
                    self.keep(record, records)?;
                }
                Some(_) => {}
            }
        }
        Ok(runnable)
    }

    /// `subjects` can run the case. `trials` are those of each by itself; without it, as many as usual.
    pub(super) fn measure_case(
        &mut self,
        case: &PlannedCase,
        subjects: &[&Subject],
        trials: Option<u32>,
        records: &mut Vec<Record>,
    ) -> Result<(), Stop> {
        if subjects.is_empty() {
            return Ok(());
        }
        self.behaviours.ask(case.demands, subjects, &self.progress)?;
        Stop::check()?;
        if case.case.work.files.is_some() {
            self.progress.say("making and verifying the files to read");
        }
        place_files(case, &mut self.fixtures)?;
        let takes_turns = trials.is_none() && self.measure_in_turns(case, subjects, records)?;
        let usual = trials.unwrap_or_else(|| self.options.cells.trial_count(takes_turns));
        // Where there are turns, they decide the ranking.
        let most = if takes_turns { usual } else { self.options.cells.at_most(usual) };
        self.measure_alone(case, subjects, usual..=most, records)
    }

    /// Every subject by itself, trial by trial, in an order drawn anew for each: the first number of
    /// `trials`, and up to the last until all is decided.
    fn measure_alone(
        &mut self,
        case: &PlannedCase,
        subjects: &[&Subject],
        trials: RangeInclusive<u32>,
        records: &mut Vec<Record>,
    ) -> Result<(), Stop> {
        let are_done = |subject| (0..*trials.end()).all(|it| is_done(records, subject, it));
        if subjects.iter().all(|subject| are_done(subject)) {
            return Ok(());
        }
        let evidence = match self.options.evidence {
            true => self.gather_evidence(case, subjects, records)?,
            false => BTreeMap::new(),
        };
        let ceiling_per_sec = self.ceiling(case);
        let refusal = ceilings::refusal(case.load(), ceiling_per_sec);
        let key = case.key();
        for trial in 0..*trials.end() {
            if trial >= *trials.start() && self.is_decided(records) {
                break;
            }
            let mut order = subjects.to_vec();
            self.chance(&format!("{key} {trial}")).shuffle(&mut order);
            for subject in order {
                if is_done(records, subject, trial) {
                    continue;
                }
                Stop::check()?;
                self.progress.say(format!("{key}  {}", subject.id));
                let began = Instant::now();
                let mut record = self.record(case, subject, Pass::Alone, trial);
                match &refusal {
                    Some(reason) => record.reason = Some(reason.clone()),
                    None => self.run_trial(&mut record, case, subject, ceiling_per_sec)?,
                }
                record::complete(&mut record, case, subject);
                record.expectations.extend(self.behaviours.checked(case.demands, subject));
                if let Some(gathered) = evidence.get(&subject.id) {
                    record.evidence.clone_from(&gathered.evidence);
                    record.warnings.extend(gathered.warning.clone());
                }
                record.took_ns = began.elapsed().as_nanos() as u64;
                self.advance(1);
                self.keep(record, records)?;
            }
        }
        Ok(())
    }

    /// Runs one trial and puts its result into the record.
    fn run_trial(
        &mut self,
        record: &mut Record,
        case: &PlannedCase,
        subject: &Subject,
        ceiling_per_sec: Option<u64>,
    ) -> Result<(), Stop> {
        let memory = self.draw_memory(case, &format!("{} {}", subject.id, record.trial));
        record.layout = Some(memory.layout);
        let (ended, warning) = self.trial(case, subject, Attention::Usual, memory, record.trial)?;
        match ended {
            Ended::Measured(measured) => record::fill(record, *measured, case, ceiling_per_sec),
            Ended::Unmeasured { status, reason, load } => {
                (record.status, record.reason) = (status, Some(reason));
                record.cut_short = load.map(|load| record::cut_short(*load));
            }
            Ended::Interrupted => return Err(Stop::Interrupted),
        }
        record.warnings.extend(warning);
        Ok(recheck_failure(record, &mut self.fixtures)?)
    }

    /// All subjects in turns, start by start. Returns whether the case can be measured so.
    fn measure_in_turns(
        &mut self,
        case: &PlannedCase,
        subjects: &[&Subject],
        records: &mut Vec<Record>,
    ) -> Result<bool, Stop> {
        let usual = self.options.cells.start_count();
        if usual == 0 || turns::refusal(case).is_some() {
            return Ok(false);
        }
        let references = Rc::clone(&self.references);
        let reference = references.iter().find(|it| case.refusal(it).is_none());
        let key = case.key();
        for start in 0..self.options.cells.at_most(usual) {
            if start >= usual && self.is_decided(records) {
                break;
            }
            let mut left = subjects.to_vec();
            left.retain(|subject| !is_left_out(records, subject, start));
            for group in turns::groups(case, &left, reference) {
                // A start is repeated whole: turns are compared with those of the same start.
                let is_done = |member: &&Subject| {
                    let trial = (Pass::Turns, group.number, start, &*member.id);
                    records.iter().any(|record| record.trial_key() == trial)
                };
                if group.members.iter().all(is_done) {
                    continue;
                }
                Stop::check()?;
                let files = place_files(case, &mut self.fixtures)?.directory;
                let members = group.members.len() as u32;
                self.progress.say(format!("{key}  {members} subjects in turns, start {start}"));
                let began = Instant::now();
                let mut chance = self.chance(&format!("{key} start {start} {}", group.number));
                let limits = self.options.limits();
                let started =
                    group.start(case, files.as_deref(), &self.executable, limits, &mut chance)?;
                if start == 0 && started.sides.iter().any(turns::Side::is_too_slow) {
                    return Ok(false);
                }
                let took = began.elapsed() / members;
                self.advance(members);
                for side in &started.sides {
                    let subject = side.subject;
                    let mut record = self.record(case, subject, Pass::Turns, start);
                    group.fill(&mut record, &started, side, case);
                    recheck_failure(&mut record, &mut self.fixtures)?;
                    record::complete(&mut record, case, subject);
                    record.took_ns = took.as_nanos() as u64;
                    self.keep(record, records)?;
                }
            }
        }
        Ok(true)
    }

    /// Whether every difference of this case is known as precisely as asked for.
    fn is_decided(&self, records: &[Record]) -> bool {
        let Some(until) = self.options.cells.until() else { return true };
        widest_interval(records).is_some_and(|widest| widest <= until)
    }

    fn chance(&self, purpose: &str) -> SplitMix {
        SplitMix::new(self.circumstances.seed, purpose)
    }

    /// The memory layout of one trial's process.
    fn draw_memory(&self, case: &PlannedCase, purpose: &str) -> Memory {
        let purpose = format!("{} layout {purpose}", case.key());
        Memory::draw(&mut self.chance(&purpose), case.allocator)
    }

    fn advance(&mut self, trials: u32) {
        self.done += u64::from(trials);
        self.progress.advance(trials.into());
    }

    /// The load driver's highest rate in this case, where it matters and is known.
    fn ceiling(&mut self, case: &PlannedCase) -> Option<u64> {
        let load = ceilings::clients(case.load())?;
        self.progress.say(format!("{}  the load driver's own ceiling", case.key()));
        self.ceilings.of(load, &self.executable, self.circumstances.clock, &case.division)
    }

    /// The evidence of the backend of each subject, unless an earlier trial of the case has it.
    fn gather_evidence(
        &mut self,
        case: &PlannedCase,
        subjects: &[&Subject],
        records: &[Record],
    ) -> Result<BTreeMap<String, Gathered>, Stop> {
        let mut evidence = BTreeMap::new();
        for subject in subjects {
            let mut earlier = records.iter().filter(|record| record.subject.id == subject.id);
            if earlier.any(|record| record.evidence.is_some()) {
                continue;
            }
            Stop::check()?;
            self.progress.say(format!("{}  {}: counting system calls", case.key(), subject.id));
            let memory = self.draw_memory(case, &subject.id);
            let (ended, _) = self.trial(case, subject, Attention::Evidence, memory, 0)?;
            evidence.insert(subject.id.clone(), evidence_pass::judge(ended, case, subject));
        }
        Ok(evidence)
    }

    /// Runs one trial. Also returns the warning about its files.
    fn trial(
        &mut self,
        case: &PlannedCase,
        subject: &Subject,
        attention: Attention,
        memory: Memory,
        number: u32,
    ) -> Result<(Ended, Option<String>), Stop> {
        let files = place_files(case, &mut self.fixtures)?;
        let mut plan = case.plan(subject, files.directory.as_deref());
        plan.written = files.written;
        // Random arrivals differ between the trials of a subject, and are the same for all subjects.
        plan.seed = plan.seed.wrapping_add(number.into());
        let limits = self.options.limits();
        let mut order = case.trial(&self.executable, subject, &plan, attention, memory, limits);
        if attention == Attention::Evidence {
            (order.warmup, order.measure) = evidence_pass::times(case);
        }
        Ok((trial::run(&order), files.warning))
    }

    fn record(&self, case: &PlannedCase, subject: &Subject, pass: Pass, trial: u32) -> Record {
        record::new(&self.run_id, self.circumstances.seed, case, subject, pass, trial)
    }

    /// Writes the record. It replaces an earlier one of the same trial.
    fn keep(&mut self, record: Record, records: &mut Vec<Record>) -> Result<(), Stop> {
        self.results.append(&record)?;
        let went_wrong =
            matches!(record.status, Status::Failed | Status::Crashed | Status::TimedOut);
        if self.options.fail_fast && went_wrong {
            let reason = record.reason.as_deref().unwrap_or_default();
            let key = case_key(&record.scenario, &record.case);
            self.fault = Some(format!("{key}  {}: {reason}", record.subject.id));
        }
        records.retain(|known| known.trial_key() != record.trial_key());
        records.push(record);
        if self.fault.is_some() { Err(Stop::Interrupted) } else { Ok(()) }
    }
}

/// Whether a subject has this trial by itself.
pub(super) fn is_done(records: &[Record], subject: &Subject, trial: u32) -> bool {
    records.iter().filter(|record| record.subject.id == subject.id).any(|record| {
        // What is unsupported in one trial is unsupported in all, and a subject without an end in
        // one has no figures any more: another trial would only wait as long again.
        (record.pass == Pass::Alone && record.trial == trial)
            || record.status == Status::Unsupported
            || (record.pass == Pass::Alone && record.status == Status::TimedOut)
    })
}

/// Whether the result of an earlier start keeps a subject from taking further turns.
fn is_left_out(records: &[Record], subject: &Subject, start: u32) -> bool {
    records.iter().filter(|record| record.subject.id == subject.id).any(|record| {
        let is_earlier = record.pass == Pass::Turns && record.trial < start;
        is_earlier && turns::is_final(record.status)
    })
}

/// Makes a failed trial an unmeasured one if the machine caused the failure. Files that something
/// else has changed are written anew for the following trials.
fn recheck_failure(record: &mut Record, store: &mut FixtureStore) -> Result<(), FixtureError> {
    if !matches!(record.status, Status::Failed | Status::Crashed | Status::TimedOut) {
        return Ok(());
    }
    let cause = match store.repair()? {
        Some(damage) => Some(damage.to_string()),
        None => features::loopback_fault(),
    };
    if let Some(cause) = cause {
        let reason = record.reason.take().unwrap_or_default();
        record.status = Status::Unmeasured;
        record.reason = Some(format!("{cause} (seen as: {reason})"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn record(status: &str) -> Record {
        let text = format!(
            r#"{{"schema":1,"run_id":"r","seed":1,"scenario":"s","question":"","workload":"","case":[],"trial":0,"subject":{{"id":"a/b/c","runtime":"a","version":"1","executor":"b","backend":"c","workers":1}},"status":"{status}","reason":"3 wrong answers given","took_ns":1}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[track_caller]
    fn check(store: &mut FixtureStore, status: &str, expected: Status) -> Record {
        let mut record = record(status);
        recheck_failure(&mut record, store).unwrap();
        assert_eq!(record.status, expected);
        record
    }

    #[test]
    fn changed_files_excuse_one_trial_and_are_rewritten() {
        let mut store = FixtureStore::new(std::env::temp_dir());
        check(&mut store, "failed", Status::Failed);

        let path = store.files(2, 1_000, None).unwrap().directory().join("1");
        fs::write(&path, [0; 1_000]).unwrap();
        check(&mut store, "unsupported", Status::Unsupported);
        let reason = check(&mut store, "failed", Status::Unmeasured).reason.unwrap();
        assert!(reason.contains("something else changes the scenario's files"), "{reason}");
        assert!(reason.ends_with("(seen as: 3 wrong answers given)"), "{reason}");

        // In the same place, which the plans of the other trials name.
        assert_eq!(store.files(2, 1_000, None).unwrap().directory().join("1"), path);
        check(&mut store, "failed", Status::Failed);
    }
}
