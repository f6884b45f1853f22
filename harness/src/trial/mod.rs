//! One trial: one run of one cell, in a process of its own that is watched from outside.

mod describing;
mod freeze;
pub mod inside;
mod pacer;
mod signals;
mod stalls;
mod supervisor;
mod talk;

pub use describing::describe;
pub use freeze::Freeze;
pub use pacer::LONGEST_GAP;
pub use stalls::Sighting;
pub use supervisor::{Ended, Limits, LoadShape, Measured, Order, run};
