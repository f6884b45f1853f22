//! How accurately a machine measures: known truths beside what the instruments recorded, judged.
//!
//! Pure: truths and logs come in, rows with a verdict go out. No row is reached without a figure;
//! one without a figure has a reason.

pub mod alarms;
pub mod cases;
pub mod comparisons;
pub mod freeze;
pub mod injections;
pub mod outcome;
pub mod report;
pub mod row;
