//! What the load of a trial had shown when its subject ended before its time.
//!
//! Never ranked or compared: the trial has no result.

use serde::{Deserialize, Serialize};

use super::{GroupMetrics, LoadMetrics};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutShort {
    /// From the opening of the window until the end was noticed.
    pub elapsed_ns: u64,
    /// The requests answered in that time.
    pub requests: GroupMetrics,
    /// Connections lost, the end of the subject included.
    pub errors: u64,
    pub wrong_answers: u64,
    pub load: LoadMetrics,
}
