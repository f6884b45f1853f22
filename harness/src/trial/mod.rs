//! One trial: one run of one cell, in a process of its own that is watched from outside.

mod describing;
pub mod inside;
pub mod lockstep;
mod order;
mod pacer;
mod processes;
mod signals;
mod stalls;
mod supervisor;
mod talk;
mod watch;

pub use describing::describe;
pub use order::{Limits, LoadShape, Order};
pub use supervisor::{Ended, Measured, run};
