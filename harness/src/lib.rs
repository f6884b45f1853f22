//! The rooms behind the `quadrant` command.

#[cfg(unix)]
pub mod board_memory;
#[cfg(unix)]
pub mod driver;
#[cfg(unix)]
pub mod fixtures;
