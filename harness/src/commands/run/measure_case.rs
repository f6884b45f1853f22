//! One case of a run: all subjects in turns, then each by itself.
//!
//! Interleaving is what makes starts and trials comparable: whatever the machine does meanwhile, it
//! does to all of them. Never decides which cases there are.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use quadrant_reports::ranking::widest_interval;
use quadrant_reports::record::{Pass, Record, Status};

use super::cells::PlannedCase;
use super::conduct::Conductor;
use super::evidence_pass::{self, Gathered};
use super::record::{Verdict, record};
use super::turns_pass::{self, Taken};
use super::{ceilings, machine_fault};
use crate::adapters::filter::Filter;
use crate::adapters::subject::{State, Subject};
use crate::commands::failure::Failure;
use crate::system::interrupt;
use crate::trial::{self, Attention, Ended, Memory};
use quadrant_reports::random::SplitMix;

struct FilesInPlace {
    directory: String,
    cold: bool,
}

impl Conductor {
    /// All of one case, into `records`. An interruption or a failure ends it early.
    pub(super) fn run_case(
        &mut self,
        case: &PlannedCase,
        filter: &Filter,
        records: &mut Vec<Record>,
    ) -> Result<(), Failure> {
        records.extend(self.earlier.take(&case.key())?);
        self.done +=
            records.iter().filter(|record| record.status != Status::Unsupported).count() as u64;
        self.progress.advance(records.len() as u64);

        let subjects = Rc::clone(&self.subjects);
        let mut runnable = Vec::new();
        for subject in subjects.iter().filter(|subject| filter.selects(subject)) {
            match self.without_running(case, subject) {
                None => runnable.push(subject),
                Some(verdict) if records.iter().all(|record| record.subject.id != subject.id) => {
                    let record = self.record(case, subject, 0, Duration::ZERO, verdict);
                    self.keep(record, records)?;
                }
                Some(_) => {}
            }
        }
        if runnable.is_empty() {
            return Ok(());
        }
        let files = match case.case.work.files {
            None => None,
            Some(shape) => match self.make_files(shape) {
                Ok(files) => Some(files),
                Err(_) if interrupt::requested() => return Ok(()),
                Err(failure) => return Err(failure),
            },
        };
        let takes_turns = self.run_in_turns(case, &runnable, files.as_ref(), records)?;
        self.run_alone(case, &runnable, files.as_ref(), takes_turns, records)
    }

    /// Every subject by itself, trial by trial, in an order drawn anew for each.
    fn run_alone(
        &mut self,
        case: &PlannedCase,
        subjects: &[&Subject],
        files: Option<&FilesInPlace>,
        takes_turns: bool,
        records: &mut Vec<Record>,
    ) -> Result<(), Failure> {
        let usual = self.options.cells.trial_count(takes_turns);
        // Where there are turns, they are what decides.
        let trials = if takes_turns { usual } else { self.options.cells.at_most(usual) };
        let all_done = subjects
            .iter()
            .all(|subject| (0..trials).all(|trial| is_done(records, subject, Pass::Alone, trial)));
        if all_done {
            return Ok(());
        }
        let evidence = match self.options.evidence {
            true => self.gather(case, subjects, files)?,
            false => BTreeMap::new(),
        };
        let ceiling_per_sec = self.ceiling(case);
        let key = case.key();
        for trial in 0..trials {
            if trial >= usual && self.is_decided(records) {
                break;
            }
            let mut order = subjects.to_vec();
            let purpose = format!("{key} {trial}");
            SplitMix::new(self.circumstances.seed, &purpose).shuffle(&mut order);
            for subject in order {
                if is_done(records, subject, Pass::Alone, trial) {
                    continue;
                }
                if interrupt::requested() {
                    return Ok(());
                }
                self.progress.say(format!("{key}  {}", subject.id));
                let began = Instant::now();
                let memory = self.draw_memory(case, &format!("{} {trial}", subject.id));
                let Some(verdict) =
                    self.run_trial(case, subject, files, ceiling_per_sec, memory)?
                else {
                    return Ok(());
                };
                let mut record = self.record(case, subject, trial, began.elapsed(), verdict);
                record.layout = Some(memory.layout);
                if let Some(gathered) = evidence.get(&subject.id) {
                    record.evidence.clone_from(&gathered.evidence);
                    record.warnings.extend(gathered.warning.clone());
                }
                self.keep(record, records)?;
                self.advance(1);
            }
        }
        Ok(())
    }

