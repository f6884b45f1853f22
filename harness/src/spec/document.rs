//! A scenario's text as strict types, step lists apart: which keys there are and where they stand.
//!
//! Never checks a value; that is done where it is used, when `$axis` is known.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde_yaml::Spanned;

use super::scalar::{Scalar, Scalars, filled_list, filled_map, given};
use super::step::Step;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) name: Scalar,
    pub(super) question: Scalar,
    #[serde(default, deserialize_with = "given")]
    pub(super) subjects: Option<Spanned<Scalars>>,
    #[serde(default, deserialize_with = "filled_map")]
    pub(super) axes: Entries<Vec<Scalar>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) workers: Option<Scalar>,
    #[serde(default, deserialize_with = "given")]
    pub(super) allocator: Option<Scalar>,
    #[serde(default, deserialize_with = "given")]
    pub(super) server: Option<Spanned<Server>>,
    #[serde(default, deserialize_with = "filled_list")]
    pub(super) tasks: Vec<Spanned<Group>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) load: Option<Spanned<Load>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) files: Option<Spanned<Files>>,
    #[serde(default, deserialize_with = "filled_map")]
    pub(super) time: Time,
    #[serde(default, deserialize_with = "given")]
    pub(super) stall: Option<Scalar>,
    #[serde(default, deserialize_with = "filled_list")]
    pub(super) expect: Vec<Spanned<Expect>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) name: Scalar,
    #[serde(default, deserialize_with = "given")]
    pub(super) count: Option<Scalar>,
    #[serde(default, deserialize_with = "given")]
    pub(super) every: Option<Scalar>,
    #[serde(default, deserialize_with = "given")]
    pub(super) repeat: Option<Scalar>,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Load {
    pub(super) connections: Scalar,
    pub(super) send: Scalar,
    #[serde(default, deserialize_with = "given")]
    pub(super) rate: Option<Scalar>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Files {
    pub(super) count: Scalar,
    pub(super) size: Scalar,
    #[serde(default, deserialize_with = "given")]
    pub(super) cache: Option<Scalar>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Time {
    #[serde(default, deserialize_with = "given")]
    pub(super) warmup: Option<Scalar>,
    #[serde(default, deserialize_with = "given")]
    pub(super) measure: Option<Scalar>,
}

/// What is expected of which cases and subjects. Any key but these two is a metric.
#[derive(Debug)]
pub(super) struct Expect {
    pub(super) when: Entries<Scalars>,
    pub(super) subjects: Option<Scalar>,
    pub(super) metrics: Vec<(Scalar, Scalar)>,
}

/// A map whose keys the author chooses, in the order written.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(Scalar, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ExpectVisitor)
    }
}

struct ExpectVisitor;

impl<'de> de::Visitor<'de> for ExpectVisitor {
    type Value = Expect;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of metrics")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Expect, A::Error> {
        let mut expect = Expect { when: Entries::default(), subjects: None, metrics: Vec::new() };
        while let Some(key) = map.next_key::<Scalar>()? {
            match key.text.as_str() {
                "when" => expect.when = map.next_value()?,
                "subjects" => expect.subjects = Some(map.next_value()?),
                _ => expect.metrics.push((key, map.next_value()?)),
            }
        }
        Ok(expect)
    }
}
