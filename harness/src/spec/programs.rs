//! Step lists become programs: nested lists are laid out flat, values are put in, names become rows.
//!
//! Never lets a step stand where it cannot work; a program that leaves here can be run.

mod cancelling;
mod sharing;

use std::collections::BTreeSet;

use quadrant_reports::number::grouped;
use quadrant_suite::hash::{Function, Hash};
use quadrant_suite::plan::{Action, FileChoice, How, Pool, Program, Query};

use super::axes::CaseValues;
use super::backends::NO_ROW;
use super::case::Backend;
use super::draft::{Draft, Runner};
use super::error::{Place, SpecError, error};
use super::fields::Fields;
use super::limits;
use super::names;
use super::quantity::{COUNT, Limit};
use super::shared::Shared;
use super::step::Step;
use super::yaml::{Node, Value};
use crate::terminal::nearest::{hint, quoted};

/// All programs of one case.
pub(super) struct Programs<'v, 'a> {
    values: &'v mut CaseValues<'a>,
    /// How many files there are to read.
    files: Option<u32>,
    /// What can be queried, and which of it is.
    pub(super) backends: Vec<Backend>,
    pub(super) queried: Vec<bool>,
    pub(super) programs: Vec<Program>,
    pub(super) rows: Vec<String>,
    rows_at: Vec<Place>,
    /// Those of them that are named for the word of their steps.
    word_rows: BTreeSet<usize>,
    /// What the tasks share.
    pub(super) shared: Shared,
    /// Every `hash`, so that its answer can be computed once for all cases.
    pub(super) hashes: Vec<(Hash, Place)>,
    steps_written: usize,
}

impl<'v, 'a> Programs<'v, 'a> {
    pub(super) fn new(
        values: &'v mut CaseValues<'a>,
        files: Option<u32>,
        backends: Vec<Backend>,
    ) -> Self {
        Self {
            values,
            files,
            queried: vec![false; backends.len()],
            backends,
            programs: Vec::new(),
            rows: Vec::new(),
            rows_at: Vec::new(),
            word_rows: BTreeSet::new(),
            shared: Shared::default(),
            hashes: Vec::new(),
            steps_written: 0,
        }
    }

    /// Adds a program with those inside it, and returns its index.
    pub(super) fn add(
        &mut self,
        steps: Result<&'a Node, SpecError>,
        runner: Runner,
        at: Place,
    ) -> usize {
        let steps = steps.and_then(|steps| self.count(steps).and_then(|()| steps.list()));
        match self.values.mistakes.keep(steps) {
            Some(steps) => self.program(steps, Draft::new(runner, 0), at),
            None => 0,
        }
    }

    /// Counts the steps of a list as they are written, those of every alternative included.
    fn count(&mut self, node: &Node) -> Result<(), SpecError> {
        match &node.value {
            Value::List(items) => items.iter().try_for_each(|item| {
                self.steps_written += usize::from(!matches!(item.value, Value::List(_)));
                if self.steps_written > limits::STEPS {
                    let most = grouped(limits::STEPS as u64);
                    return Err(error!(
                        item.at,
                        "there are too many steps; a scenario can have {most}"
                    ));
                }
                self.count(item)
            }),
            Value::Map(entries) => entries.iter().try_for_each(|(_, value)| self.count(value)),
            _ => Ok(()),
        }
    }

    fn program(&mut self, steps: &'a [Node], mut draft: Draft, at: Place) -> usize {
        let index = self.programs.len();
        self.programs.push(Program::new());
        self.list(steps, &mut draft, at);
        self.values.mistakes.keep(draft.check_finished(at));
        self.programs[index] = draft.steps;
        index
    }

    /// A list that must come to at least one step in every case.
    fn list(&mut self, steps: &'a [Node], draft: &mut Draft, at: Place) {
        let before = draft.steps.len();
        self.steps(steps, draft);
        if draft.steps.len() > before {
            return;
        }
        let case = if steps.is_empty() { String::new() } else { self.values.in_case() };
        self.values.mistakes.add(
            error!(at, "there are no steps here{case}")
                .help("a step that does next to nothing is `yield`")
                .consequence_if(draft.is_incomplete),
        );
    }

