//! Steps as a scenario writes them: `- yield`, `- sleep: 10ms`, `- sleep: { for: 10ms, how: polling }`.
//!
//! Never knows where a step stands, nor what `$axis` is; it takes the shape and keeps the places.

use serde::Deserialize;

use super::error::Place;
use super::scalar::{Scalar, given};

/// Every step's word, in the order in which the language is taught.
pub(super) const WORDS: &[&str] = &[
    "recv",
    "send",
    "echo",
    "sleep",
    "cpu",
    "hash",
    "read_file",
    "yield",
    "spawn",
    "join",
    "gather",
    "sequence",
    "repeat",
    "ping_pong",
    "choose",
];

#[derive(Debug)]
pub(super) struct Step {
    /// Of its word.
    pub(super) at: Place,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Recv(Exchange),
    Send(Exchange),
    Echo(Exchange),
    Sleep(Timed),
    Cpu(Timed),
    Hash(Hash),
    ReadFile(ReadFile),
    Yield(Plain),
    Spawn(Spawn),
    Join(Plain),
    Gather(Gather),
    Sequence(Sequence),
    Repeat(Repeat),
    PingPong(PingPong),
    Choose(Choose),
}

/// recv, send, echo.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    #[serde(default, deserialize_with = "given")]
    pub(super) how: Option<Scalar>,
    #[serde(default, deserialize_with = "given")]
    pub(super) r#as: Option<Scalar>,
}

/// sleep, cpu.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Timed {
    pub(super) r#for: Scalar,
    #[serde(default, deserialize_with = "given")]
    pub(super) how: Option<Scalar>,
    #[serde(default, deserialize_with = "given")]
    pub(super) r#as: Option<Scalar>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hash {
    pub(super) rounds: Scalar,
    #[serde(default, deserialize_with = "given")]
    pub(super) how: Option<Scalar>,
    #[serde(default, deserialize_with = "given")]
    pub(super) r#as: Option<Scalar>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadFile {
    #[serde(default, deserialize_with = "given")]
    pub(super) file: Option<Scalar>,
    #[serde(default, deserialize_with = "given")]
    pub(super) how: Option<Scalar>,
    #[serde(default, deserialize_with = "given")]
    pub(super) r#as: Option<Scalar>,
}

/// yield, join.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plain {
    #[serde(default, deserialize_with = "given")]
    pub(super) r#as: Option<Scalar>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spawn {
    pub(super) count: Scalar,
    pub(super) steps: Vec<Step>,
    #[serde(default, deserialize_with = "given")]
    pub(super) r#as: Option<Scalar>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gather {
    pub(super) branches: Vec<Branch>,
    #[serde(default, deserialize_with = "given")]
    pub(super) r#as: Option<Scalar>,
}

/// A list of steps, or one step.
#[derive(Debug)]
pub(super) struct Branch(pub(super) Vec<Step>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sequence {
    pub(super) steps: Vec<Step>,
    #[serde(default, deserialize_with = "given")]
    pub(super) r#as: Option<Scalar>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Repeat {
    pub(super) times: Scalar,
    pub(super) steps: Vec<Step>,
    #[serde(default, deserialize_with = "given")]
    pub(super) r#as: Option<Scalar>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PingPong {
    pub(super) rounds: Scalar,
    #[serde(default, deserialize_with = "given")]
    pub(super) r#as: Option<Scalar>,
}

/// Steps that stand there for one value of an axis each.
#[derive(Debug)]
pub(super) struct Choose {
    pub(super) by: Scalar,
    pub(super) alternatives: Vec<(Scalar, Vec<Step>)>,
}

/// Declares the short form of a step: its one necessary field.
macro_rules! short_form {
    ($step:ident, $field:ident, $value:expr) => {
        impl From<Scalar> for $step {
            fn from(scalar: Scalar) -> Self {
                Self { $field: $value(scalar), how: None, r#as: None }
            }
        }
    };
}

short_form!(Timed, r#for, std::convert::identity);
short_form!(Hash, rounds, std::convert::identity);
short_form!(ReadFile, file, Some);

impl From<Scalar> for Exchange {
    fn from(how: Scalar) -> Self {
        Self { how: Some(how), r#as: None }
    }
}

impl From<Scalar> for PingPong {
    fn from(rounds: Scalar) -> Self {
        Self { rounds, r#as: None }
    }
}

impl From<Vec<Branch>> for Gather {
    fn from(branches: Vec<Branch>) -> Self {
        Self { branches, r#as: None }
    }
}

impl From<Vec<Step>> for Sequence {
    fn from(steps: Vec<Step>) -> Self {
        Self { steps, r#as: None }
    }
}

impl Body {
    /// The step lists inside this step; those of a `choose` all count.
    pub(super) fn lists(&self) -> Vec<&[Step]> {
        match self {
            Body::Spawn(spawn) => vec![&spawn.steps],
            Body::Sequence(sequence) => vec![&sequence.steps],
            Body::Repeat(repeat) => vec![&repeat.steps],
            Body::Gather(gather) => gather.branches.iter().map(|b| b.0.as_slice()).collect(),
            Body::Choose(choose) => {
                let lists = choose.alternatives.iter();
                lists.map(|(_, steps)| steps.as_slice()).collect()
            }
            _ => vec![],
        }
    }
}
