//! The steps by which tasks wait for each other: `lock`, `barrier`, `send_to`, `receive_from`.
//!
//! Never decides what they share, only where they stand.

use quadrant_suite::plan::{Action, How};

use super::Programs;
use crate::spec::draft::{Draft, Runner};
use crate::spec::error::{SpecError, error};
use crate::spec::limits::CHANNEL_CAPACITY;
use crate::spec::names::check as check_name;
use crate::spec::step::Step;

impl<'a> Programs<'_, 'a> {
    pub(super) fn sharing(
        &mut self,
        step: &Step<'a>,
        how: How,
        draft: &mut Draft,
    ) -> Result<(), SpecError> {
        let row = self.row_or_word(step)?;
        match step.shape.word {
            "lock" => {
                let action = self.lock(step, how, draft, row)?;
                draft.push(action, None);
            }
            "barrier" => {
                let barrier = self.shared.barrier();
                draft.push(Action::Barrier { barrier, row }, None);
            }
            _ => {
                let action = self.message(step)?;
                draft.push(action, Some(row));
            }
        }
        Ok(())
    }

    fn lock(
        &mut self,
        step: &Step<'a>,
        how: How,
        draft: &Draft,
        row: usize,
    ) -> Result<Action, SpecError> {
        let name = step.fields.need("name")?.node.text()?;
        check_name(name)?;
        let lock = self.shared.lock(&name.text);
        if draft.around.locks.contains(&lock) {
            return Err(error!(
                name.at,
                "the lock `{}` is held here already, so the task would wait for itself", name.text
            ));
        }
        let mut inside = draft.inside(Runner::Inner("lock"));
        inside.around.locks.push(lock);
        let steps = step.fields.need("steps")?.node.list()?;
        Ok(Action::Lock { lock, program: self.program(steps, inside, step.at), row, how })
    }

    fn message(&mut self, step: &Step<'a>) -> Result<Action, SpecError> {
        let name = step.fields.need("channel")?.node.text()?;
        check_name(name)?;
        if step.shape.word == "receive_from" {
            let (channel, first) = self.shared.consumer(name);
            return Ok(Action::ReceiveFrom { channel, first });
        }
        let capacity = step.fields.get("capacity").map(|field| {
            let at = field.node.at;
            (self.values.quantity(&step.fields, "capacity", CHANNEL_CAPACITY), at)
        });
        let (channel, first) = self.shared.producer(name, capacity)?;
        Ok(Action::SendTo { channel, first })
    }
}
