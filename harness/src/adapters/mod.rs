//! Adapters: finding them, building them, asking them what they are.

pub mod build;
pub mod found;
pub mod library;
pub mod subject;
