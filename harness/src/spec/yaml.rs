//! From YAML text to a [`Document`], and from the parser's errors to sentences of ours.
//!
//! Never lets a document cost more than its budget: depth, nodes and aliases are bounded.

use serde_yaml::options::MergeKeyPolicy;
use serde_yaml::{Error, MessageFormatter, UserMessageFormatter};

use super::document::Document;
use super::error::{Place, Problem};
use super::limits;
use super::nearest;
use super::quantity::quoted;

pub(super) fn read(text: &str) -> Result<Document, Problem> {
    serde_yaml::from_str_with_options(text, options()).map_err(|error| problem(&error, text))
}

fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            // A step list inside a step list costs up to four levels.
            max_depth: 8 + 4 * (limits::NESTING + 2),
            flow_nesting_limit: 8 + 4 * (limits::NESTING + 2),
            max_events: 100_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 50_000,
            max_replay_stack_depth: 8,
        },
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: serde_yaml::options::NonFiniteFloatPolicy::AsString,
        reject_unsupported_tags: true,
        strict_booleans: true,
        with_snippet: false,
    }
}

fn problem(error: &Error, text: &str) -> Problem {
    let at = error.location().map(Place::from).unwrap_or_default();
    let mut error = error;
    while let Error::AliasError { error: inner, .. } | Error::WithSnippet { error: inner, .. } =
        error
    {
        error = inner;
    }
    let told = |message: &str| Problem::new(at, message);
    match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            told(&format!("unknown key {}", quoted(field)))
                .help(nearest::advice(field, expected.iter().copied()))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            told(&format!("unknown step {}", quoted(variant)))
                .help(nearest::advice(variant, expected.iter().copied()))
        }
        Error::SerdeMissingField { field, .. } => {
            told(&format!("the key `{field}` is missing here"))
        }
        Error::DuplicateMappingKey { key, .. } => match key {
            Some(key) => told(&format!("{} stands here a second time", quoted(key))),
            None => told("this key stands here a second time"),
        },
        Error::Unexpected { expected, .. } => told(match *expected {
            "mapping start" => "a map (`key: value`) is expected here",
            "sequence start" => "a list is expected here: `[…]`, or lines that begin with `-`",
            "string scalar" => "a single value is expected here",
            _ => "something else is expected here",
        }),
        Error::SerdeInvalidType { expected, .. } => told(&format!("{expected} is expected here")),
        Error::NullIntoString { .. } => told("a value is missing here"),
        Error::Eof { .. } if text.trim().is_empty() => told("the file is empty")
            .help("a scenario begins with `name:` and `question:`".to_owned()),
        Error::MultipleDocuments { .. } => {
            told("a second document begins here; one file holds one scenario")
        }
        Error::MergeKeyNotAllowed { .. } => {
            told("merge keys (`<<`) are not taken; write the keys out")
        }
        Error::UnknownAnchor { .. } => told("no anchor of this name stands above"),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            told("the document is too large or too deeply nested from here on")
        }
        Error::Message { msg, .. } => told(msg),
        other => not_yaml(at, other, text),
    }
}

fn not_yaml(at: Place, error: &Error, text: &str) -> Problem {
    let why = UserMessageFormatter.format_message(error).into_owned();
    let problem = Problem::new(at, format!("this is no valid YAML: {why}"));
    // The mistake this language invites: in YAML, `metric: >= 10` begins a block of text.
    let line = text.lines().nth(at.line.wrapping_sub(1)).unwrap_or("");
    if line.contains(": >") {
        return problem.help("put a text that begins with `>` in quotes: \">= 10\"".to_owned());
    }
    problem
}
