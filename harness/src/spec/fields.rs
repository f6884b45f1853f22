//! What the keys of a map hold, and the shape that each value must have.
//!
//! Never reads a value; that is done with the axes of a case at hand.

use super::error::{Place, SpecError, error};
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
            _ => Err(self.unexpected("a list (`[…]`, or lines that begin with `-`)")),
        }
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
    pub(super) fn of(node: &'a Node, owner: &'static str, known: &str) -> Result<Self, SpecError> {
        let fields = Self::of_any(node, owner)?;
        let known = known.split(' ');
        let is_unknown = |key: &Scalar| !known.clone().any(|known| known == key.text);
        match fields.entries.iter().find(|(key, _)| is_unknown(key)) {
            None => Ok(fields),
            Some((key, _)) => {
                Err(error!(key.at, "unknown key {}", quoted(&key.text))
                    .help_if(hint(&key.text, known)))
            }
        }
    }

    /// A map that may have any keys.
    pub(super) fn of_any(node: &'a Node, owner: &'static str) -> Result<Self, SpecError> {
        Ok(Self { owner, at: node.at, entries: node.map()?, short: None })
    }

    /// No fields, or only one, written without a map.
    pub(super) fn short(owner: &'static str, field: Option<(&'static str, &'a Node)>) -> Self {
        Self { owner, at: Place::default(), entries: &[], short: field }
    }

    pub(super) fn get(&self, key: &'static str) -> Option<Field<'a>> {
        let short = self.short.filter(|(short, _)| *short == key).map(|(_, node)| node);
        let node = short.or_else(|| find(self.entries, key))?;
        Some(Field { owner: self.owner, key, node })
    }

    pub(super) fn need(&self, key: &'static str) -> Result<Field<'a>, SpecError> {
        self.get(key).ok_or_else(|| {
            let at = self.entries.first().map_or(self.at, |(first, _)| first.at);
            error!(at, "the key `{key}` is missing here")
        })
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
