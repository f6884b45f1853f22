//! `quadrant run`: plans the cells, runs their trials in turn, keeps the records, shows tables.

mod cells;
mod conduct;
mod evidence_pass;
mod options;
mod record;
mod results;
mod shuffle;

pub use cells::{Circumstances, PlannedCase};
pub use conduct::run;
pub use options::{CellOptions, RunOptions};
