//! One trial: one run of one cell, in a process of its own that is watched from outside.

mod describing;
mod headway;
pub mod inside;
mod moment;
mod pacer;
mod signals;
mod stalls;
mod supervisor;
mod talk;

pub use describing::describe;
pub use supervisor::{Ended, Limits, LoadShape, Measured, Order, run};
