//! What of its tables a report shows, by the names of their columns.
//!
//! Never draws anything.

/// The names of the columns, the most important first: where not all fit, the last are left out.
pub const BY_IMPORTANCE: [&str; 17] = [
    "rate",
    "best",
    "p99",
    "backend",
    "stalls",
    "threads",
    "in-flight",
    "cpu",
    "workers",
    "besides",
    "p50",
    "others",
    "ping",
    "steps",
    "memory",
    "syscalls",
    "page-faults",
];

/// Where not even the first of these fit, columns are made narrow.
pub(crate) const WANTED: usize = 6;
/// Stands for the ranges among the names of what is left out.
pub(crate) const RANGES: &str = "ranges";

/// What rows can be sorted by: the names of subjects, or a column with one number for each.
pub const SORTABLE: [&str; 13] = [
    "subject",
    "rate",
    "best",
    "p99",
    "stalls",
    "threads",
    "in-flight",
    "cpu",
    "p50",
    "ping",
    "memory",
    "syscalls",
    "page-faults",
];

/// Chosen by the caller.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// In this order; where empty, all that fit the width.
    pub columns: Vec<&'static str>,
    pub sort: Option<&'static str>,
    /// Whether the meaning of the columns stands at the end.
    pub legend: bool,
    /// Whether backends are compared along the axes of every scenario.
    pub crossovers: bool,
    /// The axis whose values are rows, in tables of scenarios that have it.
    pub rows: Option<String>,
}