    /// All subjects in turns, start by start, if this case can be measured so; whether it can.
    fn run_in_turns(
        &mut self,
        case: &PlannedCase,
        subjects: &[&Subject],
        files: Option<&FilesInPlace>,
        records: &mut Vec<Record>,
    ) -> Result<bool, Failure> {
        let usual = self.options.cells.start_count();
        if usual == 0 || turns_pass::unfit(case).is_some() {
            return Ok(false);
        }
        let references = Rc::clone(&self.references);
        let reference = references.iter().find(|it| self.without_running(case, it).is_none());
        let directory = files.map(|files| files.directory.as_str());
        let key = case.key();
        let mut left = subjects.to_vec();
        for start in 0..self.options.cells.at_most(usual) {
            if start >= usual && self.is_decided(records) {
                break;
            }
            for group in turns_pass::groups(case, &left, reference) {
                // Half a start is none: what is left of it has lost its counterparts.
                let is_done = |member: &&Subject| is_done(records, member, Pass::Turns, start);
                if group.members.iter().all(is_done) {
                    continue;
                }
                if interrupt::requested() {
                    return Ok(true);
                }
                let members = group.members.len() as u32;
                self.progress.say(format!("{key}  {members} subjects in turns, start {start}"));
                let began = Instant::now();
                let purpose = format!("{key} start {start} {}", group.number);
                let mut chance = SplitMix::new(self.circumstances.seed, &purpose);
                let limits = self.options.limits();
                let taken = group.start(case, directory, &self.executable, limits, &mut chance);
                let Some(taken) = taken else { return Ok(true) };
                if start == 0 && taken.iter().any(|taken| taken.is_too_slow) {
                    return Ok(false);
                }
                let took = began.elapsed() / members;
                for Taken { subject, verdict, turns, memory, .. } in taken {
                    let Some(verdict) = self.excused(verdict)? else { return Ok(true) };
                    if turns_pass::is_final(verdict.status) {
                        left.retain(|it| it.id != subject.id);
                    }
                    let mut record = self.record(case, subject, start, took, verdict);
                    record.pass = Pass::Turns;
                    record.turns = Some(turns);
                    record.layout = Some(memory.layout);
                    self.keep(record, records)?;
                }
                self.advance(members);
            }
        }
        Ok(true)
    }

    /// Whether every difference of this case is known as well as was asked for.
    fn is_decided(&self, records: &[Record]) -> bool {
        let Some(until) = self.options.cells.until() else { return true };
        widest_interval(records).is_some_and(|widest| widest <= until)
    }

    /// The layout of one trial's process.
    fn draw_memory(&self, case: &PlannedCase, purpose: &str) -> Memory {
        let purpose = format!("{} layout {purpose}", case.key());
        Memory::draw(&mut SplitMix::new(self.circumstances.seed, &purpose), case.allocator)
    }

    fn advance(&mut self, trials: u32) {
        self.done += u64::from(trials);
        self.progress.advance(trials.into());
    }

    /// What the load driver could carry in this case, if it is known.
    fn ceiling(&mut self, case: &PlannedCase) -> Option<u64> {
        let load = case.load.filter(|load| load.rate_per_sec.is_some())?;
        self.progress.say(format!("{}  the load driver's own ceiling", case.key()));
        self.ceilings.of(load, &self.executable, self.circumstances.clock, &case.division)
    }

    /// What each subject shows of itself in a pass of its own.
    fn gather(
        &mut self,
        case: &PlannedCase,
        subjects: &[&Subject],
        files: Option<&FilesInPlace>,
    ) -> Result<BTreeMap<String, Gathered>, Failure> {
        let mut evidence = BTreeMap::new();
        for subject in subjects {
            if interrupt::requested() {
                break;
            }
            self.progress.say(format!("{}  {}: counting system calls", case.key(), subject.id));
            let memory = self.draw_memory(case, &subject.id);
            let carried = self.carry_out(case, subject, files, Attention::Evidence, memory)?;
            if let Some((ended, _)) = carried {
                evidence.insert(subject.id.clone(), evidence_pass::judge(ended, case, subject));
            }
        }
        Ok(evidence)
    }

