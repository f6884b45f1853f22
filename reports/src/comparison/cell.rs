//! One cell of two runs: what changed in it, and the verdict about it.
//!
//! Never judges figures: that takes all cells of a case.

use serde::Serialize;

use super::change::{Change, Verdict};
use super::metric::{Options, better};
use super::side::{CellKey, SideCell, State};
use crate::record::Status;

/// One cell of either run.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedCell {
    pub key: CellKey,
    pub(super) operation: String,
    pub base: Option<State>,
    pub new: Option<State>,
    /// Metrics that both runs have, by name.
    pub changes: Vec<(String, Change)>,
    /// `None` when there is nothing to compare: on one side only, or without figures on both.
    pub verdict: Option<Verdict>,
    /// Name of the metric that the verdict stands on.
    pub decided_by: Option<String>,
    /// Why a change that is there is no verdict.
    pub doubt: Option<Doubt>,
    /// Whether the others were related to it.
    pub(super) is_reference: bool,
    /// Trials that carry warnings, in the base and in the new run.
    pub(super) warned: (u64, u64),
}

/// Why a change that is there is no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// It may be the noise that was warned of.
    Noise,
    /// It is the reference: it may be the machine that changed.
    Reference,
    /// The other subjects of the case changed alike: it may be the reference that did.
    Others,
}

impl ComparedCell {
    /// Without a verdict yet, unless the status is one.
    pub(super) fn of(
        key: &CellKey,
        base: Option<&SideCell>,
        new: Option<&SideCell>,
        options: &Options,
    ) -> Self {
        let sides = || [base, new].into_iter().flatten();
        let [base_state, new_state] = [base, new].map(|side| side.map(SideCell::state));
        let is_measured = |state: &Option<State>| *state == Some(State::Measured);
        let are_measured = is_measured(&base_state) && is_measured(&new_state);
        let operations = sides().map(|side| &side.operation);
        Self {
            key: key.clone(),
            operation: operations
                .into_iter()
                .find(|name| !name.is_empty())
                .cloned()
                .unwrap_or_default(),
            changes: base
                .zip(new)
                .filter(|_| are_measured)
                .map_or_else(Vec::new, |(base, new)| changes(base, new, options)),
            verdict: base_state.as_ref().zip(new_state.as_ref()).and_then(by_status),
            base: base_state,
            new: new_state,
            decided_by: None,
            doubt: None,
            is_reference: sides().any(|side| side.is_reference),
            warned: [base, new].map(|side| side.map_or(0, |side| side.warned)).into(),
        }
    }

    pub fn change(&self, metric: &str) -> Option<&Change> {
        self.changes.iter().find(|(name, _)| name == metric).map(|(_, change)| change)
    }

    /// The change that the verdict stands on.
    pub fn deciding(&self) -> Option<&Change> {
        self.change(self.decided_by.as_deref()?)
    }

    /// `ok` or what is wrong, in the words of the record.
    pub(super) fn told(state: Option<&State>) -> &str {
        match state {
            None => "not run",
            Some(State::Measured) => "ok",
            Some(State::Told { text, .. }) => text,
        }
    }
}

fn changes(base: &SideCell, new: &SideCell, options: &Options) -> Vec<(String, Change)> {
    let is_one_reference =
        base.reference.is_some() && base.reference == new.reference && !base.is_reference;
    let change = |name: String| {
        let (base, new) = (base.values.get(&name)?, new.values.get(&name)?);
        let change = Change::new(base, new, better(&name)?, is_one_reference)?;
        Some((name, change))
    };
    options.metrics().into_iter().filter_map(change).collect()
}

fn by_status(states: (&State, &State)) -> Option<Verdict> {
    // Nothing is known of what was left unmeasured, so it is no change for the worse or better.
    let towards = |status: Status, verdict| match status {
        Status::Unmeasured => Verdict::CannotTell,
        _ => verdict,
    };
    match states {
        // Though one may not have a figure that decides.
        (State::Measured, State::Measured) => Some(Verdict::CannotTell),
        (State::Measured, State::Told { status, .. }) => Some(towards(*status, Verdict::Regressed)),
        (State::Told { status, .. }, State::Measured) => Some(towards(*status, Verdict::Improved)),
        (State::Told { .. }, State::Told { .. }) => None,
    }
}
