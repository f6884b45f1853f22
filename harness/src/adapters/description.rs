//! Reads how a library describes itself. Its names become ids, file names and text on terminals, so
//! only plain ones pass.
//!
//! Never asks a library.

use std::collections::BTreeSet;

use quadrant_suite::description::{Described, RuntimeOption, Values};

const NAME_BYTES_MAX: usize = 64;
const NOTE_CHARS_MAX: usize = 200;
const EXECUTORS_MAX: usize = 256;
const OPTIONS_MAX: usize = 64;

/// The description, or what is wrong with it.
pub fn parse(text: &str) -> Result<Described, String> {
    let description: Described =
        serde_json::from_str(text).map_err(|error| shortened(&error.to_string()))?;
    check_name("runtime", &description.runtime)?;
    check_name("version", &description.version)?;
    if let Some(note) = &description.note {
        check_line("note", note)?;
    }
    let executors = &description.executors;
    if !(1..=EXECUTORS_MAX).contains(&executors.len()) {
        let count = executors.len();
        return Err(format!("it has {count} executors, and 1 to {EXECUTORS_MAX} are possible"));
    }
    let mut known = BTreeSet::new();
    for executor in executors {
        check_name("executor", &executor.executor)?;
        check_name("backend", &executor.backend)?;
        if !known.insert((&executor.executor, &executor.backend)) {
            let (runtime, name) = (&description.runtime, &executor.executor);
            return Err(format!("it has two of {runtime}/{name}/{}", executor.backend));
        }
    }
    if description.options.len() > OPTIONS_MAX {
        return Err(format!("it has more than {OPTIONS_MAX} options"));
    }
    description.options.iter().try_for_each(check_option)?;
    Ok(description)
}

fn check_option(option: &RuntimeOption) -> Result<(), String> {
    check_name("option", &option.name)?;
    check_line("meaning of an option", &option.meaning)?;
    check_line("default of an option", &option.default)?;
    if let Some(variable) = &option.variable {
        check_name("variable", variable)?;
    }
    match &option.values {
        Values::OneOf(values) => values.iter().try_for_each(|value| check_name("value", value)),
        Values::Number { .. } => Ok(()),
    }
}

fn check_line(what: &str, line: &str) -> Result<(), String> {
    if line.chars().count() > NOTE_CHARS_MAX || line.chars().any(char::is_control) {
        return Err(format!("its {what} is not one line of at most {NOTE_CHARS_MAX} characters"));
    }
    Ok(())
}

/// A parser's message may quote all of the text.
fn shortened(message: &str) -> String {
    message.chars().take(NOTE_CHARS_MAX).collect()
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+@".contains(&byte);
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_BYTES_MAX).flat_map(char::escape_default).collect();
    Err(format!(
        "its {what} is \"{shown}\", and a name has 1 to {NAME_BYTES_MAX} letters, digits or \
         characters of -_.+@"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(runtime: &str, version: &str, note: &str, executors: &[(&str, &str)]) -> String {
        let executor = |(executor, backend): &(&str, &str)| {
            serde_json::json!({
                "executor": executor, "backend": backend, "topology": "shared", "workers": "one",
                "capabilities": ["echo"], "tasks_max": null, "memlock_bytes_min": 0,
            })
        };
        let executors: Vec<_> = executors.iter().map(executor).collect();
        let description = serde_json::json!({
            "runtime": runtime, "version": version, "note": note, "executors": executors,
        });
        description.to_string()
    }

    #[test]
    fn plain_names_are_accepted() {
        let executors = [("multi-thread", "epoll+ring"), ("multi-thread", "io_uring")];
        let text = text("my.runtime@2", "1.2.3-rc.1+dirty", "an accent: é", &executors);
        assert_eq!(parse(&text).unwrap().executors.len(), 2);
    }

    #[track_caller]
    fn refuse(runtime: &str, version: &str, note: &str, executors: &[(&str, &str)], words: &str) {
        let reason = parse(&text(runtime, version, note, executors)).unwrap_err();
        assert!(reason.contains(words), "{reason}");
        assert!(reason.is_ascii() && reason.len() < 1_000, "{reason}");
    }

    #[test]
    fn names_that_could_mislead_are_refused() {
        let one = [("e", "b")];
        let long = "x".repeat(65);
        for name in ["", " ", "a b", "a/b", "a,b", "*", "\u{1b}[31m", "\u{202e}x", "é", &long] {
            let end = "and a name has 1 to 64 letters, digits or characters of -_.+@";
            refuse(name, "1", "", &one, end);
            refuse("r", name, "", &one, "its version is");
            refuse("r", "1", "", &[("e", "b"), (name, "b")], "its executor is");
            refuse("r", "1", "", &[("e", name)], "its backend is");
        }
        refuse("r", "1", "two\nlines", &one, "its note is not one line");
        refuse("r", "1", &"x".repeat(201), &one, "at most 200 characters");
    }

    #[test]
    fn executors_are_few_and_differ() {
        refuse("r", "1", "", &[], "it has 0 executors");
        refuse("r", "1", "", &[("e", "b"); 257], "it has 257 executors");
        refuse("r", "1", "", &[("e", "b"), ("f", "b"), ("e", "b")], "it has two of r/e/b");
        assert!(parse("{}").is_err() && parse("").is_err());
        let long = text("r", "1", "", &[("e", "b")]).replace("echo", &"x".repeat(100_000));
        let reason = parse(&long).unwrap_err();
        assert!(reason.starts_with("unknown variant `xxx") && reason.len() < 1_000, "{reason}");
    }
}
