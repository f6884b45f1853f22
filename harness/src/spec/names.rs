//! Names, the question, and patterns of subjects: texts that are never `$axis`.
//!
//! Never repairs a name: records, tables and file names carry it as the author wrote it.

use super::error::SpecError;
use super::limits;
use super::yaml::Scalar;
use crate::terminal::nearest::quoted;

/// Names of scenarios, axes, groups and rows.
pub(super) fn check(name: &Scalar) -> Result<(), SpecError> {
    let text = name.text.as_str();
    let error = |why: String| Err(SpecError::new(name.at, why));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.len() > limits::NAME_CHARS {
        return error(format!(
            "this name is too long; a name can have {} characters",
            limits::NAME_CHARS
        ));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(plain) {
        let repaired = text.to_ascii_lowercase().replace(|c| !plain(c), "-");
        let repaired = repaired.trim_matches('-');
        return error(format!(
            "{} cannot be a name; a name is made of small letters, digits and `-`, and begins with a letter or digit",
            quoted(text)
        ))
        .map_err(|error: SpecError| {
            error.help((!repaired.is_empty()).then(|| format!("for example `{repaired}`")))
        });
    }
    Ok(())
}

/// The scenario's question, which heads its tables.
pub(super) fn check_question(question: &Scalar) -> Result<(), SpecError> {
    let text = question.text.trim_end();
    let error = |why: String| Err(SpecError::new(question.at, why));
    if !text.ends_with('?') || text.len() == 1 {
        return error("the question is one sentence that ends with `?`".to_owned());
    }
    if text.chars().any(char::is_control) {
        return error("the question must fit on one line".to_owned());
    }
    if text.chars().count() > limits::QUESTION_CHARS {
        return error(format!(
            "the question is too long; it can have {} characters",
            limits::QUESTION_CHARS
        ));
    }
    Ok(())
}

pub(super) fn check_pattern(subjects: &Scalar) -> Result<(), SpecError> {
    if globset::Glob::new(&subjects.text).is_ok() && !subjects.text.is_empty() {
        return Ok(());
    }
    let message = format!("{} is not a pattern of subjects", quoted(&subjects.text));
    Err(SpecError::new(subjects.at, message)
        .help("write it like `tokio`, `*/per-core/*` or `smol/**`".to_owned()))
}
