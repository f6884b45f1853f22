//! `quadrant run`: plans the cells, runs their trials in turn, keeps the records, shows tables.

mod ceilings;
mod cells;
mod conduct;
mod estimate;
pub mod evidence_pass;
mod likeness;
mod load_checks;
mod machine_fault;
mod measure_case;
pub mod noise;
mod options;
mod record;
mod results;
mod run_file;
mod steadiness;
mod turns_pass;
mod workers;

pub use cells::{Circumstances, PlannedCase};
pub use conduct::run;
pub use evidence_pass::Gathered;
pub use likeness::differences;
pub use options::{CellOptions, RunOptions};
pub use record::complaint;
pub use results::each_record;
pub use run_file::{fresh_seed, read_run};
pub use workers::{overridden, warnings as worker_warnings};
