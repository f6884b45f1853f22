//! `quadrant run`: plans the cells, runs their trials in turn, keeps the records, shows tables.

mod ceilings;
mod cells;
mod conduct;
mod evidence_pass;
mod likeness;
mod noise;
mod options;
mod record;
mod results;
mod run_file;
mod shuffle;
mod steadiness;

pub use cells::{Circumstances, PlannedCase};
pub use conduct::{run, style_of_output};
pub use likeness::differences;
pub use options::{CellOptions, RunOptions};
pub use results::each_record;
pub use run_file::read_run;
