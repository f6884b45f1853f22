//! A list of known failures: checks of the behaviour kit that are expected to fail on some subjects.
//!
//! Never decides whether an entry has expired: that depends on the day.

use quadrant_suite::checks;

use super::error::{SpecError, error};
use super::fields::Fields;
use super::limits;
use super::mistakes::{Mistakes, SpecErrors};
use super::names;
use super::yaml::{self, Node, Scalar, Value};
use crate::adapters::filter::Pattern;
use crate::adapters::subject::Subject;
use crate::system::date;
use crate::terminal::nearest::{nearest, quoted};

const KEYS: &str = "check subject issue expires";

/// One entry.
#[derive(Debug)]
pub struct DeclaredFailure {
    /// File and line, for messages.
    pub place: String,
    pub check: String,
    /// As written; there is at least one.
    pub subjects: Vec<String>,
    patterns: Vec<Pattern>,
    pub issue: String,
    /// The last day on which it holds, as `2027-01-31`.
    pub expires: Option<String>,
}

impl DeclaredFailure {
    pub fn is_about(&self, subject: &Subject) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(subject))
    }
}

/// Whether a file is meant as such a list: it begins with an item, where a scenario has a key.
pub(super) fn is_list(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#') && *line != "---");
    first.is_some_and(|line| line.starts_with(['-', '[']))
}

pub(super) fn parse(path: &str, text: &str) -> Result<Vec<DeclaredFailure>, SpecErrors> {
    let mut mistakes = Mistakes::default();
    let entries = read(path, text, &mut mistakes);
    if mistakes.is_empty() { Ok(entries) } else { Err(mistakes.in_text(path, text)) }
}

/// Reads as much as there is. An empty file is an empty list.
fn read(path: &str, text: &str, mistakes: &mut Mistakes) -> Vec<DeclaredFailure> {
    let Some(root) = mistakes.keep(yaml::read(text)) else { return Vec::new() };
    if let Value::Empty = root.value {
        return Vec::new();
    }
    let Some(items) = mistakes.keep(root.list()) else { return Vec::new() };
    let mut entries = Vec::new();
    for item in items {
        entries.extend(read_entry(path, item, mistakes));
        if mistakes.is_full() {
            break;
        }
    }
    entries
}

fn read_entry(path: &str, item: &Node, mistakes: &mut Mistakes) -> Option<DeclaredFailure> {
    let fields = Fields::of(item, "", KEYS, mistakes);
    let fields = mistakes.keep(fields)?;
    let check = fields.need("check").and_then(|field| field.node.text()).and_then(check_name);
    let check = mistakes.keep(check);
    let subjects = fields.need("subject").and_then(|field| {
        let subjects = field.node.texts()?;
        match subjects.is_empty() {
            true => Err(field.node.unexpected("at least one pattern of subjects")),
            false => Ok(subjects),
        }
    });
    let subjects = mistakes.keep(subjects).unwrap_or_default();
    names::check_patterns(subjects.iter().copied(), mistakes);
    let issue = fields.need("issue").and_then(|field| check_issue(field.node.text()?));
    let issue = mistakes.keep(issue);
    let expires = fields.get("expires").map(|field| field.node.text().and_then(check_date));
    let expires = expires.and_then(|expires| mistakes.keep(expires));
    let patterns = subjects.iter().filter_map(|pattern| Pattern::new(&pattern.text).ok());
    Some(DeclaredFailure {
        place: format!("{path}:{}", item.at.line),
        patterns: patterns.collect(),
        subjects: subjects.iter().map(|pattern| pattern.text.clone()).collect(),
        check: check?,
        issue: issue?,
        expires,
    })
}

/// The name of a check.
pub(super) fn check_name(name: &Scalar) -> Result<String, SpecError> {
    if checks::named(&name.text).is_some() {
        return Ok(name.text.clone());
    }
    let names = checks::all().map(|check| check.id);
    // Some eighty names would be no hint.
    let near = nearest(&name.text, names).map(|near| format!("did you mean {}?", quoted(near)));
    let list = || "`quadrant check --list` shows all".to_owned();
    Err(error!(name.at, "there is no check {}", quoted(&name.text)).help(near.unwrap_or_else(list)))
}

fn check_issue(issue: &Scalar) -> Result<String, SpecError> {
    let text = issue.text.trim();
    if text.is_empty() {
        return Err(error!(issue.at, "the issue is empty")
            .help("write its address, or a sentence on what is wrong"));
    }
    if text.chars().count() > limits::QUESTION_CHARS || text.chars().any(char::is_control) {
        let most = limits::QUESTION_CHARS;
        return Err(error!(issue.at, "an issue fits on one line of at most {most} characters"));
    }
    Ok(text.to_owned())
}

fn check_date(day: &Scalar) -> Result<String, SpecError> {
    match date::is_date(&day.text) {
        true => Ok(day.text.clone()),
        false => Err(error!(day.at, "{} is not a date", quoted(&day.text))
            .help("write the last day on which the failure is accepted, as `2027-01-31`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_with_their_places() {
        let text = "# ours\n- check: sleep-max\n  subject: [a, b/**]\n  issue: https://x/1\n\
                    \x20 expires: 2027-01-31\n- {check: handle-drop, subject: c, issue: wrong}\n";
        let entries = parse("known.yaml", text).unwrap();
        let seen: Vec<_> = entries.iter().map(|it| (&*it.place, &*it.check)).collect();
        assert_eq!(seen, [("known.yaml:2", "sleep-max"), ("known.yaml:6", "handle-drop")]);
        assert_eq!(entries[0].subjects, ["a", "b/**"]);
        assert_eq!(entries[0].expires.as_deref(), Some("2027-01-31"));
        assert!(is_list(text) && parse("x", "# nothing yet\n").unwrap().is_empty());
        assert!(!is_list("# a scenario\nname: x\n"));
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let text = "- check: sleep-mx\n  subject: \"a/[\"\n  issue: ''\n  expires: 2027-02-30\n\
                    - { check: sleep-max, subjct: a }\n- sleep-max\n";
        let errors = parse("known.yaml", text).unwrap_err();
        insta::assert_snapshot!(errors);
    }
}
