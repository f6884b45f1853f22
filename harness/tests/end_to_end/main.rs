//! The whole command with real adapters, called as people and scripts call it.
//!
//! One program for all of it, so that it is linked once and the adapters are built once. No
//! test here asks how long something took: machines are busy.
#![allow(clippy::unwrap_used)] // all of it is tests

mod command;
mod redact;
mod stage;

mod duel;
mod evidence;
mod exit_codes;
mod faults;
mod files;
mod formats;
mod interruption;
mod libraries;
mod lists;
mod load;
mod machine;
mod order;
mod own_adapter;
mod selftest;
mod strangers;
mod subjects;
mod sudden_death;
mod threads;
mod tour;
mod turns;
mod variants;
mod warm_start;
mod workers;
