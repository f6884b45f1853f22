//! What the tasks of one case share, as it is gathered while their steps are read.
//!
//! Never lets a channel pass that one side of is missing: the other would wait for ever.

use std::collections::BTreeMap;

use quadrant_reports::number::grouped;
use quadrant_suite::plan::PlannedChannel;

use super::error::{Place, SpecError, error};
use super::limits;
use super::yaml::Scalar;

/// What the tasks of one case share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) locks: Vec<String>,
    /// For each the tasks that wait at it.
    pub(super) barriers: Vec<u32>,
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
    pub(super) fn begin_group(&mut self, tasks: u32) {
        self.group = (self.group.0 + 1, tasks);
    }

    /// The index of the lock of this name.
    pub(super) fn lock(&mut self, name: &str) -> usize {
        let known = self.locks.iter().position(|lock| lock == name);
        known.unwrap_or_else(|| {
            self.locks.push(name.to_owned());
            self.locks.len() - 1
        })
    }

    /// A barrier for the tasks of the group that is being read.
    pub(super) fn barrier(&mut self) -> usize {
        self.barriers.push(self.group.1);
        self.barriers.len() - 1
    }

    /// The channel, and the first of the group's places among its producers.
    pub(super) fn producer(
        &mut self,
        name: &Scalar,
        capacity: Option<(u32, Place)>,
    ) -> Result<(usize, u32), SpecError> {
        let channel = self.channel(name);
        let written = &mut self.channels[channel];
        match (written.capacity, capacity) {
            (Some((other, before)), Some((capacity, at))) if other != capacity => {
                return Err(error!(
                    at,
                    "line {} gives the channel `{}` another capacity, {other}",
                    before.line,
                    name.text
                ));
            }
            (None, _) => written.capacity = capacity,
            _ => {}
        }
        Ok((channel, written.producers.first(self.group)))
    }

    /// The same among its consumers.
    pub(super) fn consumer(&mut self, name: &Scalar) -> (usize, u32) {
        let channel = self.channel(name);
        (channel, self.channels[channel].consumers.first(self.group))
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
    pub(super) fn channels(&self) -> (Vec<PlannedChannel>, Vec<SpecError>) {
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
