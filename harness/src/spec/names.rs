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

/// The scenario's question, which heads its tables.
pub(super) fn check_question(question: &Scalar) -> Result<(), SpecError> {
    let text = question.text.trim_end();
    if !text.ends_with('?') || text.len() == 1 {
        return Err(error!(question.at, "the question is one sentence that ends with `?`"));
    }
    if text.chars().any(char::is_control) {
        return Err(error!(question.at, "the question must fit on one line"));
    }
    if text.chars().count() > limits::QUESTION_CHARS {
        let most = limits::QUESTION_CHARS;
        return Err(error!(question.at, "the question is too long; it can have {most} characters"));
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
