//! Records in, understanding out.
//!
//! This crate is pure: it never measures, never spawns and never asks the system for anything.

pub mod by_case;
mod case_table;
mod columns;
pub mod comparison;
mod crossover;
mod csv;
pub mod driver_limit;
pub mod duel;
pub mod effect;
pub mod evidence;
pub mod expectation;
mod figures;
pub mod interval;
mod legend;
pub mod markdown;
pub mod noise;
pub mod number;
pub mod paint;
pub mod prose;
mod random;
pub mod ranking;
pub mod read;
pub mod record;
mod remarks;
pub mod report;
pub mod selftest;
mod series;
mod speeds;
pub mod statistics;
mod summary;
pub mod table;
pub mod tally;
pub mod terminal;
pub mod turns;

#[cfg(test)]
mod sample;
