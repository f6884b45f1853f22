//! Patterns of subjects, in scenarios and what they expect and on the command line, that mean nobody:
//! a slip of the pen would otherwise make an expectation that is always met.
//!
//! It only tells; adapters come and go, so a scenario is not wrong by it.

use crate::adapters::discovery::Discovered;
use crate::adapters::filter::Filter;
use crate::adapters::subject::Subject;
use crate::spec::Scenario;

/// Whether a scenario has any pattern.
pub fn names_subjects(scenario: &Scenario) -> bool {
    !scenario.subjects().is_empty() || !scenario.expected_subjects().is_empty()
}

/// A sentence for each pattern that none of all subjects matches; nothing where there are none
/// at all. One whose adapter was not or could not be asked is taken to match by its build.
pub fn warnings(shown: &str, scenario: &Scenario, all: &Discovered) -> Vec<String> {
    if all.subjects.is_empty() {
        return Vec::new();
    }
    let about = scenario.subjects().iter().map(|pattern| (&**pattern, "it is asked of nobody"));
    let expected = scenario.expected_subjects().into_iter();
    let expected = expected.map(|pattern| (pattern, "nothing is expected of anybody there"));
    about
        .chain(expected)
        .filter(|(pattern, _)| !is_known(pattern, all))
        .map(|(pattern, so)| {
            format!(
                "{shown}: `subjects: {pattern}` means no subject, so {so}; `quadrant list subjects` \
                 shows what there is"
            )
        })
        .collect()
}

/// Whether a pattern means any subject at all, wanted or not.
pub fn is_known(pattern: &str, all: &Discovered) -> bool {
    all.subjects.iter().chain(&all.passed_over).any(|subject| matches(pattern, subject))
        || filter(pattern).is_some_and(|it| all.left_out.iter().any(|out| it.may_select(out)))
}

/// Whether a scenario's pattern means a subject.
pub fn matches(pattern: &str, subject: &Subject) -> bool {
    filter(pattern).is_some_and(|filter| filter.selects(subject))
}

fn filter(pattern: &str) -> Option<Filter> {
    // The scenario was checked when it was loaded, its patterns included.
    Filter::new(&[pattern.to_owned()], &[]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::builds::Build;
    use crate::spec;

    #[test]
    fn a_pattern_that_means_nobody_is_told_with_its_scenario() {
        let text = "\
name: x
question: Who is meant?
subjects: [known, knwon, \"*/*/poll\"]
tasks:
  - { name: waiter, steps: [yield] }
expect:
  - { subjects: known, ops: \"> 0\" }
  - { subjects: knwon, ops: \"> 0\" }
  - { subjects: knwon, errors: 0 }
  - { subjects: known/x/poll, errors: 0 }
  - { ops: \"> 0\" }
";
        let scenario = spec::parse("x.yaml", text).unwrap();
        let build = Build { adapter: "known".to_owned(), variant: None, backends: None };
        let all = Discovered {
            subjects: vec![Subject::broken(build, "it was not built yet".to_owned())],
            passed_over: Vec::new(),
            left_out: vec![Build::variant("known", "poll")],
        };
        let told = warnings("x.yaml", &scenario, &all);
        assert_eq!(told.len(), 2, "{told:?}");
        let begin = "x.yaml: `subjects: knwon` means no subject, so ";
        assert!(told.iter().all(|told| told.starts_with(begin)), "{told:?}");
        assert!(told[0].contains("asked of nobody"), "{told:?}");
        assert!(told[1].contains("nothing is expected"), "{told:?}");
    }
}
