//! Why measuring ends before all cases are measured.
//!
//! Never carries an error of a single trial: that is in its record.

use crate::commands::failure::Failure;
use crate::fixtures::FixtureError;
use crate::system::interrupt;

pub enum Stop {
    Interrupted,
    Failed(Failure),
}

impl Stop {
    pub fn check() -> Result<(), Self> {
        if interrupt::requested() { Err(Stop::Interrupted) } else { Ok(()) }
    }
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Failed(error.into())
    }
}

impl From<FixtureError> for Stop {
    /// An interruption ends the making of fixtures with various errors.
    fn from(error: FixtureError) -> Self {
        match interrupt::requested() {
            true => Stop::Interrupted,
            false => Stop::Failed(anyhow::Error::new(error).into()),
        }
    }
}
