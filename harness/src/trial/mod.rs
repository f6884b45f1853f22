//! One trial: one run of one cell, in a process of its own that is watched from outside.

mod adapter_process;
mod cold_reads;
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
mod stalls;
mod supervisor;
mod watch;

pub use adapter_process::describe;
pub use freeze::Freeze;
pub use memory::Memory;
pub use order::{Attention, Limits, LoadShape, Order};
pub use stalls::Sighting;
pub use supervisor::{Ended, Measured, run};
