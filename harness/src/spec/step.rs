//! How a step is written: `- yield`, `- sleep: 10ms`, `- sleep: { for: 10ms, how: polling }`.
//!
//! Never depends on where a step stands or what `$axis` is; it checks the shape and keeps the places.

use quadrant_suite::plan::How;

use super::error::{Place, SpecError, error};
use super::fields::Fields;
use super::mistakes::Mistakes;
use super::yaml::{Node, Scalar, Value};
use crate::terminal::nearest::{hint, quoted};

pub(super) struct Shape {
    pub(super) word: &'static str,
    /// The field that `word: value` gives; empty if there is none.
    main: &'static str,
    /// Empty for `choose`, whose keys are an axis's values.
    keys: &'static str,
    /// The ways to perform it; the first is the default.
    pub(super) how: &'static [How],
    /// Of a step that cannot be its word alone; else empty.
    example: &'static str,
}

const ALL: &[How] = &[How::Await, How::Blocking, How::Polling, How::Forced, How::Offload];
/// Systems have no writes to files that return instead of waiting.
const WRITE: &[How] = &[How::Await, How::Blocking, How::Forced, How::Offload];
const COMPUTE: &[How] = &[How::Blocking, How::Offload];
/// Waiting for another task, of which there is no blocking call.
const MEET: &[How] = &[How::Await, How::Polling, How::Forced];

/// In the order in which `specs/README.md` teaches them.
const SHAPES: &[Shape] = &[
    shape("recv", "how", "how as", ALL, ""),
    shape("send", "how", "how as", ALL, ""),
    shape("echo", "how", "how as", ALL, ""),
    shape("sleep", "for", "for how as", ALL, "- sleep: 10ms"),
    shape("cpu", "for", "for how as", COMPUTE, "- cpu: 1ms"),
    shape("hash", "rounds", "rounds function how as", COMPUTE, "- hash: 20000"),
    shape("read_file", "file", "file how as", ALL, ""),
    shape("write_file", "size", "size sync how as", WRITE, "- write_file: 4KiB"),
    shape("query", "backend", "backend new how as", ALL, ""),
    shape("connect", "backend", "backend how as", ALL, ""),
    shape("yield", "", "as", &[], ""),
    shape("spawn", "", "count steps as", &[], "- spawn: { count: 10, steps: [yield] }"),
    shape("join", "how", "how as", MEET, ""),
    shape("gather", "branches", "branches as", &[], "- gather: [{ sleep: 1ms }, { sleep: 2ms }]"),
    shape("sequence", "steps", "steps as", &[], "- sequence: [recv, send]"),
    shape("repeat", "", "times steps as", &[], "- repeat: { times: 10, steps: [yield] }"),
    shape("ping_pong", "rounds", "rounds as", &[], "- ping_pong: 100"),
    shape("timeout", "", "for steps as", &[], "- timeout: { for: 10ms, steps: [sleep: 1s] }"),
    shape("race", "branches", "branches as", &[], "- race: [{ sleep: 1ms }, { sleep: 2ms }]"),
    shape("lock", "", "name steps how as", MEET, "- lock: { name: table, steps: [yield] }"),
    shape("barrier", "", "as", &[], ""),
    shape("send_to", "channel", "channel capacity as", &[], "- send_to: jobs"),
    shape("receive_from", "channel", "channel as", &[], "- receive_from: jobs"),
    shape("choose", "", "", &[], "- choose: { by: $axis, one: [yield], two: [join] }"),
];

const fn shape(
    word: &'static str,
    main: &'static str,
    keys: &'static str,
    how: &'static [How],
    example: &'static str,
) -> Shape {
    Shape { word, main, keys, how, example }
}

impl Shape {
    fn of(word: &Scalar) -> Result<&'static Self, SpecError> {
        SHAPES.iter().find(|shape| shape.word == word.text).ok_or_else(|| {
            error!(word.at, "unknown step {}", quoted(&word.text))
                .help_if(hint(&word.text, SHAPES.iter().map(|shape| shape.word)))
        })
    }
}

pub(super) struct Step<'a> {
    pub(super) shape: &'static Shape,
    /// Of its word.
    pub(super) at: Place,
    pub(super) fields: Fields<'a>,
}

impl<'a> Step<'a> {
    pub(super) fn of(node: &'a Node, mistakes: &mut Mistakes) -> Result<Self, SpecError> {
        let entries = match &node.value {
            Value::Text(word) => return Self::bare(word),
            Value::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        let [(word, value), rest @ ..] = entries else {
            return Err(error!(node.at, "a step is expected here"));
        };
        let shape = Shape::of(word)?;
        if let Some((second, _)) = rest.first() {
            let word = shape.word;
            return Err(error!(
                second.at,
                "{} stands beside `{word}`; begin every step with `-`, and put what belongs to a step in braces: `{word}: {{ … }}`",
                quoted(&second.text)
            ));
        }
        let fields = match (&value.value, shape.main, shape.keys) {
            (Value::Map(_), _, "") | (_, "", "") => Fields::of_any(value, shape.word)?,
            (Value::Map(_), _, keys) | (_, "", keys) => {
                Fields::of(value, shape.word, keys, mistakes)?
            }
            (_, main, _) => Fields::short(shape.word, Some((main, value))),
        };
        Ok(Self { shape, at: word.at, fields })
    }

    /// A step that is only its word.
    fn bare(word: &Scalar) -> Result<Self, SpecError> {
        let shape = Shape::of(word)?;
        if !shape.example.is_empty() {
            let Shape { word: name, example, .. } = shape;
            return Err(error!(word.at, "`{name}` needs a value; write it like `{example}`"));
        }
        Ok(Self { shape, at: word.at, fields: Fields::short(shape.word, None) })
    }
}