    fn steps(&mut self, steps: &'a [Node], draft: &mut Draft) {
        if let Some(first) = steps.first().filter(|_| draft.depth > limits::NESTING) {
            draft.is_incomplete = true;
            self.values.mistakes.add(error!(
                first.at,
                "step lists are nested too deeply here; {} lists inside lists are possible",
                limits::NESTING
            ));
            return;
        }
        for step in steps {
            let read = self.step(step, draft);
            draft.is_incomplete |= self.values.mistakes.keep(read).is_none();
            if self.values.mistakes.is_full() {
                break;
            }
        }
    }

    fn step(&mut self, node: &'a Node, draft: &mut Draft) -> Result<(), SpecError> {
        let step = Step::of(node, &mut self.values.mistakes)?;
        let Step { shape, at, fields } = &step;
        let words = shape.how.iter().map(|how| (how.word(), *how));
        let how = self.values.one_of(fields.get("how"), words);
        let how = how.or(shape.how.first().copied()).unwrap_or(How::Await);
        if matches!(shape.word, "recv" | "send" | "echo") {
            draft.check_exchange(shape.word, *at)?;
        }
        draft.check_around(shape.word, *at)?;
        let values = &mut *self.values;
        let action = match shape.word {
            "echo" | "sequence" | "repeat" => return self.compound(&step, how, draft),
            "choose" => {
                let steps = self.chosen(fields)?;
                draft.depth += 1;
                self.steps(steps, draft);
                draft.depth -= 1;
                return Ok(());
            }
            "recv" => Action::Recv { how },
            "send" => Action::Send { how },
            "sleep" => Action::Sleep { ns: values.quantity(fields, "for", limits::SLEEP), how },
            "cpu" => Action::Cpu { ns: values.quantity(fields, "for", limits::CPU), how },
            "hash" => {
                let rounds = values.quantity(fields, "rounds", limits::HASH_ROUNDS);
                let words = [("chain", Function::Chain), ("pbkdf2", Function::Pbkdf2)];
                let function = values.one_of(fields.get("function"), words).unwrap_or_default();
                let hash = Hash { function, rounds };
                self.hashes.push((hash, *at));
                // The answer is put in when a case is taken from the scenario.
                Action::Hash { hash, expected: 0, how }
            }
            "read_file" => Action::ReadFile { file: self.file(&step)?, how },
            "write_file" => {
                let bytes = values.quantity(fields, "size", limits::FILE_SIZE);
                let sync = values.one_of(fields.get("sync"), [("true", true), ("false", false)]);
                Action::WriteFile { bytes, sync: sync.unwrap_or(false), how }
            }
            "query" => Action::Query(self.query(&step, how)?),
            "connect" => {
                let (backend, row) = (self.connected(&step)?, self.row(fields));
                draft.push(Action::Connect { backend, how, row }, None);
                return Ok(());
            }
            "yield" => Action::Yield,
            "spawn" => {
                let count = values.quantity(fields, "count", limits::SPAWNED);
                let steps = fields.need("steps")?.node.list()?;
                let program = self.program(steps, draft.inside(Runner::Spawned), *at);
                draft.spawned = Some(*at);
                Action::Spawn { program, count }
            }
            "join" => {
                if draft.spawned.take().is_none() {
                    return Err(error!(*at, "nothing was spawned that `join` could wait for")
                        .help("`join` follows `spawn` in the same list of steps")
                        .consequence_if(draft.is_incomplete));
                }
                Action::Join { how }
            }
            "gather" => {
                let inside = || draft.inside(Runner::Branch);
                Action::Gather { programs: self.branches(&step, inside)? }
            }
            "timeout" | "race" => return self.cancelling(&step, draft),
            "lock" | "barrier" | "send_to" | "receive_from" => {
                return self.sharing(&step, how, draft);
            }
            "ping_pong" => {
                let rounds = values.quantity(fields, "rounds", limits::PING_PONG_ROUNDS);
                Action::PingPong { rounds }
            }
            word => unreachable!("`{word}` has a shape"),
        };
        let row = self.row(fields);
        draft.push(action, row);
        Ok(())
    }

