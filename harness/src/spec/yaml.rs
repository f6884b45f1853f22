//! From YAML text to a tree of [`Node`]s, and from the parser's errors to messages in plain words.
//!
//! Never interprets a value: `yes`, `0x10` and `1.50` stay the texts they are, because any may be
//! `$axis`. Never lets a document cost more than its budget: depth, nodes and aliases are bounded.

use std::fmt;
use std::ops::Range;

use serde::de::{self, Deserialize, Deserializer};
use serde_yaml::options::MergeKeyPolicy;
use serde_yaml::{Error, MessageFormatter, Spanned, UserMessageFormatter};

use super::advice;
use super::error::{Place, SpecError};
use super::limits;
use crate::terminal::nearest::quoted;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Empty,
    Text(Scalar),
    List(Vec<Node>),
    Map(Vec<(Scalar, Node)>),
    /// A number or boolean, by the bytes that it has in the text; gone once the tree is read.
    Bytes(Range<usize>),
}

/// A single value as it was written.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) at: Place,
}

pub(super) fn read(text: &str) -> Result<Node, SpecError> {
    let mut root: Node = serde_yaml::from_str_with_options(text, options())
        .map_err(|error| spec_error(&error, text))?;
    root.take_texts(text);
    Ok(root)
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
        non_finite_float_policy: serde_yaml::options::NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        strict_booleans: true,
        with_snippet: false,
    }
}

impl Node {
    /// Its values and keys, itself included.
    pub(super) fn count(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Self::count).sum(),
            Value::Map(entries) => entries.iter().map(|(_, value)| 1 + value.count()).sum(),
            _ => 0,
        }
    }

    fn take_texts(&mut self, source: &str) {
        match &mut self.value {
            Value::Bytes(bytes) => {
                let text = source.get(bytes.clone()).unwrap_or_default().to_owned();
                self.value = Value::Text(Scalar { text, at: self.at });
            }
            Value::List(items) => items.iter_mut().for_each(|item| item.take_texts(source)),
            Value::Map(entries) => entries.iter_mut().for_each(|(_, it)| it.take_texts(source)),
            Value::Empty | Value::Text(_) => {}
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { mut value, referenced, defined } = Spanned::deserialize(deserializer)?;
        let at = referenced.into();
        match &mut value {
            Value::Text(scalar) => scalar.at = at,
            Value::Bytes(bytes) => {
                let span = defined.span();
                let start = span.byte_offset().unwrap_or(0) as usize;
                *bytes = start..start + span.byte_len().unwrap_or(0) as usize;
            }
            _ => {}
        }
        Ok(Self { at, value })
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::deserialize(deserializer)?;
        Ok(Self { text: value, at: referenced.into() })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

/// What the parser took for a number or a boolean; the node adds its bytes.
macro_rules! by_its_bytes {
    ($($visit:ident($type:ty))*) => {
        $(fn $visit<E: de::Error>(self, _: $type) -> Result<Value, E> {
            Ok(Value::Bytes(0..0))
        })*
    };
}

impl<'de> de::Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    by_its_bytes! {
        visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_i128(i128) visit_u128(u128)
        visit_f64(f64)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(Scalar { text: text.to_owned(), at: Place::default() }))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Empty)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}

fn spec_error(error: &Error, text: &str) -> SpecError {
    let at = error.location().map(Place::from).unwrap_or_default();
    let mut error = error;
    while let Error::AliasError { error: inner, .. } | Error::WithSnippet { error: inner, .. } =
        error
    {
        error = inner;
    }
    let message = match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            let message = format!("{} stands here a second time", quoted(key));
            return SpecError::new(at, message).help_if(advice::second_key(at, text));
        }
        Error::Unexpected { .. } | Error::NullIntoString { .. } => {
            "a key must be a single value".to_owned()
        }
        Error::MultipleDocuments { .. } => {
            "a second document begins here; one file holds one scenario".to_owned()
        }
        Error::MergeKeyNotAllowed { .. } => {
            "merge keys (`<<`) are not supported; write the keys out".to_owned()
        }
        Error::UnknownAnchor { .. } => "there is no anchor of this name above".to_owned(),
        other => {
            let message = UserMessageFormatter.format_message(other);
            return advice::explain(at, message.into_owned(), text);
        }
    };
    SpecError::new(at, message)
}
