//! The axes of a scenario, the cases they span, and the reading of values that may be `$axis`.
//!
//! Never makes a list of all cases, and never keeps a value: both are derived from a case's index.

use quadrant_reports::number::grouped;
use quadrant_reports::record::AxisValue;

use super::error::{Place, SpecError, error};
use super::fields::{Field, Fields};
use super::limits;
use super::mistakes::Mistakes;
use super::names;
use super::quantity::Limit;
use super::yaml::{Node, Scalar};
use crate::terminal::nearest::{hint, quoted};

/// A named list of values; every combination of the axes' values is one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    pub name: String,
    /// As written.
    pub values: Vec<String>,
    name_at: Place,
    values_at: Vec<Place>,
}

/// Nothing if there are cases that cannot be made of them.
pub(super) fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Vec<Axis>> {
    let written = mistakes.keep(node.map())?;
    if let Some((name, _)) = written.get(limits::AXES) {
        let most = limits::AXES;
        mistakes.add(error!(name.at, "there are too many axes; a scenario can have {most}"));
        return None;
    }
    let mut axes = Vec::new();
    for (name, values) in written {
        mistakes.keep(names::check(name));
        let values = read_values(name, values, mistakes);
        axes.push(Axis {
            name: name.text.clone(),
            values: values.iter().map(|value| value.text.clone()).collect(),
            name_at: name.at,
            values_at: values.iter().map(|value| value.at).collect(),
        });
        let (cases, most) = (case_count(&axes), limits::CASES);
        if cases > most {
            let (cases, most) = (grouped(cases as u64), grouped(most as u64));
            mistakes.add(error!(
                name.at,
                "with this axis there are {cases} cases; a scenario can have {most}"
            ));
            return None;
        }
    }
    (case_count(&axes) > 0).then_some(axes)
}

pub(super) fn case_count(axes: &[Axis]) -> usize {
    axes.iter().map(|axis| axis.values.len()).product()
}

pub(super) fn check_used(axes: &[Axis], used: &[bool], mistakes: &mut Mistakes) {
    for (Axis { name, name_at, .. }, _) in axes.iter().zip(used).filter(|(_, used)| !**used) {
        mistakes.add(
            error!(*name_at, "the axis `{name}` is never used")
                .help(format!("write `${name}` where its values belong")),
        );
    }
}

/// Wrong values too: what uses them is checked all the same.
fn read_values<'a>(name: &Scalar, values: &'a Node, mistakes: &mut Mistakes) -> Vec<&'a Scalar> {
    let axis = quoted(&name.text);
    let Some(values) = mistakes.keep(values.list()) else { return Vec::new() };
    if values.is_empty() {
        mistakes.add(error!(name.at, "the axis {axis} has no values"));
    }
    if let Some(first_beyond) = values.get(limits::AXIS_VALUES) {
        let most = limits::AXIS_VALUES;
        mistakes.add(error!(
            first_beyond.at,
            "the axis {axis} has too many values; it can have {most}"
        ));
        return values[..most].iter().filter_map(|value| value.text().ok()).collect();
    }
    let mut read: Vec<&Scalar> = Vec::new();
    for value in values {
        let Some(value) = mistakes.keep(value.text()) else { continue };
        let text = value.text.as_str();
        let shown = quoted(text);
        // These values are given on the command line too: `--axis how=blocking,offload`.
        let plain = |c: char| c.is_ascii_alphanumeric() || "._/-+".contains(c);
        if text.is_empty() || text.len() > limits::NAME_CHARS || !text.chars().all(plain) {
            mistakes.add(error!(
                value.at,
                "{shown} cannot be a value of an axis; it is made of letters, digits and `.` `_` `/` `-` `+`"
            ));
        }
        if read.iter().any(|before| before.text == text) {
            mistakes.add(error!(value.at, "the value {shown} stands twice in the axis {axis}"));
        }
        read.push(value);
    }
    read
}

/// The axes' values in one case, put in where `$axis` stands.
pub(super) struct CaseValues<'a> {
    axes: &'a [Axis],
    /// Which value of each axis.
    positions: Vec<usize>,
    /// Which axes have been used so far.
    pub(super) used: Vec<bool>,
    /// Axes are missing because they have mistakes.
    pub(super) lacks_axes: bool,
    /// Those found while reading this case.
    pub(super) mistakes: Mistakes,
}

impl<'a> CaseValues<'a> {
    /// The last axis changes fastest.
    pub(super) fn of(axes: &'a [Axis], case: usize) -> Self {
        let mut rest = case;
        let mut positions = vec![0; axes.len()];
        for (position, axis) in positions.iter_mut().zip(axes).rev() {
            *position = rest % axis.values.len();
            rest /= axis.values.len();
        }
        let used = vec![false; axes.len()];
        Self { axes, positions, used, lacks_axes: false, mistakes: Mistakes::default() }
    }

