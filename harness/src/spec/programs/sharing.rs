//! The steps by which tasks wait for each other: `lock`, `barrier`, `send_to`, `receive_from`.
//!
//! Never lets a channel pass that one side of is missing: the other would wait for ever.

use std::collections::BTreeMap;

use quadrant_reports::number::grouped;
use quadrant_suite::plan::{Action, PlannedChannel};

use super::Programs;
use crate::spec::draft::{Draft, Runner};
use crate::spec::error::{Place, SpecError, error};
use crate::spec::limits;
use crate::spec::names;
use crate::spec::step::Step;
use crate::spec::yaml::Scalar;

/// What the tasks of one case share.
#[derive(Default)]
pub(in crate::spec) struct Shared {
    pub(in crate::spec) locks: Vec<String>,
    /// For each the tasks that wait at it.
    pub(in crate::spec) barriers: Vec<u32>,
    channels: Vec<WrittenChannel>,
    /// Index and number of tasks of the group whose steps are being read.
    group: (usize, u32),
}

struct WrittenChannel {
    name: String,
    /// Of the first step that names it.
    at: Place,
    capacity: Option<(u32, Place)>,
    producers: Side,
    consumers: Side,
}

/// The tasks on one side of a channel: their number, and for each group the first of its own.
#[derive(Default)]
struct Side {
    tasks: u32,
    groups: BTreeMap<usize, u32>,
}

impl Side {
    fn first(&mut self, (group, tasks): (usize, u32)) -> u32 {
        let all = &mut self.tasks;
        *self.groups.entry(group).or_insert_with(|| {
            let first = *all;
            *all = first.saturating_add(tasks);
            first
        })
    }
}

impl Shared {
    /// The steps that follow are those of a further group.
    pub(in crate::spec) fn begin_group(&mut self, tasks: u32) {
        self.group = (self.group.0 + 1, tasks);
    }

    fn lock(&mut self, name: &str) -> usize {
        let known = self.locks.iter().position(|lock| lock == name);
        known.unwrap_or_else(|| {
            self.locks.push(name.to_owned());
            self.locks.len() - 1
        })
    }

    fn channel(&mut self, name: &Scalar) -> usize {
        let known = self.channels.iter().position(|channel| channel.name == name.text);
        known.unwrap_or_else(|| {
            let [producers, consumers] = [Side::default(), Side::default()];
            let (name, at) = (name.text.clone(), name.at);
            self.channels.push(WrittenChannel { name, at, capacity: None, producers, consumers });
            self.channels.len() - 1
        })
    }

    /// The channels of the whole case, and what is wrong with them.
    pub(in crate::spec) fn channels(&self) -> (Vec<PlannedChannel>, Vec<SpecError>) {
        let planned = |channel: &WrittenChannel| PlannedChannel {
            name: channel.name.clone(),
            capacity: channel.capacity.map_or(limits::CHANNEL_CAPACITY_DEFAULT, |(size, _)| size),
            producers: channel.producers.tasks,
            consumers: channel.consumers.tasks,
        };
        let wrong = self.channels.iter().filter_map(|channel| channel.check().err());
        (self.channels.iter().map(planned).collect(), wrong.collect())
    }
}

impl WrittenChannel {
    fn check(&self) -> Result<(), SpecError> {
        let (producers, consumers) = (self.producers.tasks, self.consumers.tasks);
        let (missing, step) = match (producers, consumers) {
            (0, _) => ("sends to", "send_to"),
            (_, 0) => ("receives from", "receive_from"),
            _ => ("", ""),
        };
        if !step.is_empty() {
            let name = &self.name;
            return Err(error!(self.at, "no task {missing} the channel `{name}`")
                .help(format!("add `{step}: {name}` to the steps of a group")));
        }
        let pairs = u64::from(producers) * u64::from(consumers);
        if pairs > limits::CHANNEL_PAIRS {
            return Err(error!(
                self.at,
                "{} producers and {} consumers of the channel `{}` are {} pairs; the order of messages is checked for each pair, and {} are possible",
                grouped(producers.into()),
                grouped(consumers.into()),
                self.name,
                grouped(pairs),
                grouped(limits::CHANNEL_PAIRS)
            ));
        }
        Ok(())
    }
}

impl<'a> Programs<'_, 'a> {
    pub(super) fn sharing(&mut self, step: &Step<'a>, draft: &mut Draft) -> Result<(), SpecError> {
        let row = self.row_or_word(step)?;
        match step.shape.word {
            "lock" => {
                let action = self.lock(step, draft, row)?;
                draft.push(action, None);
            }
            "barrier" => {
                self.shared.barriers.push(self.shared.group.1);
                let barrier = self.shared.barriers.len() - 1;
                draft.push(Action::Barrier { barrier, row }, None);
            }
            _ => {
                let action = self.message(step)?;
                draft.push(action, Some(row));
            }
        }
        Ok(())
    }

    fn lock(&mut self, step: &Step<'a>, draft: &Draft, row: usize) -> Result<Action, SpecError> {
        let name = step.fields.need("name")?.node.text()?;
        names::check(name)?;
        let lock = self.shared.lock(&name.text);
        if draft.around.locks.contains(&lock) {
            return Err(error!(
                name.at,
                "the lock `{}` is held here already, so the task would wait for itself", name.text
            ));
        }
        let mut inside = draft.inside(Runner::Inner("lock"));
        inside.around.locks.push(lock);
        let steps = step.fields.need("steps")?.node.list()?;
        Ok(Action::Lock { lock, program: self.program(steps, inside, step.at), row })
    }

    fn message(&mut self, step: &Step<'a>) -> Result<Action, SpecError> {
        let name = step.fields.need("channel")?.node.text()?;
        names::check(name)?;
        let capacity: Option<u32> =
            self.values.quantity_if(&step.fields, "capacity", limits::CHANNEL_CAPACITY);
        let group = self.shared.group;
        let channel = self.shared.channel(name);
        let written = &mut self.shared.channels[channel];
        if step.shape.word == "receive_from" {
            return Ok(Action::ReceiveFrom { channel, first: written.consumers.first(group) });
        }
        if let (Some(capacity), Some(field)) = (capacity, step.fields.get("capacity")) {
            match written.capacity {
                Some((other, at)) if other != capacity => {
                    return Err(error!(
                        field.node.at,
                        "line {} gives the channel `{}` another capacity, {other}",
                        at.line,
                        name.text
                    ));
                }
                _ => written.capacity = Some((capacity, field.node.at)),
            }
        }
        Ok(Action::SendTo { channel, first: written.producers.first(group) })
    }
}
