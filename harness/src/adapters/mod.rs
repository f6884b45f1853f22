//! Adapters: finds them, builds them, and reads their descriptions.
//!
//! Never loads a library.

pub mod build;
pub mod builds;
pub mod description;
pub mod discovery;
pub mod environment;
pub mod filter;
mod manifest;
pub mod options;
pub mod subject;
mod up_to_date;
pub mod version;
mod version_workspace;
