//! The answers as JUnit XML, which CI services show: a suite for each subject, a case for each check.
//!
//! Never writes a character that XML does not allow, whatever a subject has printed.

use std::fmt::Write;

use quadrant_suite::checks::Verdict;

use super::{Answer, Findings, Found};
use crate::visible;

pub(super) fn write(findings: &Findings) -> String {
    let all: Vec<Found<'_>> = findings.each().collect();
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    line(&mut text, 0, &format!("<testsuites name=\"quadrant check\"{}>", counts(&all)));
    for subject in &findings.subjects {
        let of_subject: Vec<Found<'_>> =
            all.iter().copied().filter(|found| found.subject == subject).collect();
        let name = attribute("name", subject);
        line(&mut text, 1, &format!("<testsuite{name}{}>", counts(&of_subject)));
        for found in of_subject {
            case(&mut text, findings, found);
        }
        line(&mut text, 1, "</testsuite>");
    }
    line(&mut text, 0, "</testsuites>");
    text
}

fn counts(found: &[Found<'_>]) -> String {
    let count = |is: fn(&Found<'_>) -> bool| found.iter().filter(|found| is(found)).count();
    let numbers = [
        ("tests", found.len()),
        ("failures", count(|it| it.is_new_failure())),
        ("errors", count(|it| it.answer.is_unmeasured())),
        ("skipped", count(|it| it.answer.is_unsupported() || it.is_known_failure())),
    ];
    numbers.iter().map(|(name, number)| attribute(name, &number.to_string())).collect()
}

fn case(text: &mut String, findings: &Findings, found: Found<'_>) {
    let Found { check, subject, answer, known } = found;
    let name = attribute("name", &check.id) + &attribute("classname", subject);
    line(text, 2, &format!("<testcase{name}>"));
    line(text, 3, "<properties>");
    for (name, value) in properties(found) {
        let property = attribute("name", name) + &attribute("value", &value);
        line(text, 4, &format!("<property{property}/>"));
    }
    line(text, 3, "</properties>");
    let (seen, kind) = (answer.text(), answer.short());
    let message = attribute("message", &format!("{kind}: {seen}"));
    if found.is_known_failure() {
        // As other tools do: JUnit has no word for a failure that is expected.
        let why = known.map_or_else(String::new, |known| known.text());
        let message = attribute("message", &format!("{why}; {kind}: {seen}"));
        line(text, 3, &format!("<skipped type=\"known failure\"{message}/>"));
    } else if found.is_failure() {
        let expired = known.map(|known| known.text() + "\n").unwrap_or_default();
        let again = findings.command(&check.id, subject);
        let body = content(&format!("{}\n{}\n{expired}again: {again}", check.question, check.why));
        let failure = format!("<failure{}{message}>{body}</failure>", attribute("type", &kind));
        line(text, 3, &failure);
    } else if answer.is_unmeasured() {
        line(text, 3, &format!("<error type=\"unmeasured\"{message}/>"));
    } else if answer.is_unsupported() {
        line(text, 3, &format!("<skipped type=\"unsupported\"{message}/>"));
    } else {
        let passing = known.filter(|_| found.passes_now());
        let passing = passing.map(|known| format!("\nnow passes; {}", known.text()));
        // A number is its own text.
        let seen = if seen == kind { seen } else { format!("{kind}: {seen}") };
        let seen = content(&(seen + &passing.unwrap_or_default()));
        line(text, 3, &format!("<system-out>{seen}</system-out>"));
    }
    line(text, 2, "</testcase>");
}

/// What a script may want to read.
fn properties(found: Found<'_>) -> Vec<(&'static str, String)> {
    let mut properties = vec![("group", found.check.group.clone())];
    match found.answer {
        Answer::Found(Verdict::Answer { word, .. }) => properties.push(("answer", word.clone())),
        Answer::Found(Verdict::Number { value, unit }) => {
            properties.push(("value", value.to_string()));
            properties.push(("unit", (*unit).to_string()));
        }
        _ => {}
    }
    properties
}

fn line(text: &mut String, depth: usize, element: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:width$}{element}", "", width = 2 * depth);
}

fn attribute(name: &str, value: &str) -> String {
    // A line break in an attribute is read as a space.
    format!(" {name}=\"{}\"", content(&visible::line(value)))
}

/// Foreign text as XML: markup escaped, and what XML cannot hold made visible.
fn content(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible::text(text).chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::tests::{findings, known};
    use super::*;

    #[test]
    fn each_outcome_has_its_element() {
        let mut findings = findings();
        findings.answers[1][0] = Answer::Unmeasured("its library does not load".to_owned());
        findings.known = vec![known("a/b#1", false, &[(0, 0), (0, 1)])];
        insta::assert_snapshot!(write(&findings));
    }

    #[test]
    fn foreign_text_cannot_break_the_file() {
        let mut findings = findings();
        let seen = "]]></failure>\u{1b}[31m\0\u{ffff}\n\"<b>&\"";
        findings.answers[0][0] = Answer::Crashed(seen.to_owned());
        findings.subjects[0] = "\"><evil/>".to_owned();
        let text = write(&findings);
        assert!(!text.contains("]]></failure>") && !text.contains("<evil"), "{text}");
        let is_allowed = |c: char| c == '\n' || !(c.is_control() || c == '\u{ffff}');
        assert!(text.chars().all(is_allowed), "{text:?}");
        assert_eq!(text.matches("<failure").count(), text.matches("</failure>").count());
    }
}
