//! One trial: one run of one cell, in a process of its own that is watched from outside.

pub mod inside;
mod signals;
mod supervisor;
mod talk;

pub use supervisor::{Ended, Limits, LoadShape, Measured, Order, describe, run};
