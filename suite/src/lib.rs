//! The contract between Quadrant and a runtime, and the workloads that run on it.
//!
//! An adapter implements [`runtime::Runtime`] (or, for something that is no runtime, only
//! [`runtime::Adapter`]) and ends with [`export!`]. The engine below is compiled into each
//! adapter, so a plan runs natively: nothing crosses the C boundary while it is measured.
//!
//! This crate never depends on a runtime, on YAML, on the layout of files or on a terminal.

// Without this feature no adapter calls a check.
#![cfg_attr(not(feature = "checks"), allow(dead_code, unused_imports))]

pub mod block_on;
pub mod board;
pub mod boundary;
mod check_part;
pub mod checks;
pub mod clock;
pub mod control;
pub mod description;
mod file_attempts;
pub mod file_check;
mod file_path;
pub mod hash;
pub mod histogram;
mod in_flight;
mod injection;
mod injection_log;
mod ledger;
mod links;
pub mod outcome;
mod panics;
pub mod pattern;
pub mod peak;
mod ping_pong;
pub mod plain_calls;
pub mod plan;
mod player;
pub mod poll_wrapper;
pub mod query;
mod root;
pub mod runtime;
pub mod scene;
mod semaphore;
pub mod shared;
mod task;
mod thread_times;
mod written_files;
