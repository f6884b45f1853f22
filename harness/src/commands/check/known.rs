//! The failures of `--known`, and the cells that they are about.
//!
//! Never decides what an expected failure means: the report does.

use std::path::PathBuf;

use quadrant_reports::behaviour::KnownFailure;
use quadrant_suite::checks::Check;

use crate::adapters::subject::Subject;
use crate::commands::failure::Failure;
use crate::spec::{self, DeclaredFailure};
use crate::system::date;

/// Those of all files. Reports the mistakes of every file, not only of the first one.
pub fn load(files: &[PathBuf]) -> Result<Vec<DeclaredFailure>, Failure> {
    let (mut all, mut errors) = (Vec::new(), Vec::new());
    for file in files {
        match spec::load_known(file) {
            Ok(declared) => all.extend(declared),
            Err(mistakes) => errors.push(mistakes.to_string()),
        }
    }
    if errors.is_empty() { Ok(all) } else { Err(Failure::usage(errors.join("\n\n"))) }
}

/// The same for the report, which knows neither patterns nor today's date.
pub fn in_cells(
    declared: &[DeclaredFailure],
    wanted: &[(&str, &Check)],
    subjects: &[Subject],
) -> Vec<KnownFailure> {
    let today = date::today();
    let known = |it: &DeclaredFailure| {
        let rows = (0..wanted.len()).filter(|row| wanted[*row].1.id == it.check);
        let columns = || (0..subjects.len()).filter(|column| it.is_about(&subjects[*column]));
        KnownFailure {
            place: it.place.clone(),
            issue: it.issue.clone(),
            expires: it.expires.clone(),
            // Dates in this form are in order as texts.
            is_expired: it.expires.as_ref().is_some_and(|last| *last < today),
            cells: rows.flat_map(|row| columns().map(move |column| (row, column))).collect(),
        }
    };
    declared.iter().map(known).collect()
}