    /// A step that becomes several, with one row around all of them.
    fn compound(&mut self, step: &Step<'a>, how: How, draft: &mut Draft) -> Result<(), SpecError> {
        let row = self.row(&step.fields);
        draft.open(row);
        match step.shape.word {
            "echo" => {
                draft.push(Action::Recv { how }, None);
                draft.push(Action::Send { how }, None);
            }
            "sequence" => self.inner_list(step, draft)?,
            _ => {
                let times = self.values.quantity(&step.fields, "times", limits::TIMES);
                let head = draft.steps.len();
                draft.push(Action::Repeat { times, length: 0 }, None);
                // What is spawned in one round is joined in it, or tasks would pile up.
                let spawned = draft.spawned.take();
                let repeated = std::mem::replace(&mut draft.repeated, true);
                self.inner_list(step, draft)?;
                self.values.mistakes.keep(draft.check_joined());
                draft.spawned = spawned;
                draft.repeated = repeated;
                let length = draft.steps.len() - head - 1;
                draft.steps[head].action = Action::Repeat { times, length };
            }
        }
        draft.close(row);
        Ok(())
    }

    fn inner_list(&mut self, step: &Step<'a>, draft: &mut Draft) -> Result<(), SpecError> {
        let steps = step.fields.need("steps")?.node.list()?;
        draft.depth += 1;
        self.list(steps, draft, step.at);
        draft.depth -= 1;
        Ok(())
    }

    fn file(&mut self, step: &Step<'a>) -> Result<FileChoice, SpecError> {
        let Some(count) = self.files else {
            return Err(error!(step.at, "there are no files to read")
                .help("add them: `files: { count: 100, size: 4KiB }`"));
        };
        match step.fields.get("file") {
            None => Ok(FileChoice::Next),
            Some(file) => self.values.read(file, |text| file_choice(text, count)),
        }
    }

    /// The backend of a `query` or a `connect`.
    fn backend(&mut self, step: &Step<'a>) -> Result<usize, SpecError> {
        let names: Vec<&str> = self.backends.iter().map(|it| it.name.as_str()).collect();
        let words = names.iter().enumerate().map(|(index, name)| (*name, index));
        let word = step.shape.word;
        let backend = match (step.fields.get("backend"), names.as_slice()) {
            (_, []) => {
                return Err(error!(step.at, "there is no backend for `{word}`")
                    .help("add one: `backends: { latency: 10ms }`")
                    .consequence_if(!self.values.mistakes.is_empty()));
            }
            (None, [_]) => 0,
            (None, [first, ..]) => {
                return Err(error!(step.at, "there are several backends: which one?")
                    .help(format!("write it like `- {word}: {first}`")));
            }
            (named, _) => self.values.one_of(named, words).unwrap_or(0),
        };
        self.queried[backend] = true;
        Ok(backend)
    }

    /// That of a `connect`, which opens a connection beside those of a pool.
    fn connected(&mut self, step: &Step<'a>) -> Result<usize, SpecError> {
        let backend = self.backend(step)?;
        let Backend { name, pool: Some(_), .. } = &self.backends[backend] else {
            return Ok(backend);
        };
        Err(error!(
            step.at,
            "`connect` opens a connection of its own, and the `pool` of `{name}` keeps them{}",
            self.values.in_case()
        )
        .help("connect to a backend without `pool`"))
    }

    fn query(&mut self, step: &Step<'a>, how: How) -> Result<Query, SpecError> {
        let backend = self.backend(step)?;
        let name = self.backends[backend].name.clone();
        let new = self.values.one_of(step.fields.get("new"), [("true", true), ("false", false)]);
        let new = new.unwrap_or(false);
        if let Some(pool) = self.backends[backend].pool {
            if new {
                return Err(error!(
                    step.at,
                    "`new` opens a connection for each query, and the `pool` of `{}` keeps them{}",
                    name,
                    self.values.in_case()
                )
                .help("leave out one of the two"));
            }
            if pool.wait_row == NO_ROW {
                let wait_row = self.add_row(&format!("{name}-wait"), step.at)?;
                self.backends[backend].pool = Some(Pool { wait_row, ..pool });
            }
        }
        Ok(Query { backend, how, new })
    }

