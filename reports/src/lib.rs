//! Records in, understanding out.
//!
//! This crate is pure: it never measures, never spawns and never asks the system for anything.

pub mod bootstrap;
pub mod by_case;
mod case_table;
mod closing;
mod columns;
pub mod comparison;
mod crossover;
mod csv;
pub mod driver_limit;
pub mod duel;
pub mod evidence;
pub mod expectation;
mod figures;
mod legend;
mod markdown;
pub mod number;
pub mod paint;
pub mod prose;
pub mod read;
pub mod record;
mod remarks;
pub mod report;
pub mod selftest;
pub mod standing;
pub mod statistics;
mod summary;
pub mod tally;
mod terminal;
pub mod turns;

#[cfg(test)]
mod sample;
