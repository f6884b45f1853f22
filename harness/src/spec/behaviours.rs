//! Behaviours that a scenario demands of its subjects: answers of the behaviour kit.
//!
//! Never asks a subject; it checks that there is such a check, and that it can give this answer.

use quadrant_suite::checks::{self, Kind};

use super::error::{SpecError, error};
use super::fields::Fields;
use super::known::check_name;
use super::mistakes::Mistakes;
use super::yaml::Scalar;
use crate::terminal::nearest::{hint, quoted};

/// One check, and the answer that it has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    pub check: String,
    pub answer: String,
}

/// In the order written.
pub(super) fn read(scenario: &Fields<'_>, mistakes: &mut Mistakes) -> Vec<Demand> {
    let Some(field) = scenario.get("behaviours") else { return Vec::new() };
    let Some(entries) = mistakes.keep(field.node.map()) else { return Vec::new() };
    let mut demands = Vec::new();
    for (name, answer) in entries {
        let demand = answer.text().and_then(|answer| demand(name, answer));
        demands.extend(mistakes.keep(demand));
        if mistakes.is_full() {
            break;
        }
    }
    demands
}

fn demand(name: &Scalar, answer: &Scalar) -> Result<Demand, SpecError> {
    let check = check_name(name)?;
    let known = checks::named(&check);
    let possible = known.map(checks::Check::answers).unwrap_or_default();
    if known.is_some_and(|known| known.kind == Kind::Metric) {
        return Err(error!(name.at, "`{check}` measures a number, which cannot be demanded")
            .help("`quadrant check --list` shows which checks have answers"));
    }
    if !possible.contains(&&*answer.text) {
        let message = format!("`{check}` cannot have the answer {}", quoted(&answer.text));
        return Err(SpecError::new(answer.at, message).help_if(hint(&answer.text, possible)));
    }
    Ok(Demand { check, answer: answer.text.clone() })
}
