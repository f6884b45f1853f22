//! When the connections of one group of clients send, and how much.
//!
//! Never touches a socket.

use std::collections::VecDeque;

use quadrant_reports::random::SplitMix;
use quadrant_suite::clock::Stamp;

use super::order::ClientGroup;
use super::schedule::Schedule;

pub(super) struct Pace<'a> {
    pub(super) group: &'a ClientGroup,
    /// Open loop: connections without a request, the longest idle first.
    pub(super) idle: VecDeque<usize>,
    /// Open loop, once the load has begun.
    pub(super) schedule: Option<Schedule>,
    /// Of all its sizes together.
    weights: u64,
    random: SplitMix,
}

impl<'a> Pace<'a> {
    pub(super) fn new(group: &'a ClientGroup, seed: u64) -> Self {
        let weights = group.sizes.iter().map(|size| u64::from(size.weight)).sum();
        Self { group, idle: VecDeque::new(), schedule: None, weights, random: SplitMix(seed) }
    }

    /// When its next request is due that could be sent.
    pub(super) fn next_due(&self) -> Option<Stamp> {
        let schedule = self.schedule.as_ref().filter(|_| !self.idle.is_empty())?;
        Some(schedule.next_due())
    }

    /// The size of its next request.
    #[inline]
    pub(super) fn bytes(&mut self) -> usize {
        if self.group.sizes.is_empty() { self.group.message_bytes } else { self.draw() }
    }

    fn draw(&mut self) -> usize {
        let mut left = self.random.draw() % self.weights.max(1);
        for size in &self.group.sizes {
            match left.checked_sub(size.weight.into()) {
                Some(rest) => left = rest,
                None => return size.bytes,
            }
        }
        self.group.message_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::order::Size;

    #[test]
    fn sizes_are_drawn_by_their_weights() {
        let sizes = vec![Size { bytes: 64, weight: 9 }, Size { bytes: 16_384, weight: 1 }];
        let group = ClientGroup { message_bytes: 16_384, sizes, ..ClientGroup::default() };
        let mut pace = Pace::new(&group, 5);
        let large = (0..10_000).filter(|_| pace.bytes() == 16_384).count();
        assert!((900..1_100).contains(&large), "{large}");
    }
}
