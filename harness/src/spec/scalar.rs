//! A single value as it was written, with its place; read only where it is used, because it may
//! be `$axis`.
//!
//! Never interprets: `yes`, `0x10` and `1.50` stay the texts they are.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer};
use serde_yaml::Spanned;

use super::error::Place;

#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) at: Place,
}

impl Scalar {
    /// The name behind `$`.
    pub(super) fn axis(&self) -> Option<&str> {
        self.text.strip_prefix('$')
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { at: spanned.referenced.into(), text: spanned.value })
    }
}

/// One value or a list of them.
#[derive(Debug)]
pub(super) struct Scalars(pub(super) Vec<Scalar>);

impl<'de> Deserialize<'de> for Scalars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Short::<Vec<Scalar>, true>::deserialize(deserializer)? {
            Short::Scalar(scalar) => Self(vec![scalar]),
            Short::Full(list) => Self(list),
        })
    }
}

/// The short form of something, a single value, or its full form: a map, or a list if `LIST`.
/// Which of the two has to be said, because a derived struct would take a list for its fields.
#[derive(Debug)]
pub(super) enum Short<T, const LIST: bool = false> {
    Scalar(Scalar),
    Full(T),
}

impl<T: From<Scalar>> Short<T> {
    pub(super) fn full(self) -> T {
        match self {
            Short::Scalar(scalar) => scalar.into(),
            Short::Full(full) => full,
        }
    }
}

impl<'de, T: Deserialize<'de>, const LIST: bool> Deserialize<'de> for Short<T, LIST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<TextOr<T, LIST>>::deserialize(deserializer)?;
        Ok(match spanned.value {
            TextOr::Text(text) => Short::Scalar(Scalar { text, at: spanned.referenced.into() }),
            TextOr::Full(full) => Short::Full(full),
        })
    }
}

enum TextOr<T, const LIST: bool> {
    Text(String),
    Full(T),
}

impl<'de, T: Deserialize<'de>, const LIST: bool> Deserialize<'de> for TextOr<T, LIST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrVisitor(PhantomData))
    }
}

struct TextOrVisitor<T, const LIST: bool>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const LIST: bool> de::Visitor<'de> for TextOrVisitor<T, LIST> {
    type Value = TextOr<T, LIST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if LIST { "a value or a list of values" } else { "a value or a map" })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(TextOr::Text(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(TextOr::Text(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(TextOr::Text(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(TextOr::Text(value.to_string()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Self::Value, E> {
        Ok(TextOr::Text(value.to_string()))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Self::Value, E> {
        Ok(TextOr::Text(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        // `{:?}` keeps the point, so that 2.0 is still refused as a count.
        Ok(TextOr::Text(format!("{value:?}")))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Err(E::custom("a value is missing here"))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        if LIST {
            return Err(de::Error::invalid_type(de::Unexpected::Map, &self));
        }
        T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Full)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        if !LIST {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &self));
        }
        T::deserialize(SeqAccessDeserializer::new(list)).map(TextOr::Full)
    }
}

/// For optional keys: one that is written but left empty is a mistake, not an absence.
pub(super) fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// For maps with a default: YAML's nothing would pass for an empty one.
pub(super) fn filled_map<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    match Short::<T>::deserialize(deserializer)? {
        Short::Full(map) => Ok(map),
        Short::Scalar(_) => Err(de::Error::custom("a map (`key: value`) is expected here")),
    }
}

/// The same for lists.
pub(super) fn filled_list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    match Short::<Vec<T>, true>::deserialize(deserializer)? {
        Short::Full(list) => Ok(list),
        Short::Scalar(_) => {
            Err(de::Error::custom("a list is expected here: `[…]`, or lines that begin with `-`"))
        }
    }
}
