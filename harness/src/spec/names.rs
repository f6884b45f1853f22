//! What may be called what.
//!
//! Never repairs a name: records, tables and file names carry it as the author wrote it.

use super::error::Problem;
use super::limits;
use super::quantity::quoted;
use super::scalar::Scalar;

/// Names of scenarios, axes, groups and rows.
pub(super) fn check(name: &Scalar) -> Result<(), Problem> {
    let text = name.text.as_str();
    let characters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(characters) {
        return Err(Problem::new(
            name.at,
            format!("{} cannot be a name; a name is made of small letters, digits and `-`, and begins with a letter or digit", quoted(text)),
        )
        .help(repaired(text).map(|name| format!("for example `{name}`"))));
    }
    if text.len() > limits::NAME_CHARS {
        return Err(Problem::new(
            name.at,
            format!("this name is too long; a name can have {} characters", limits::NAME_CHARS),
        ));
    }
    Ok(())
}

fn repaired(text: &str) -> Option<String> {
    if text.len() > limits::NAME_CHARS {
        return None;
    }
    let plain: String = text
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let plain = plain.trim_matches('-').to_owned();
    (!plain.is_empty()).then_some(plain)
}

/// The scenario's question, which heads its tables.
pub(super) fn check_question(question: &Scalar) -> Result<(), Problem> {
    let text = question.text.trim_end();
    let wrong = |why: String| Err(Problem::new(question.at, why));
    if !text.ends_with('?') || text.len() == 1 {
        return wrong("the question is one sentence that ends with `?`".to_owned());
    }
    if text.chars().any(char::is_control) {
        return wrong("the question stands on one line".to_owned());
    }
    if text.chars().count() > limits::QUESTION_CHARS {
        return wrong(format!(
            "the question is too long; it can have {} characters",
            limits::QUESTION_CHARS
        ));
    }
    Ok(())
}
