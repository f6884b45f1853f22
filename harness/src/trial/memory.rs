//! How the memory of a subject's process is laid out and kept.
//!
//! Where stack, heap and buffers lie is fixed when a process starts, and has changed figures by more
//! than most runtimes differ. So it is drawn again for every start, and never changed after it.

use std::process::Command;

use clap::Args;
use quadrant_reports::random::SplitMix;
use quadrant_reports::record::Layout;

use crate::system::allocator::{self, Allocator};

/// A variable that only makes the environment longer.
const PADDING: &str = "QUADRANT_PADDING";
/// Two pages: in all trials so far the effect repeated after one.
const ENVIRONMENT_BYTES_MAX: u64 = 8 << 10;
const FIRST_ALLOCATION_BYTES_MAX: u64 = 128 << 10;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    pub layout: Layout,
    pub allocator: Allocator,
}

/// The same, as arguments of the child process, whose environment is set already.
#[derive(Debug, Args)]
pub struct MemoryArguments {
    #[arg(long, default_value_t = 0)]
    first_allocation: usize,
    #[arg(long, value_enum, default_value_t)]
    allocator: Allocator,
}

impl Memory {
    /// A layout drawn by chance.
    pub fn draw(chance: &mut SplitMix, allocator: Allocator) -> Self {
        let mut below = |limit: u64| (chance.draw() % limit) as u32;
        let layout = Layout {
            environment_bytes: below(ENVIRONMENT_BYTES_MAX),
            first_allocation_bytes: below(FIRST_ALLOCATION_BYTES_MAX),
        };
        Self { layout, allocator }
    }

    pub(super) fn add_to(&self, command: &mut Command) {
        command
            .env(PADDING, "x".repeat(self.layout.environment_bytes as usize))
            .args(["--first-allocation", &self.layout.first_allocation_bytes.to_string()])
            .args(["--allocator", &self.allocator.to_string()]);
    }
}

impl MemoryArguments {
    /// Before anything else is allocated.
    pub(super) fn apply(&self) {
        allocator::apply(self.allocator);
        // Never freed, so that what follows lies elsewhere.
        std::mem::forget(Vec::<u8>::with_capacity(self.first_allocation));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_layouts() {
        let drawn = |seed| {
            let mut chance = SplitMix::new(seed, "layout");
            [0; 3].map(|_| Memory::draw(&mut chance, Allocator::Untrimmed).layout)
        };
        assert_eq!(drawn(1), drawn(1));
        let [first, second, third] = drawn(1);
        assert!(first != second && second != third);
        assert_ne!(drawn(1), drawn(2));
    }
}
