//! The rooms of the `quadrant` command. Nothing here knows a runtime by name.

pub mod spec;
