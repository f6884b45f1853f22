//! Adapters: finding them, building them, asking them what they are.

pub mod build;
pub mod discovery;
pub mod environment;
pub mod filter;
pub mod found;
mod manifest;
pub mod subject;
mod up_to_date;
