//! Names, the question, and patterns of subjects: texts that are never `$axis`.
//!
//! Never repairs a name: records, tables and file names carry it as the author wrote it.

use super::error::{SpecError, error};
use super::limits;
use super::mistakes::Mistakes;
use super::yaml::Scalar;
use crate::adapters::filter::Pattern;
use crate::adapters::version;
use crate::terminal::nearest::quoted;

/// The name of a server's operation in records.
const OPERATION_OF_A_SERVER: &str = "request";

/// Names of scenarios, axes, groups and rows.
pub(super) fn check(name: &Scalar) -> Result<(), SpecError> {
    let text = name.text.as_str();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.len() > limits::NAME_CHARS {
        let most = limits::NAME_CHARS;
        return Err(error!(name.at, "this name is too long; a name can have {most} characters"));
    }
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain) {
        return Ok(());
    }
    let repaired = text.to_ascii_lowercase().replace(|c| !plain(c), "-");
    let repaired = repaired.trim_matches('-');
    Err(error!(
        name.at,
        "{} cannot be a name; a name is made of small letters, digits and `-`, and begins with a letter or digit",
        quoted(text)
    )
    .help_if((!repaired.is_empty()).then(|| format!("for example `{repaired}`"))))
}

/// Groups of tasks and of clients, of which `before` are the names so far.
pub(super) fn check_group<'a>(
    name: &Scalar,
    mut before: impl Iterator<Item = &'a Scalar>,
) -> Result<(), SpecError> {
    check(name)?;
    if name.text == OPERATION_OF_A_SERVER {
        return Err(error!(
            name.at,
            "`request` is the name of a server's operation; take another name"
        ));
    }
    if let Some(first) = before.find(|before| before.text == name.text) {
        return Err(error!(
            name.at,
            "the group in line {} already has the name `{}`", first.at.line, name.text
        ));
    }
    Ok(())
}

/// The scenario's question, which heads its tables.
pub(super) fn check_question(question: &Scalar) -> Result<(), SpecError> {
    check_sentence(question, "question", '?')
}

/// The sentence that its cases are to show.
pub(super) fn check_claim(claim: &Scalar) -> Result<(), SpecError> {
    check_sentence(claim, "claim", '.')
}

fn check_sentence(sentence: &Scalar, what: &str, end: char) -> Result<(), SpecError> {
    let text = sentence.text.trim_end();
    if !text.ends_with(end) || text.len() == 1 {
        return Err(error!(sentence.at, "the {what} is one sentence that ends with `{end}`"));
    }
    if text.chars().any(char::is_control) {
        return Err(error!(sentence.at, "the {what} must fit on one line"));
    }
    if text.chars().count() > limits::QUESTION_CHARS {
        let most = limits::QUESTION_CHARS;
        return Err(error!(sentence.at, "the {what} is too long; it can have {most} characters"));
    }
    Ok(())
}

pub(super) fn check_patterns<'a>(
    subjects: impl Iterator<Item = &'a Scalar>,
    mistakes: &mut Mistakes,
) {
    for (index, pattern) in subjects.enumerate() {
        if index == limits::PATTERNS {
            let most = limits::PATTERNS;
            mistakes.add(error!(
                pattern.at,
                "there are too many patterns of subjects; a scenario can have {most}"
            ));
            return;
        }
        mistakes.keep(check_pattern(pattern));
    }
}

/// It is read as that of an option `-r`.
fn check_pattern(subjects: &Scalar) -> Result<(), SpecError> {
    if subjects.text.is_empty() {
        return Err(error!(subjects.at, "a pattern of subjects is empty"));
    }
    if version::is_elsewhere(&subjects.text) {
        return Err(error!(
            subjects.at,
            "`{}` is built from a folder or a repository, which only -r may name: write its \
             runtime here",
            subjects.text
        ));
    }
    Pattern::new(&subjects.text).map(drop).map_err(|error| error!(subjects.at, "{error}"))
}