    fn branches(
        &mut self,
        step: &Step<'a>,
        inside: impl Fn() -> Draft,
    ) -> Result<Vec<usize>, SpecError> {
        let branches = step.fields.need("branches")?.node.list()?;
        if branches.is_empty() {
            return Err(error!(step.at, "`{}` has no branches", step.shape.word));
        }
        let mut programs = Vec::new();
        for branch in branches {
            let steps = match &branch.value {
                Value::List(steps) => steps,
                _ => std::slice::from_ref(branch),
            };
            programs.push(self.program(steps, inside(), step.at));
        }
        Ok(programs)
    }

    /// The steps that stand there in this case; the alternatives are exactly the axis's values.
    fn chosen(&mut self, choose: &Fields<'a>) -> Result<&'a [Node], SpecError> {
        let by = choose.need("by")?.node.text()?;
        let Some(name) = by.axis() else {
            let message = format!("`by` names an axis with `$`, and {} is none", quoted(&by.text));
            let known = self.values.find("", &by.text, by.at).is_ok();
            return Err(SpecError::new(by.at, message)
                .help_if(known.then(|| format!("did you mean `${}`?", by.text))));
        };
        let axis = self.values.find("$", name, by.at)?;
        self.values.used[axis] = true;
        let alternatives = || choose.entries.iter().filter(|(key, _)| key.text != "by");
        alternatives().try_for_each(|(key, _)| self.values.check_value(axis, key))?;
        for value in &self.values.axis(axis).values {
            if !alternatives().any(|(key, _)| key.text == *value) {
                return Err(error!(
                    by.at,
                    "the value `{value}` of the axis `{name}` has no steps here"
                )
                .help(format!("add `{value}: [ … ]`; it may be empty: `{value}: []`")));
            }
        }
        let value = self.values.value(axis);
        let chosen = alternatives().find(|(key, _)| key.text == value);
        chosen.expect("every value has an alternative").1.list()
    }

    /// The row that a step's name gives it.
    fn row(&mut self, fields: &Fields<'a>) -> Option<usize> {
        let row = self.new_row(fields.get("as")?.node);
        self.values.mistakes.keep(row)
    }

    /// The row of a step that always has one: without a name it is named for the step's word, and
    /// all such steps share it.
    fn row_or_word(&mut self, step: &Step<'a>) -> Result<usize, SpecError> {
        if let Some(name) = step.fields.get("as") {
            return self.new_row(name.node);
        }
        let word = step.shape.word;
        match self.rows.iter().position(|row| row == word) {
            Some(row) if self.word_rows.contains(&row) => Ok(row),
            _ => {
                let row = self.add_row(word, step.at)?;
                self.word_rows.insert(row);
                Ok(row)
            }
        }
    }

    fn new_row(&mut self, name: &Node) -> Result<usize, SpecError> {
        let name = name.text()?;
        names::check(name)?;
        self.add_row(&name.text, name.at)
    }

    fn add_row(&mut self, name: &str, at: Place) -> Result<usize, SpecError> {
        if let Some(first) = self.rows.iter().position(|row| row == name) {
            let line = self.rows_at[first].line;
            return Err(error!(
                at,
                "a step in line {line} is named `{name}` already; every name has one row"
            ));
        }
        if self.rows.len() == limits::ROWS {
            let most = limits::ROWS;
            return Err(error!(at, "there are too many named steps; a scenario can have {most}"));
        }
        self.rows.push(name.to_owned());
        self.rows_at.push(at);
        Ok(self.rows.len() - 1)
    }
}

fn file_choice(text: &str, count: u32) -> Result<FileChoice, SpecError> {
    match text {
        "next" => return Ok(FileChoice::Next),
        "random" => return Ok(FileChoice::Random),
        _ => {}
    }
    let most = count - 1;
    if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        let index = Limit { kind: &COUNT, least: 0, most: most.into() }.read(text)?;
        return Ok(FileChoice::Index(index as u32));
    }
    let message = format!(
        "{} is no file; write `next`, `random` or a file's number, from 0 to {most}",
        quoted(text)
    );
    Err(SpecError::from(message).help_if(hint(text, ["next", "random"])))
}
