//! Step lists become programs: nested lists are laid out flat, values are put in, names become rows.
//!
//! Never lets a step stand where it cannot work; a program that leaves here can be run.

use quadrant_suite::plan::{Action, FileChoice, How, Program};

use super::draft::{Draft, Runner};
use super::error::{Place, Problem};
use super::how;
use super::limits;
use super::names;
use super::quantity::{Limit, quoted};
use super::scalar::Scalar;
use super::step::{Body, Branch, Choose, Exchange, ReadFile, Repeat, Spawn, Step};
use super::values::{Complaint, Values};

/// All programs of one case.
pub(super) struct Flattener<'v, 'a> {
    values: &'v mut Values<'a>,
    files: Option<u32>,
    pub(super) programs: Vec<Program>,
    pub(super) rows: Vec<String>,
    rows_at: Vec<Place>,
    /// Every `hash`, so that its answer can be computed once for all cases.
    pub(super) hashes: Vec<(u64, Place)>,
}

impl<'v, 'a> Flattener<'v, 'a> {
    /// `files`: how many there are to read.
    pub(super) fn new(values: &'v mut Values<'a>, files: Option<u32>) -> Self {
        Self {
            values,
            files,
            programs: Vec::new(),
            rows: Vec::new(),
            rows_at: Vec::new(),
            hashes: Vec::new(),
        }
    }

    /// The index of the new program.
    pub(super) fn program(
        &mut self,
        steps: &'a [Step],
        runner: Runner,
        at: Place,
    ) -> Result<usize, Problem> {
        self.nested_program(steps, runner, at, 0)
    }

    fn nested_program(
        &mut self,
        steps: &'a [Step],
        runner: Runner,
        at: Place,
        depth: usize,
    ) -> Result<usize, Problem> {
        let index = self.programs.len();
        self.programs.push(Program::new());
        let mut draft = Draft::new(runner, depth);
        self.list(steps, &mut draft, at)?;
        draft.check_joined()?;
        if runner == Runner::Connection {
            draft.check_answered(at)?;
        }
        self.programs[index] = draft.steps;
        Ok(index)
    }

    /// A list that must come to at least one step in every case.
    fn list(&mut self, steps: &'a [Step], draft: &mut Draft, at: Place) -> Result<(), Problem> {
        let before = draft.steps.len();
        self.steps(steps, draft)?;
        if draft.steps.len() > before {
            return Ok(());
        }
        let case = if steps.is_empty() { String::new() } else { self.values.in_case() };
        Err(Problem::new(at, format!("there are no steps here{case}"))
            .help("a step that does next to nothing is `yield`".to_owned()))
    }

    fn steps(&mut self, steps: &'a [Step], draft: &mut Draft) -> Result<(), Problem> {
        if draft.depth > limits::NESTING {
            let at = steps.first().map_or_else(Place::default, |step| step.at);
            return Err(Problem::new(
                at,
                format!(
                    "step lists are nested too deeply here; {} lists inside lists are possible",
                    limits::NESTING
                ),
            ));
        }
        for step in steps {
            self.step(step, draft)?;
        }
        Ok(())
    }

