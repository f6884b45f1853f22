//! `quadrant run`: plans the cells, runs their trials in an interleaved order, writes the records,
//! prints tables.
//!
//! Never computes what is printed: the reports do.

mod all_cases;
mod behaviours;
mod ceilings;
pub mod evidence_pass;
pub mod load_checks;
mod measure_case;
mod nothing_completed;
mod options;
mod planned_case;
mod prepare;
mod record;
mod responder_checks;
mod results;
mod run_file;
mod stop;
mod turns;
mod until_decided;
pub mod warnings;

pub use evidence_pass::Gathered;
pub use measure_case::place_files;
pub use options::{CellOptions, RunOptions};
pub use planned_case::{Circumstances, PlannedCase};
pub use prepare::run;
pub use record::{client_metrics, error as trial_error, load_metrics, request_metrics, unended_of};
pub use results::{find_cases, next_case};
pub use run_file::{fresh_seed, read_run};
pub use stop::Stop;
pub use turns::Sides;
