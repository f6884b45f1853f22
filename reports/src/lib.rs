//! Records in, understanding out.
//!
//! This crate is pure: it never measures, never spawns and never asks the system for anything.

pub mod bootstrap;
pub mod expectation;
pub mod number;
pub mod record;
pub mod standing;
pub mod statistics;
