//! How YAML becomes a [`Step`]: one word, then nothing, a value, a list or a map.
//!
//! Never takes a step with two words; that is a forgotten `-`.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer};
use serde_yaml::Spanned;

use super::error::Place;
use super::quantity::quoted;
use super::scalar::{Scalar, Short};
use super::step::{Body, Branch, Choose, Exchange, Plain, ReadFile, Step, WORDS};

impl Step {
    /// A step of which only the word is written.
    fn bare<E: de::Error>(word: &str) -> Result<Self, E> {
        let body = match word {
            "recv" => Body::Recv(Exchange::default()),
            "send" => Body::Send(Exchange::default()),
            "echo" => Body::Echo(Exchange::default()),
            "read_file" => Body::ReadFile(ReadFile::default()),
            "yield" => Body::Yield(Plain::default()),
            "join" => Body::Join(Plain::default()),
            _ => {
                return Err(match example(word) {
                    Some(example) => {
                        E::custom(format!("`{word}` needs to know more; write it like `{example}`"))
                    }
                    None => E::unknown_variant(word, WORDS),
                });
            }
        };
        Ok(Self { at: Place::default(), body })
    }

    /// A bare word does not know its place; the node around it does.
    fn placed(&mut self, at: Place) {
        if self.at == Place::default() {
            self.at = at;
        }
    }
}

fn example(word: &str) -> Option<&'static str> {
    Some(match word {
        "sleep" => "- sleep: 10ms",
        "cpu" => "- cpu: 1ms",
        "hash" => "- hash: 20000",
        "spawn" => "- spawn: { count: 10, steps: [yield] }",
        "gather" => "- gather: [{ sleep: 1ms }, { sleep: 2ms }]",
        "sequence" => "- sequence: [recv, send]",
        "repeat" => "- repeat: { times: 10, steps: [yield] }",
        "ping_pong" => "- ping_pong: 100",
        "choose" => "- choose: { by: $axis, one: [yield], two: [join] }",
        _ => return None,
    })
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Placeless(Step);
        impl<'de> Deserialize<'de> for Placeless {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(StepVisitor).map(Self)
            }
        }
        let spanned = Spanned::<Placeless>::deserialize(deserializer)?;
        let mut step = spanned.value.0;
        step.placed(spanned.referenced.into());
        Ok(step)
    }
}

struct StepVisitor;

impl<'de> de::Visitor<'de> for StepVisitor {
    type Value = Step;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a step")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Step, E> {
        Step::bare(word)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Step, A::Error> {
        let Some(word) = map.next_key::<Scalar>()? else {
            return Err(de::Error::custom("a step is expected here"));
        };
        let body = match word.text.as_str() {
            "recv" => Body::Recv(map.next_value::<Short<_>>()?.full()),
            "send" => Body::Send(map.next_value::<Short<_>>()?.full()),
            "echo" => Body::Echo(map.next_value::<Short<_>>()?.full()),
            "sleep" => Body::Sleep(map.next_value::<Short<_>>()?.full()),
            "cpu" => Body::Cpu(map.next_value::<Short<_>>()?.full()),
            "hash" => Body::Hash(map.next_value::<Short<_>>()?.full()),
            "read_file" => Body::ReadFile(map.next_value::<Short<_>>()?.full()),
            "ping_pong" => Body::PingPong(map.next_value::<Short<_>>()?.full()),
            "yield" => Body::Yield(map.next_value()?),
            "spawn" => Body::Spawn(map.next_value()?),
            "join" => Body::Join(map.next_value()?),
            "gather" => Body::Gather(map.next_value::<Listed<_, Branch>>()?.full),
            "sequence" => Body::Sequence(map.next_value::<Listed<_, Step>>()?.full),
            "repeat" => Body::Repeat(map.next_value()?),
            "choose" => Body::Choose(map.next_value()?),
            unknown => return Err(de::Error::unknown_variant(unknown, WORDS)),
        };
        if let Some(second) = map.next_key::<Scalar>()? {
            return Err(de::Error::custom(format!(
                "{} stands beside `{}`; begin every step with `-`, and put what belongs to a step in braces: `{}: {{ … }}`",
                quoted(&second.text),
                word.text,
                word.text
            )));
        }
        Ok(Step { at: word.at, body })
    }
}

impl<'de> Deserialize<'de> for Branch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Placeless(Vec<Step>);
        impl<'de> Deserialize<'de> for Placeless {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(BranchVisitor).map(Self)
            }
        }
        let spanned = Spanned::<Placeless>::deserialize(deserializer)?;
        let mut steps = spanned.value.0;
        if let [step] = steps.as_mut_slice() {
            step.placed(spanned.referenced.into());
        }
        Ok(Self(steps))
    }
}

struct BranchVisitor;

impl<'de> de::Visitor<'de> for BranchVisitor {
    type Value = Vec<Step>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a step or a list of steps")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Vec<Step>, E> {
        Step::bare(word).map(|step| vec![step])
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Vec<Step>, A::Error> {
        StepVisitor.visit_map(map).map(|step| vec![step])
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Vec<Step>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list))
    }
}

/// Written as a list or as a map that holds it.
struct Listed<T, I> {
    full: T,
    items: PhantomData<I>,
}

impl<'de, T, I> Deserialize<'de> for Listed<T, I>
where
    T: Deserialize<'de> + From<Vec<I>>,
    I: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListedVisitor(PhantomData))
    }
}

struct ListedVisitor<T, I>(PhantomData<(T, I)>);

impl<'de, T, I> de::Visitor<'de> for ListedVisitor<T, I>
where
    T: Deserialize<'de> + From<Vec<I>>,
    I: Deserialize<'de>,
{
    type Value = Listed<T, I>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        let items = Vec::<I>::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(Listed { full: items.into(), items: PhantomData })
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let full = T::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Listed { full, items: PhantomData })
    }
}

impl<'de> Deserialize<'de> for Choose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ChooseVisitor)
    }
}

struct ChooseVisitor;

impl<'de> de::Visitor<'de> for ChooseVisitor {
    type Value = Choose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with `by` and a list of steps for every value of that axis")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Choose, A::Error> {
        let mut by = None;
        let mut alternatives = Vec::new();
        while let Some(key) = map.next_key::<Scalar>()? {
            if key.text == "by" {
                by = Some(map.next_value()?);
            } else {
                alternatives.push((key, map.next_value()?));
            }
        }
        Ok(Choose { by: by.ok_or_else(|| de::Error::missing_field("by"))?, alternatives })
    }
}
