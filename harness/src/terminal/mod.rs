//! What the user sees: colours, progress, standard output and standard error.
//!
//! Never decides what is shown.

pub mod color;
pub mod progress;
pub mod standard_error;
pub mod standard_output;
