//! All mistakes of a scenario: one does not hide the next.
//!
//! Never holds the same one twice, although most are found again in every case.

use std::fmt;

use super::error::SpecError;
use super::limits;

#[derive(Debug, Default)]
pub(super) struct Mistakes {
    found: Vec<SpecError>,
    /// Those that were found again included.
    times: usize,
}

impl Mistakes {
    /// Leaves out what only follows from a mistake that is known.
    pub(super) fn add(&mut self, error: SpecError) {
        self.times += 1;
        let is_known = error.is_consequence() || self.found.contains(&error);
        if !is_known && self.found.len() < limits::MISTAKES {
            self.found.push(error);
        }
    }

    /// Adds those of another case. The same mistake may have another message there, which names the
    /// case.
    pub(super) fn add_case(&mut self, case: Self) {
        let known = self.found.len();
        for error in case.found {
            let is_known = self.found[..known].iter().any(|known| known.is_at(&error));
            if !is_known && self.found.len() < limits::MISTAKES {
                self.found.push(error);
            }
        }
        self.times += case.times;
    }

    /// The value, or nothing where there is a mistake instead.
    pub(super) fn keep<T>(&mut self, read: Result<T, SpecError>) -> Option<T> {
        read.map_err(|error| self.add(error)).ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.times == 0
    }

    /// Whether to stop looking for more.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= limits::MISTAKES || self.times >= limits::MISTAKES_AGAIN
    }

    /// In the order of the text.
    pub(super) fn in_text(mut self, path: &str, text: &str) -> SpecErrors {
        self.found.sort_by_key(SpecError::position);
        SpecErrors(self.found.into_iter().map(|error| error.in_text(path, text)).collect())
    }
}

/// Why a scenario cannot be used: at least one mistake.
#[derive(Debug)]
pub struct SpecErrors(Vec<SpecError>);

impl SpecErrors {
    pub fn all(&self) -> &[SpecError] {
        &self.0
    }
}

impl From<SpecError> for SpecErrors {
    fn from(error: SpecError) -> Self {
        Self(vec![error])
    }
}

impl std::error::Error for SpecErrors {}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let apart = if index > 0 { "\n\n" } else { "" };
            write!(f, "{apart}{error}")?;
        }
        if self.0.len() == limits::MISTAKES {
            write!(f, "\n\nthese are {} mistakes; there may be more", limits::MISTAKES)?;
        }
        Ok(())
    }
}
