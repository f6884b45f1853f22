//! Patterns of subjects, in what scenarios expect, that mean nobody: a slip of the pen would
//! otherwise make an expectation that is always met.
//!
//! It only tells; adapters come and go, so a scenario is not wrong by it.

use crate::adapters::subject::{Filter, Subject};
use crate::spec::Scenario;

/// A sentence for each pattern that none of all subjects matches; nothing where there are none
/// at all. One whose adapter could not be asked is taken to match by its runtime's name.
pub fn warnings(shown: &str, scenario: &Scenario, all: &[Subject]) -> Vec<String> {
    scenario
        .expected_subjects()
        .into_iter()
        .filter(|_| !all.is_empty())
        .filter(|pattern| !all.iter().any(|subject| matches(pattern, subject)))
        .map(|pattern| {
            format!(
                "{shown}: `subjects: {pattern}` means no subject, so nothing is expected of \
                 anybody there; `quadrant list subjects` shows what there is"
            )
        })
        .collect()
}

/// Whether a scenario's pattern means a subject.
pub fn matches(pattern: &str, subject: &Subject) -> bool {
    // The scenario was checked when it was loaded, its patterns included.
    Filter::new(&[pattern.to_owned()], &[]).is_ok_and(|filter| filter.selects(subject))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::subject::State;
    use crate::spec;

    #[test]
    fn a_pattern_that_means_nobody_is_told_with_its_scenario() {
        let text = "\
name: x
question: Who is meant?
tasks:
  - { name: waiter, steps: [yield] }
expect:
  - { subjects: known, ops: \"> 0\" }
  - { subjects: knwon, ops: \"> 0\" }
  - { subjects: knwon, errors: 0 }
  - { ops: \"> 0\" }
";
        let scenario = spec::parse("x.yaml", text).unwrap();
        let not_built = Subject {
            id: "known".to_owned(),
            runtime: "known".to_owned(),
            version: String::new(),
            note: None,
            state: State::Broken { reason: "it was not built yet".to_owned() },
        };
        let told = warnings("x.yaml", &scenario, &[not_built]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("x.yaml: `subjects: knwon` means no subject"), "{told:?}");
    }
}
