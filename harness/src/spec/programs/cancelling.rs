//! The steps that drop work before its end: `timeout` and `race`.
//!
//! Never lets a step stand in them of which something would remain.

use quadrant_suite::plan::Action;

use super::Programs;
use crate::spec::draft::{Draft, Runner};
use crate::spec::error::{SpecError, error};
use crate::spec::limits::SLEEP;
use crate::spec::step::Step;

impl<'a> Programs<'_, 'a> {
    pub(super) fn cancelling(
        &mut self,
        step: &Step<'a>,
        draft: &mut Draft,
    ) -> Result<(), SpecError> {
        let row = self.row_or_word(step)?;
        let word = step.shape.word;
        let inside = || {
            let mut inside = draft.inside(Runner::Inner(word));
            inside.around.cancelled_by = Some(word);
            inside
        };
        let action = if word == "timeout" {
            let ns = self.values.quantity(&step.fields, "for", SLEEP);
            let steps = step.fields.need("steps")?.node.list()?;
            Action::Timeout { ns, program: self.program(steps, inside(), step.at), row }
        } else {
            let programs = self.branches(step, inside)?;
            if programs.len() == 1 {
                return Err(error!(step.at, "`race` has one branch, which always wins"));
            }
            Action::Race { programs, row }
        };
        draft.push(action, Some(row));
        Ok(())
    }
}
