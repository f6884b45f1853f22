//! Which ways there are to perform which step.
//!
//! Never asks whether a runtime can; a cell whose subject cannot is told so when it is planned.

use quadrant_suite::plan::How;

use super::nearest;
use super::quantity::quoted;
use super::values::Complaint;

// The first of each is what is meant when nothing is written.
pub(super) const EXCHANGE: &[How] = &[How::Await, How::Blocking, How::Polling];
pub(super) const SLEEP: &[How] = &[How::Await, How::Blocking, How::Polling, How::Offload];
pub(super) const COMPUTE: &[How] = &[How::Blocking, How::Offload];
pub(super) const READ: &[How] = &[How::Await, How::Blocking, How::Offload];

const ALL: &[How] = &[How::Await, How::Blocking, How::Polling, How::Offload];

/// `step` is the word of the step that is to be done so.
pub(super) fn read(text: &str, step: &str, possible: &[How]) -> Result<How, Complaint> {
    if let Some(how) = possible.iter().find(|how| how.word() == text) {
        return Ok(*how);
    }
    let words: Vec<&str> = possible.iter().map(|how| how.word()).collect();
    if ALL.iter().any(|how| how.word() == text) {
        return Err(Complaint {
            message: format!("`{step}` cannot be done with `how: {text}`"),
            help: Some(format!("possible here: {}", words.join(", "))),
        });
    }
    Err(Complaint {
        message: format!("{} is no way to do `{step}`", quoted(text)),
        help: nearest::advice(text, words),
    })
}
