//! Adapters: finding them, building them, asking them what they are.

pub mod build;
pub mod builds;
pub mod discovery;
pub mod environment;
pub mod filter;
mod manifest;
pub mod subject;
mod up_to_date;
