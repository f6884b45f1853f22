//! Which scenarios, cases and subjects a command is about: the options that commands share.
//!
//! Never runs anything; it finds and loads.

mod scenarios;
mod subjects;
pub mod unmatched;

pub use scenarios::{ScenarioOptions, Selected, load_all, scenario_files};
pub use subjects::{AdapterOptions, SubjectOptions};
