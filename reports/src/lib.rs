//! From records to tables, comparisons and files.
//!
//! This crate is pure: it never measures, never spawns and never asks the system for anything.

mod axis_table;
pub mod behaviour;
mod case_table;
pub mod claims;
mod columns;
pub mod comparison;
mod crossover;
mod csv;
pub mod duel;
mod effect;
mod expectation_text;
mod figures;
pub mod format;
pub mod interval;
mod legend;
mod markdown;
pub mod number;
mod prose;
mod ramp;
pub mod random;
mod ranged;
pub mod ranking;
pub mod record;
mod remarks;
pub mod report;
mod scale;
pub mod selftest;
mod series;
mod shared_remarks;
mod speeds;
mod statistics;
pub mod style;
mod summary;
pub mod table;
pub mod tally;
pub mod terminal;
pub mod view;
pub mod visible;

#[cfg(test)]
mod tests {
    mod foreign;
    mod mutate;
    pub(crate) mod sample;
}
