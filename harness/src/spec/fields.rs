//! What the keys of a map hold, and the shape that each value must have.
//!
//! Never reads a value; that is done with the axes of a case at hand.

use super::advice;
use super::error::{Place, SpecError, error};
use super::mistakes::Mistakes;
use super::yaml::{Node, Scalar, Value};
use crate::terminal::nearest::{hint, quoted};

impl Node {
    pub(super) fn text(&self) -> Result<&Scalar, SpecError> {
        match &self.value {
            Value::Text(scalar) => Ok(scalar),
            _ => Err(self.unexpected("a single value")),
        }
    }

    pub(super) fn list(&self) -> Result<&[Node], SpecError> {
        match &self.value {
            Value::List(items) => Ok(items),
            value => {
                let first = match value {
                    Value::Text(text) => Some(text.text.clone()),
                    Value::Map(entries) => entries.first().map(|(key, _)| key.text.clone() + ": …"),
                    _ => None,
                };
                Err(self
                    .unexpected("a list (`[…]`, or lines that begin with `-`)")
                    .help_if(first.map(|first| advice::item_help(&first))))
            }
        }
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    pub(super) fn map(&self) -> Result<&[(Scalar, Node)], SpecError> {
        match &self.value {
            Value::Map(entries) => Ok(entries),
            _ => Err(self.unexpected("a map (`key: value`)")),
        }
    }

    /// The value of a key, if this is a map that has it.
    pub(super) fn find(&self, key: &str) -> Option<&Node> {
        find(self.map().ok()?, key)
    }

    /// One value or a list of them.
    pub(super) fn texts(&self) -> Result<Vec<&Scalar>, SpecError> {
        match &self.value {
            Value::Text(scalar) => Ok(vec![scalar]),
            Value::List(items) => items.iter().map(Node::text).collect(),
            _ => Err(self.unexpected("a value or a list of values")),
        }
    }

    /// The error that something else stands here.
    pub(super) fn unexpected(&self, expected: &str) -> SpecError {
        SpecError::new(
            self.at,
            match self.value {
                Value::Empty => "a value is missing here".to_owned(),
                _ => format!("{expected} is expected here"),
            },
        )
    }
}

impl Scalar {
    /// The name behind `$`.
    pub(super) fn axis(&self) -> Option<&str> {
        self.text.strip_prefix('$')
    }
}

/// The fields of a map.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    /// The key that the map belongs to; empty for the scenario itself.
    owner: &'static str,
    /// Where the map stands.
    pub(super) at: Place,
    pub(super) entries: &'a [(Scalar, Node)],
    /// The only field, when it is written without the map.
    short: Option<(&'static str, &'a Node)>,
    /// One of its keys may be the misspelt name of another.
    pub(super) has_unknown: bool,
}

/// One value of such a map.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    owner: &'static str,
    key: &'static str,
    pub(super) node: &'a Node,
}

impl<'a> Fields<'a> {
    /// A map that may have the keys in `known`, which are separated by spaces.
    pub(super) fn of(
        node: &'a Node,
        owner: &'static str,
        known: &str,
        mistakes: &mut Mistakes,
    ) -> Result<Self, SpecError> {
        let mut fields = Self::of_any(node, owner)?;
        let known = known.split(' ');
        for (key, _) in fields.entries {
            if known.clone().any(|known| known == key.text) {
                continue;
            }
            fields.has_unknown = true;
            mistakes.add(
                error!(key.at, "unknown key {}", quoted(&key.text))
                    .help_if(hint(&key.text, known.clone())),
            );
            if mistakes.is_full() {
                break;
            }
        }
        Ok(fields)
    }

    /// A map that may have any keys.
    pub(super) fn of_any(node: &'a Node, owner: &'static str) -> Result<Self, SpecError> {
        let entries = node.map()?;
        Ok(Self { owner, at: node.at, entries, short: None, has_unknown: false })
    }

    /// No fields, or only one, written without a map.
    pub(super) fn short(owner: &'static str, field: Option<(&'static str, &'a Node)>) -> Self {
        let at = Place::default();
        Self { owner, at, entries: &[], short: field, has_unknown: false }
    }

    pub(super) fn get(&self, key: &'static str) -> Option<Field<'a>> {
        let short = self.short.filter(|(short, _)| *short == key).map(|(_, node)| node);
        let node = short.or_else(|| find(self.entries, key))?;
        Some(Field { owner: self.owner, key, node })
    }

    pub(super) fn need(&self, key: &'static str) -> Result<Field<'a>, SpecError> {
        self.get(key).ok_or_else(|| {
            let at = self.entries.first().map_or(self.at, |(first, _)| first.at);
            error!(at, "the key `{key}` is missing here").consequence_if(self.has_unknown)
        })
    }

    /// The keys and values, those inside of values included.
    pub(super) fn count(&self) -> usize {
        1 + self.entries.iter().map(|(_, value)| 1 + value.count()).sum::<usize>()
    }

    /// The items of a list that may be left out.
    pub(super) fn items(&self, key: &'static str) -> Result<&'a [Node], SpecError> {
        self.get(key).map_or(Ok(&[]), |field| field.node.list())
    }
}

fn find<'a>(entries: &'a [(Scalar, Node)], key: &str) -> Option<&'a Node> {
    entries.iter().find(|(written, _)| written.text == key).map(|(_, node)| node)
}

impl Field<'_> {
    /// What the value is for: "the `for` of `sleep`".
    pub(super) fn usage(&self) -> String {
        match self.owner {
            "" => format!("`{}`", self.key),
            owner => format!("the `{}` of `{owner}`", self.key),
        }
    }
}
