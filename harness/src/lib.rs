//! The library behind the `quadrant` command. Nothing here knows a runtime by name.
//!
//! A command (`commands`) reads scenarios (`spec`) and finds subjects (`adapters`). It runs each
//! trial (`trial`) in a process that loads one adapter, with a load driver (`driver`), slow
//! backends (`responder`) and test files (`fixtures`). `system` asks the operating system, `terminal` prints.

pub mod adapters;
pub mod commands;
pub mod driver;
pub mod fixtures;
pub mod responder;
pub mod spec;
pub mod system;
pub mod terminal;
pub mod trial;