    pub(super) fn list(&self) -> Vec<AxisValue> {
        let axes = self.axes.iter().zip(&self.positions);
        axes.map(|(axis, position)| AxisValue {
            axis: axis.name.clone(),
            value: axis.values[*position].clone(),
        })
        .collect()
    }

    /// ` in the case how=offload`, for errors that only some cases have.
    pub(super) fn in_case(&self) -> String {
        let values = self.list();
        let values = values.iter().map(|value| format!("{}={}", value.axis, value.value));
        let values = values.collect::<Vec<_>>().join(", ");
        if values.is_empty() { values } else { format!(" in the case {values}") }
    }

    /// The index of an axis. `sign` stands before its name there: `$`, or nothing.
    pub(super) fn find(&self, sign: &str, name: &str, at: Place) -> Result<usize, SpecError> {
        let axes = self.axes;
        axes.iter().position(|axis| axis.name == name).ok_or_else(|| {
            let names: Vec<String> =
                axes.iter().map(|axis| format!("{sign}{}", axis.name)).collect();
            let near = hint(&format!("{sign}{name}"), names.iter().map(String::as_str));
            let help = near.unwrap_or_else(|| {
                format!("name it under `axes:`, as in `axes: {{ {name}: [1, 2] }}`")
            });
            error!(at, "there is no axis {}", quoted(name))
                .help(help)
                .consequence_if(self.lacks_axes)
        })
    }

    pub(super) fn axis(&self, axis: usize) -> &'a Axis {
        &self.axes[axis]
    }

    pub(super) fn value(&self, axis: usize) -> &'a str {
        &self.axis(axis).values[self.positions[axis]]
    }

    /// A text that must be one of an axis's values.
    pub(super) fn check_value(&self, axis: usize, value: &Scalar) -> Result<(), SpecError> {
        let Axis { name, values, .. } = self.axis(axis);
        if values.contains(&value.text) {
            return Ok(());
        }
        Err(error!(value.at, "{} is no value of the axis `{name}`", quoted(&value.text))
            .help_if(hint(&value.text, values.iter().map(String::as_str))))
    }

    /// Reads a value, or the axis's value where `$axis` stands.
    pub(super) fn read<T, E: Into<SpecError>>(
        &mut self,
        field: Field<'_>,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, SpecError> {
        let scalar = field.node.text()?;
        self.read_text(&scalar.text, scalar.at, || field.usage(), read)
    }

    /// The same for a part of a value; `usage` names what the value is for.
    pub(super) fn read_text<T, E: Into<SpecError>>(
        &mut self,
        text: &str,
        at: Place,
        usage: impl FnOnce() -> String,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, SpecError> {
        let Some(name) = text.strip_prefix('$') else {
            return read(text).map_err(|error| error.into().moved(at, ""));
        };
        let axis = self.find("$", name, at)?;
        self.used[axis] = true;
        read(self.value(axis)).map_err(|error| {
            let line = at.line;
            let more =
                format!(" (a value of the axis `{name}`, which line {line} uses as {})", usage());
            error.into().moved(self.axes[axis].values_at[self.positions[axis]], &more)
        })
    }

    /// A quantity within its limit, as a type that the limit fits into. The least one if there is a
    /// mistake.
    pub(super) fn quantity<T: TryFrom<u64>>(
        &mut self,
        fields: &Fields<'_>,
        key: &'static str,
        limit: Limit,
    ) -> T {
        let read = fields.need(key).and_then(|field| {
            self.read(field, |text| {
                T::try_from(limit.read(text)?).map_err(|_| format!("{} is too large", quoted(text)))
            })
        });
        let least = || T::try_from(limit.least).ok().expect("the limits of a type fit into it");
        self.mistakes.keep(read).unwrap_or_else(least)
    }

    /// The same for a field that may be left out.
    pub(super) fn quantity_if<T: TryFrom<u64>>(
        &mut self,
        fields: &Fields<'_>,
        key: &'static str,
        limit: Limit,
    ) -> Option<T> {
        fields.get(key).map(|_| self.quantity(fields, key, limit))
    }

    /// One of a few words, where it is not left out.
    pub(super) fn one_of<'w, T: Copy>(
        &mut self,
        field: Option<Field<'_>>,
        words: impl IntoIterator<Item = (&'w str, T)> + Clone,
    ) -> Option<T> {
        let field = field?;
        let read = self.read(field, |text| {
            let found = words.clone().into_iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| value).ok_or_else(|| {
                let words: Vec<&str> = words.clone().into_iter().map(|(word, _)| word).collect();
                let message = format!("{} is not possible for {}", quoted(text), field.usage());
                SpecError::from(message).help_if(hint(text, words))
            })
        });
        self.mistakes.keep(read)
    }
}
