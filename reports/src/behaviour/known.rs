//! Failures that were declared beforehand, so that a test run reports only what is new.
//!
//! Never changes an answer: a known failure is still printed with its reason.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// The declaration that a check fails on some subjects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownFailure {
    /// File and line of the declaration.
    pub place: String,
    /// A sentence, or the address of an issue.
    pub issue: String,
    /// The last day on which it holds, as `2027-01-31`.
    pub expires: Option<String>,
    pub is_expired: bool,
    /// Row and column of each answer that it is about.
    pub cells: BTreeSet<(usize, usize)>,
}

impl KnownFailure {
    /// For the line beneath a failure.
    pub(super) fn text(&self) -> String {
        let Self { place, issue, expires, .. } = self;
        match expires {
            Some(day) if self.is_expired => format!("expired on {day}: {issue} ({place})"),
            Some(day) => format!("known until {day}: {issue} ({place})"),
            None => format!("known: {issue} ({place})"),
        }
    }

    pub(super) fn json(&self) -> Value {
        let Self { place, issue, expires, is_expired, .. } = self;
        json!({"issue": issue, "expires": expires, "expired": is_expired, "place": place})
    }
}

/// The declaration that counts: one that still holds, else an expired one.
pub(super) fn of_cell(known: &[KnownFailure], cell: (usize, usize)) -> Option<&KnownFailure> {
    known.iter().filter(|it| it.cells.contains(&cell)).min_by_key(|it| it.is_expired)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{findings, known};
    use super::super::{Findings, Found};

    fn passing(findings: &Findings) -> usize {
        findings.each().filter(Found::passes_now).count()
    }

    #[test]
    fn an_expired_declaration_excuses_nothing() {
        let mut findings = findings();
        assert_eq!(findings.failures().count(), 2);
        findings.known = vec![known("#1", false, &[(0, 0), (0, 1)])];
        assert_eq!(findings.failures().count(), 1);
        assert_eq!(passing(&findings), 1);
        findings.known = vec![known("#1", true, &[(0, 1)])];
        assert_eq!(findings.failures().count(), 2);
        // Another one may still hold.
        findings.known.push(known("#2", false, &[(0, 1)]));
        assert_eq!(findings.failures().count(), 1);
        assert_eq!(passing(&findings), 0);
    }

    #[test]
    fn an_unsupported_check_does_not_pass_now() {
        let mut findings = findings();
        findings.known = vec![known("#1", false, &[(1, 1)])];
        assert_eq!(passing(&findings), 0);
    }
}
