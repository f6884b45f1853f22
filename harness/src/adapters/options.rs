//! Options of runtimes: what patterns ask for, and the subjects with options set.
//!
//! Never sets one itself: the plan carries them, and the subject's process is started with their
//! variables.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use quadrant_suite::plan::SetOption;

use super::filter::{Asked, Filter};
use super::subject::Subject;
use super::version::OPTIONS_MARK;
use crate::terminal::nearest::{hint, nearest, quoted};

/// The id of a subject with options.
fn with(id: &str, asked: &Asked) -> String {
    let pairs: Vec<String> = asked.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{id}{OPTIONS_MARK}{}", pairs.join("&"))
}

/// The subjects with options that the filters ask for, each once, or why one is not possible.
pub fn asked_for(subjects: &[Subject], filters: &[Filter]) -> Result<Vec<Subject>> {
    let mut made: Vec<Subject> = Vec::new();
    for pattern in filters.iter().flat_map(Filter::patterns_with_options) {
        let asked = pattern.options();
        let meant: Vec<&Subject> = subjects.iter().filter(|it| pattern.means(it)).collect();
        let has_all = |it: &&&Subject| asked.keys().all(|name| it.option(name).is_some());
        let able: Vec<&&Subject> = meant.iter().filter(has_all).collect();
        if able.is_empty() && !meant.is_empty() {
            bail!("{}: {}", quoted(pattern.text()), unknown(&meant, asked));
        }
        for subject in able {
            let id = with(&subject.id, asked);
            if made.iter().any(|known| known.id == id) {
                continue;
            }
            match set(subject, asked) {
                Ok(options) => made.push(Subject { id, options, ..(*subject).clone() }),
                Err(reason) => bail!("{}: {reason}", quoted(pattern.text())),
            }
        }
    }
    Ok(made)
}

/// The options with their values, or why one of the values is not possible.
fn set(subject: &Subject, asked: &Asked) -> Result<Vec<SetOption>, String> {
    let set = |(name, value): (&String, &String)| {
        let option = subject.option(name).ok_or_else(|| format!("no option {}", quoted(name)))?;
        if !option.values.allow(value) {
            return Err(format!(
                "the option `{name}` cannot be {}; possible here: {}",
                quoted(value),
                option.values
            ));
        }
        let (name, value) = (name.clone(), value.clone());
        Ok(SetOption { name, value, variable: option.variable.clone() })
    };
    asked.iter().map(set).collect()
}

/// Which of the options none of these subjects has.
fn unknown(meant: &[&Subject], asked: &Asked) -> String {
    let known: BTreeSet<&str> =
        meant.iter().flat_map(|it| &it.possible).map(|option| &*option.name).collect();
    let Some(name) = asked.keys().find(|name| !known.contains(name.as_str())) else {
        return "no subject has all of these options".to_owned();
    };
    let ids: Vec<&str> = meant.iter().map(|subject| &*subject.id).collect();
    let hint = hint(name, known.iter().copied()).unwrap_or_else(|| "there are none".to_owned());
    let more = match nearest(name, known) {
        Some(_) => String::new(),
        None => format!(
            ". Variants may have others: `quadrant list subjects -r '{}/**'` shows all",
            meant[0].runtime
        ),
    };
    format!("no option {} of {}: {hint}{more}", quoted(name), ids.join(", "))
}

#[cfg(test)]
mod tests {
    use quadrant_suite::description::RuntimeOption;

    use super::super::subject::tests::subject;
    use super::*;

    /// With `lifo` only in the first, and `interval` in both.
    fn subjects() -> Vec<Subject> {
        let lifo = RuntimeOption::switch("lifo", "on", "").by_variable("LIFO");
        let interval = RuntimeOption::number("interval", 1..=100, "61", "");
        ["tokio/multi-thread/epoll", "tokio/current-thread/epoll"]
            .into_iter()
            .zip([vec![lifo, interval.clone()], vec![interval]])
            .map(|(id, possible)| Subject { possible, ..subject(id, false) })
            .collect()
    }

    fn made(patterns: &[&str]) -> Result<Vec<Subject>> {
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        asked_for(&subjects(), &[Filter::new(&patterns, &[])?])
    }

    #[test]
    fn options_are_set_where_a_subject_has_them() {
        let made =
            made(&["tokio?lifo=off", "tokio/*?interval=7&lifo=on", "tokio", "*/m*?lifo=off"]);
        let made = made.unwrap();
        let ids: Vec<&str> = made.iter().map(|subject| &*subject.id).collect();
        let expected =
            ["tokio/multi-thread/epoll?lifo=off", "tokio/multi-thread/epoll?interval=7&lifo=on"];
        assert_eq!(ids, expected);
        let set: Vec<_> = made[1].options.iter().map(|it| (&*it.name, &*it.value)).collect();
        assert_eq!(set, [("interval", "7"), ("lifo", "on")]);
        assert_eq!(made[0].options[0].variable.as_deref(), Some("LIFO"));
        assert_eq!(made[1].id_without_options(), "tokio/multi-thread/epoll");
    }

    #[test]
    fn impossible_options_are_errors_with_a_hint() {
        for (pattern, words) in [
            (
                "tokio/c*?lfio=off",
                "no option `lfio` of tokio/current-thread/epoll: possible here: int",
            ),
            ("tokio?lfio=off", "tokio/current-thread/epoll: did you mean `lifo`?"),
            ("tokio?lifo=of", "the option `lifo` cannot be `of`; possible here: on|off"),
            ("tokio?interval=101", "cannot be `101`; possible here: 1…100"),
            ("tokio?interval=07", "cannot be `07`"),
            ("tokio?interval=", "cannot be ``"),
            ("tokio?lifo=off&x", "`x` is no option such as `name=value`"),
            ("tokio?lifo=off&lifo=on", "the option `lifo` is there twice"),
        ] {
            let error = format!("{:#}", made(&[pattern]).unwrap_err());
            assert!(error.starts_with(&format!("`{pattern}`: ")), "{error}");
            assert!(error.contains(words), "{error}");
        }
    }
}
