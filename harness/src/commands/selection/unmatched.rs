//! Warns about patterns of subjects that match no subject, in scenarios and on the command line. A
//! typo would otherwise turn an expectation into one that always holds.
//!
//! Never refuses such a pattern: adapters come and go, so a scenario is not wrong by it.

use std::collections::BTreeSet;

use crate::adapters::discovery::Discovered;
use crate::adapters::filter::Pattern;
use crate::adapters::subject::Subject;
use crate::spec::Scenario;

/// Whether a scenario has any pattern.
pub fn names_subjects(scenario: &Scenario) -> bool {
    !scenario.subjects().is_empty() || !scenario.expected_subjects().is_empty()
}

/// A sentence for each pattern that matches no subject; none if there are no subjects. A subject
/// whose adapter is not built or broken is matched by its build.
pub fn warnings(shown: &str, scenario: &Scenario, all: &Discovered) -> Vec<String> {
    if all.subjects.is_empty() {
        return Vec::new();
    }
    let about = scenario.subjects().iter().map(|pattern| (&**pattern, "it selects nothing"));
    let expected = scenario.expected_subjects().iter();
    let expected = expected.map(|pattern| (&**pattern, "its expectation checks nothing"));
    about
        .chain(expected)
        .filter(|(pattern, _)| !is_known(pattern, all))
        .map(|(pattern, so)| {
            format!(
                "{shown}: `subjects: {pattern}` matches no subject, so {so}; `quadrant list \
                 subjects` shows all"
            )
        })
        .collect()
}

/// The same for the patterns of a list of known failures.
pub fn in_list(shown: &str, patterns: &BTreeSet<&str>, all: &Discovered) -> Vec<String> {
    if all.subjects.is_empty() {
        return Vec::new();
    }
    let unknown = patterns.iter().filter(|pattern| !is_known(pattern, all));
    let warning = |pattern: &&str| {
        format!(
            "{shown}: `subject: {pattern}` matches no subject, so it excuses nothing; `quadrant \
             list subjects` shows all"
        )
    };
    unknown.map(warning).collect()
}

/// Whether a pattern matches any subject, selected or not.
pub fn is_known(pattern: &str, all: &Discovered) -> bool {
    // Where they are impossible, options are an error elsewhere.
    let found = |it: &Pattern| {
        let mut subjects = all.subjects.iter().chain(&all.passed_over);
        subjects.any(|subject| it.matches(subject) || it.means(subject))
            || all.left_out.iter().any(|out| it.may_match_build(out))
    };
    parsed(pattern).is_some_and(|it| found(&it))
}

/// Whether a scenario's pattern matches a subject.
pub fn matches(pattern: &str, subject: &Subject) -> bool {
    parsed(pattern).is_some_and(|pattern| pattern.matches(subject))
}

fn parsed(pattern: &str) -> Option<Pattern> {
    // The scenario was checked when it was loaded, its patterns included.
    Pattern::new(pattern).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::builds::Build;
    use crate::spec;

    #[test]
    fn an_unmatched_pattern_is_reported_with_its_scenario() {
        let text = "\
name: x
question: Which ones?
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
        let build = Build::usual("known", None);
        let all = Discovered {
            subjects: vec![Subject::broken(build, "it was not built yet".to_owned())],
            passed_over: Vec::new(),
            left_out: vec![Build::variant("known", "poll")],
        };
        let warned = warnings("x.yaml", &scenario, &all);
        assert_eq!(warned.len(), 2, "{warned:?}");
        let begin = "x.yaml: `subjects: knwon` matches no subject, so ";
        assert!(warned.iter().all(|warned| warned.starts_with(begin)), "{warned:?}");
        assert!(warned[0].contains("selects nothing"), "{warned:?}");
        assert!(warned[1].contains("checks nothing"), "{warned:?}");
    }
}
