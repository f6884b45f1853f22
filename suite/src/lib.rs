//! The contract between Quadrant and a runtime, and the workloads that run on it.

pub mod board;
pub mod clock;
pub mod control;
pub mod description;
pub mod hash;
pub mod histogram;
pub mod outcome;
pub mod pattern;
pub mod plan;
