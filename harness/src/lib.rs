//! The rooms of the `quadrant` command. Nothing here knows a runtime by name.
//!
//! Data travels one way: a scenario (`spec`) is selected (`selection`), planned and run
//! (`run`), each trial in a process of its own (`trial`) that loads one adapter (`adapters`),
//! while `driver` loads it and `observe` looks on. Everything asked of the system is in
//! `machine`. How truly all of that measures, `selftest` tells.

pub mod adapters;
pub mod board_memory;
pub mod chance;
pub mod color;
pub mod command_line;
pub mod compare;
pub mod counted;
pub mod doctor;
pub mod driver;
pub mod duel;
pub mod failure;
pub mod fingerprint;
pub mod fixtures;
pub mod house;
pub mod interrupt;
pub mod lint;
pub mod list;
pub mod machine;
pub mod observe;
pub mod pacer;
pub mod percent;
pub mod progress;
pub mod report;
pub mod run;
pub mod selection;
pub mod selftest;
pub mod spec;
mod standard_error;
pub mod standard_output;
pub mod trial;
pub mod unmatched;
