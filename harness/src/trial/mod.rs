//! One trial: one run of one cell, in a process of its own that is watched from outside.

mod cold_reads;
mod describing;
mod freeze;
mod headway;
pub mod inside;
pub mod library;
pub mod lockstep;
mod memory;
mod moment;
pub mod observe;
mod order;
mod processes;
mod signals;
mod stalls;
mod supervisor;
mod talk;
mod watch;

pub use describing::describe;
pub use freeze::Freeze;
pub use memory::Memory;
pub use order::{Attention, Limits, LoadShape, Order};
pub use stalls::Sighting;
pub use supervisor::{Ended, Measured, run};
