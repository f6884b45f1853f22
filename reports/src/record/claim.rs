//! What a scenario says of its cases together: ratios between cases, and the sentence that is true if
//! all of them hold, and all that is expected of figures.
//!
//! Never judges: a record carries it, so that a report needs no scenario.

use serde::{Deserialize, Serialize};

use crate::record::AxisValue;
use crate::record::expectation::Expectation;

/// The parts of a subject's name, as a ratio names them beside axes.
pub const PARTS: [&str; 3] = ["runtime", "executor", "backend"];

/// The figures of an expectation that turns measure.
pub const FIGURES_IN_TURNS: [&str; 2] = ["ops_per_sec", "cpu_ns_per_op"];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Without one, every ratio is an expectation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratios: Vec<Ratio>,
}

/// A figure of some cases by that of others, which differ from them by these values only. Beside axes
/// these may be parts of the subject's name; no axis named then has the name of a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    pub of: Vec<AxisValue>,
    /// Empty if `of` names one subject, which is compared with each other one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<AxisValue>,
    /// The figure, and what its ratio has to be: `latency.mean <= 0.5`.
    pub is: String,
}

impl Claim {
    /// Whether turns can decide all of its ratios.
    pub fn suits_turns(&self) -> bool {
        !self.ratios.is_empty() && self.ratios.iter().all(Ratio::suits_turns)
    }
}

impl Ratio {
    /// Whether it names parts of subjects, not axes alone.
    pub fn is_of_subjects(&self) -> bool {
        self.of.iter().any(|value| PARTS.contains(&value.axis.as_str()))
    }

    /// Whether it compares subjects of one case, by a figure that turns measure.
    pub fn suits_turns(&self) -> bool {
        let figure = self.expectation().map(|it| it.metric);
        let is_in_turns = figure.is_some_and(|it| FIGURES_IN_TURNS.contains(&it.as_str()));
        is_in_turns && self.of.iter().all(|value| PARTS.contains(&value.axis.as_str()))
    }

    /// `None` for a text that no scenario gives.
    pub fn expectation(&self) -> Option<Expectation> {
        Expectation::parse(&self.is)
    }
}