    fn step(&mut self, step: &'a Step, draft: &mut Draft) -> Result<(), Problem> {
        let at = step.at;
        match &step.body {
            Body::Recv(it) => self.exchange(it, draft, at, true, false),
            Body::Send(it) => self.exchange(it, draft, at, false, true),
            Body::Echo(it) => self.exchange(it, draft, at, true, true),
            Body::Sleep(it) => {
                let ns = self.values.quantity(&it.r#for, "the `for` of `sleep`", limits::SLEEP)?;
                let how = self.how(it.how.as_ref(), "sleep", how::SLEEP)?;
                self.leaf(draft, Action::Sleep { ns, how }, &it.r#as)
            }
            Body::Cpu(it) => {
                let ns = self.values.quantity(&it.r#for, "the `for` of `cpu`", limits::CPU)?;
                let how = self.how(it.how.as_ref(), "cpu", how::COMPUTE)?;
                self.leaf(draft, Action::Cpu { ns, how }, &it.r#as)
            }
            Body::Hash(it) => {
                let usage = "the `rounds` of `hash`";
                let rounds = self.values.quantity(&it.rounds, usage, limits::HASH_ROUNDS)?;
                let how = self.how(it.how.as_ref(), "hash", how::COMPUTE)?;
                self.hashes.push((rounds, at));
                // The answer is put in when a case is taken from the scenario.
                let expected = 0;
                self.leaf(draft, Action::Hash { rounds, expected, how }, &it.r#as)
            }
            Body::ReadFile(it) => self.read_file(it, draft, at),
            Body::Yield(it) => self.leaf(draft, Action::Yield, &it.r#as),
            Body::Spawn(it) => self.spawn(it, draft, at),
            Body::Join(it) => {
                if draft.spawned.take().is_none() {
                    return Err(Problem::new(at, "nothing was spawned that `join` could wait for")
                        .help("`join` follows `spawn` in the same list of steps".to_owned()));
                }
                self.leaf(draft, Action::Join, &it.r#as)
            }
            Body::Gather(it) => {
                let programs = self.branches(&it.branches, draft, at)?;
                self.leaf(draft, Action::Gather { programs }, &it.r#as)
            }
            Body::Sequence(it) => {
                let row = self.open(draft, &it.r#as)?;
                self.deeper(draft, |flattener, draft| flattener.list(&it.steps, draft, at))?;
                draft.close(row);
                Ok(())
            }
            Body::Repeat(it) => self.repeat(it, draft, at),
            Body::PingPong(it) => {
                let usage = "the `rounds` of `ping_pong`";
                let limit = limits::PING_PONG_ROUNDS;
                let rounds = self.values.quantity_u32(&it.rounds, usage, limit)?;
                self.leaf(draft, Action::PingPong { rounds }, &it.r#as)
            }
            Body::Choose(it) => {
                let steps = self.chosen(it)?;
                self.deeper(draft, |flattener, draft| flattener.steps(steps, draft))
            }
        }
    }

    fn exchange(
        &mut self,
        exchange: &Exchange,
        draft: &mut Draft,
        at: Place,
        receives: bool,
        sends: bool,
    ) -> Result<(), Problem> {
        let word = match (receives, sends) {
            (true, true) => "echo",
            (true, false) => "recv",
            _ => "send",
        };
        let how = self.how(exchange.how.as_ref(), word, how::EXCHANGE)?;
        draft.check_exchange(word, at, receives, sends)?;
        match (receives, sends) {
            (true, true) => {
                let row = self.open(draft, &exchange.r#as)?;
                draft.push(Action::Recv { how }, None);
                draft.push(Action::Send { how }, None);
                draft.close(row);
                Ok(())
            }
            (true, false) => self.leaf(draft, Action::Recv { how }, &exchange.r#as),
            _ => self.leaf(draft, Action::Send { how }, &exchange.r#as),
        }
    }

    fn read_file(&mut self, it: &ReadFile, draft: &mut Draft, at: Place) -> Result<(), Problem> {
        let Some(count) = self.files else {
            return Err(Problem::new(at, "there are no files to read")
                .help("add them: `files: { count: 100, size: 4KiB }`".to_owned()));
        };
        let file = match &it.file {
            None => FileChoice::Next,
            Some(file) => self
                .values
                .read(file, "the `file` of `read_file`", |text| file_choice(text, count))?,
        };
        let how = self.how(it.how.as_ref(), "read_file", how::READ)?;
        self.leaf(draft, Action::ReadFile { file, how }, &it.r#as)
    }

    fn spawn(&mut self, it: &'a Spawn, draft: &mut Draft, at: Place) -> Result<(), Problem> {
        let count =
            self.values.quantity_u32(&it.count, "the `count` of `spawn`", limits::SPAWNED)?;
        let program = self.nested_program(&it.steps, Runner::Spawned, at, draft.depth + 1)?;
        draft.spawned = Some(at);
        self.leaf(draft, Action::Spawn { program, count }, &it.r#as)
    }

    fn branches(
        &mut self,
        branches: &'a [Branch],
        draft: &Draft,
        at: Place,
    ) -> Result<Vec<usize>, Problem> {
        if branches.is_empty() {
            return Err(Problem::new(at, "`gather` has no branches"));
        }
        branches
            .iter()
            .map(|branch| self.nested_program(&branch.0, Runner::Branch, at, draft.depth + 1))
            .collect()
    }

    fn repeat(&mut self, it: &'a Repeat, draft: &mut Draft, at: Place) -> Result<(), Problem> {
        let times = self.values.quantity(&it.times, "the `times` of `repeat`", limits::TIMES)?;
        let row = self.open(draft, &it.r#as)?;
        let head = draft.steps.len();
        draft.push(Action::Repeat { times, length: 0 }, None);
        // What is spawned in one round is joined in it, or tasks would pile up.
        let spawned = draft.spawned.take();
        let repeated = std::mem::replace(&mut draft.repeated, true);
        self.deeper(draft, |flattener, draft| flattener.list(&it.steps, draft, at))?;
        draft.check_joined()?;
        draft.spawned = spawned;
        draft.repeated = repeated;
        let length = draft.steps.len() - head - 1;
        draft.steps[head].action = Action::Repeat { times, length };
        draft.close(row);
        Ok(())
    }

    /// The steps that stand there in this case; the alternatives are exactly the axis's values.
    fn chosen(&mut self, it: &'a Choose) -> Result<&'a [Step], Problem> {
        let Some(name) = it.by.axis() else {
            return Err(Problem::new(
                it.by.at,
                format!("`by` names an axis with `$`, and {} is none", quoted(&it.by.text)),
            )
            .help(
                self.values
                    .axes()
                    .find(&it.by.text)
                    .map(|_| format!("did you mean `${}`?", it.by.text)),
            ));
        };
        let axis = self.values.axis(name, it.by.at)?;
        let values = &self.values.axes().all()[axis].values;
        for (key, _) in &it.alternatives {
            if !values.contains(&key.text) {
                return Err(Problem::new(
                    key.at,
                    format!("{} is no value of the axis `{name}`", quoted(&key.text)),
                )
                .help(super::nearest::advice(&key.text, values.iter().map(String::as_str))));
            }
        }
        let alternative = |value: &str| it.alternatives.iter().find(|(key, _)| key.text == value);
        if let Some(missing) = values.iter().find(|value| alternative(value).is_none()) {
            return Err(Problem::new(
                it.by.at,
                format!("the value `{missing}` of the axis `{name}` has no steps here"),
            )
            .help(format!("add `{missing}: [ … ]`; it may be empty: `{missing}: []`")));
        }
        let chosen = alternative(self.values.value(axis)).expect("every value has an alternative");
        Ok(&chosen.1)
    }

    fn how(&mut self, how: Option<&Scalar>, word: &str, possible: &[How]) -> Result<How, Problem> {
        let Some(how) = how else {
            return Ok(possible[0]);
        };
        let usage = format!("the `how` of `{word}`");
        self.values.read(how, &usage, |text| how::read(text, word, possible))
    }

    fn leaf(
        &mut self,
        draft: &mut Draft,
        action: Action,
        name: &Option<Scalar>,
    ) -> Result<(), Problem> {
        let row = self.row(name)?;
        draft.push(action, row);
        Ok(())
    }

    fn open(&mut self, draft: &mut Draft, name: &Option<Scalar>) -> Result<Option<usize>, Problem> {
        let row = self.row(name)?;
        if let Some(row) = row {
            draft.push(Action::Open { row }, None);
        }
        Ok(row)
    }

    fn row(&mut self, name: &Option<Scalar>) -> Result<Option<usize>, Problem> {
        let Some(name) = name else {
            return Ok(None);
        };
        names::check(name)?;
        if let Some(first) = self.rows.iter().position(|row| *row == name.text) {
            return Err(Problem::new(
                name.at,
                format!(
                    "a step in line {} is named `{}` already; every name has one row",
                    self.rows_at[first].line, name.text
                ),
            ));
        }
        self.rows.push(name.text.clone());
        self.rows_at.push(name.at);
        Ok(Some(self.rows.len() - 1))
    }

    fn deeper(
        &mut self,
        draft: &mut Draft,
        inner: impl FnOnce(&mut Self, &mut Draft) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        draft.depth += 1;
        inner(self, draft)?;
        draft.depth -= 1;
        Ok(())
    }
}

fn file_choice(text: &str, count: u32) -> Result<FileChoice, Complaint> {
    match text {
        "next" => return Ok(FileChoice::Next),
        "random" => return Ok(FileChoice::Random),
        _ => {}
    }
    if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        let index = Limit::count(0, u64::from(count) - 1).read(text)?;
        return Ok(FileChoice::Index(index as u32));
    }
    let mut complaint = Complaint::from(format!(
        "{} is no file; write `next`, `random` or a file's number, from 0 to {}",
        quoted(text),
        count - 1
    ));
    complaint.help = super::nearest::advice(text, ["next", "random"]);
    Err(complaint)
}