    /// What is known of a cell before anything runs.
    pub(super) fn without_running(&self, case: &PlannedCase, subject: &Subject) -> Option<Verdict> {
        if let State::Broken { reason } = &subject.state {
            return Some(Verdict::without_figures(Status::Unmeasured, reason.clone()));
        }
        let reason = subject.unsupported(&case.plan(subject, None))?;
        Some(Verdict::without_figures(Status::Unsupported, reason))
    }

    fn make_files(&mut self, shape: crate::spec::Files) -> Result<FilesInPlace, Failure> {
        self.progress.say("making and verifying the files to read");
        let set = self.fixtures.files(shape.count, shape.bytes).map_err(anyhow::Error::new)?;
        Ok(FilesInPlace { directory: set.directory().display().to_string(), cold: shape.cold })
    }

    /// One trial; nothing when it was interrupted.
    fn run_trial(
        &mut self,
        case: &PlannedCase,
        subject: &Subject,
        files: Option<&FilesInPlace>,
        ceiling_per_sec: Option<u64>,
        memory: Memory,
    ) -> Result<Option<Verdict>, Failure> {
        if let Some(reason) = case.load.and_then(|load| ceilings::refusal(load, ceiling_per_sec)) {
            return Ok(Some(Verdict::without_figures(Status::Unmeasured, reason)));
        }
        let carried = self.carry_out(case, subject, files, Attention::Usual, memory)?;
        let Some((ended, warnings)) = carried else { return Ok(None) };
        let mut verdict = match ended {
            Ended::Measured(measured) => Verdict::of(*measured, case, ceiling_per_sec),
            Ended::Unmeasured { status, reason } => Verdict::without_figures(status, reason),
            Ended::Interrupted => return Ok(None),
        };
        verdict.warnings.extend(warnings);
        self.excused(verdict)
    }

    /// The verdict, unless the machine is to blame for it; nothing when it was interrupted.
    fn excused(&mut self, verdict: Verdict) -> Result<Option<Verdict>, Failure> {
        match machine_fault::excuse(verdict, &mut self.fixtures) {
            Ok(verdict) => Ok(Some(verdict)),
            Err(_) if interrupt::requested() => Ok(None),
            Err(error) => Err(anyhow::Error::new(error).into()),
        }
    }

    /// A subject's process from start to end, and what of its files may spoil what it shows.
    fn carry_out(
        &mut self,
        case: &PlannedCase,
        subject: &Subject,
        files: Option<&FilesInPlace>,
        attention: Attention,
        memory: Memory,
    ) -> Result<Option<(Ended, Vec<String>)>, Failure> {
        let State::Loadable { library, .. } = &subject.state else { return Ok(None) };
        let mut warnings = Vec::new();
        if let (Some(files), Some(shape)) = (files, case.case.work.files)
            && files.cold
        {
            let set = self.fixtures.files(shape.count, shape.bytes).map_err(anyhow::Error::new)?;
            warnings.extend(set.drop_from_cache().map_err(anyhow::Error::new)?.warning());
        }
        let plan = case.plan(subject, files.map(|files| files.directory.as_str()));
        let (warmup, measure) = match attention {
            Attention::Evidence => evidence_pass::times(case),
            Attention::Usual | Attention::None => (case.warmup, case.measure),
        };
        let ended = trial::run(&trial::Order {
            executable: &self.executable,
            library,
            plan: &plan,
            load: case.load,
            cpus: &case.division,
            warmup,
            measure,
            attention,
            freeze: None,
            memory,
            limits: self.options.limits(),
        });
        Ok(Some((ended, warnings)))
    }

    fn record(
        &self,
        case: &PlannedCase,
        subject: &Subject,
        trial: u32,
        took: Duration,
        verdict: Verdict,
    ) -> Record {
        let took_ns = took.as_nanos() as u64;
        record(&self.run_id, self.circumstances.seed, case, subject, trial, took_ns, verdict)
    }

    fn keep(&mut self, record: Record, records: &mut Vec<Record>) -> Result<(), Failure> {
        self.results.append(&record)?;
        records.retain(|known| !known.is_same_trial(&record));
        records.push(record);
        Ok(())
    }
}

fn is_done(records: &[Record], subject: &Subject, pass: Pass, trial: u32) -> bool {
    records.iter().any(|record| {
        (record.subject.id == subject.id && record.pass == pass && record.trial == trial)
            // What it cannot do, it cannot do in any trial.
            || (record.subject.id == subject.id && record.status == Status::Unsupported)
    })
}
