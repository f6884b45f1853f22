//! The axes of a scenario and the cases they span.
//!
//! Never makes a list of all cases; a case is worked out from its index.

use super::document::Entries;
use super::error::{Place, Problem};
use super::limits;
use super::names;
use super::quantity::quoted;
use super::scalar::Scalar;
use quadrant_reports::number::grouped;

/// A named list of values; every combination of the axes' values is one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    pub name: String,
    /// As written.
    pub values: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Axes {
    axes: Vec<Axis>,
    names_at: Vec<Place>,
    values_at: Vec<Vec<Place>>,
}

impl Axes {
    pub(super) fn read(entries: &Entries<Vec<Scalar>>) -> Result<Self, Problem> {
        let mut read = Self { axes: Vec::new(), names_at: Vec::new(), values_at: Vec::new() };
        let mut cases = 1_usize;
        for (name, values) in &entries.0 {
            names::check(name)?;
            check_values(name, values)?;
            if read.axes.len() == limits::AXES {
                return Err(Problem::new(
                    name.at,
                    format!("there are too many axes; a scenario can have {}", limits::AXES),
                ));
            }
            cases = cases.saturating_mul(values.len());
            if cases > limits::CASES {
                return Err(Problem::new(
                    name.at,
                    format!(
                        "with this axis there are {} cases; a scenario can have {}",
                        grouped(cases as u64),
                        grouped(limits::CASES as u64)
                    ),
                ));
            }
            read.axes.push(Axis {
                name: name.text.clone(),
                values: values.iter().map(|value| value.text.clone()).collect(),
            });
            read.names_at.push(name.at);
            read.values_at.push(values.iter().map(|value| value.at).collect());
        }
        Ok(read)
    }

    pub(super) fn all(&self) -> &[Axis] {
        &self.axes
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.axes.iter().position(|axis| axis.name == name)
    }

    pub(super) fn name_at(&self, axis: usize) -> Place {
        self.names_at[axis]
    }

    pub(super) fn value_at(&self, axis: usize, value: usize) -> Place {
        self.values_at[axis][value]
    }

    pub(super) fn case_count(&self) -> usize {
        self.axes.iter().map(|axis| axis.values.len()).product()
    }

    /// Which value of every axis the case has; the last axis changes fastest.
    pub(super) fn positions(&self, case: usize) -> Vec<usize> {
        let mut rest = case;
        let mut positions = vec![0; self.axes.len()];
        for (position, axis) in positions.iter_mut().zip(&self.axes).rev() {
            *position = rest % axis.values.len();
            rest /= axis.values.len();
        }
        positions
    }
}

fn check_values(name: &Scalar, values: &[Scalar]) -> Result<(), Problem> {
    let axis = quoted(&name.text);
    if values.is_empty() {
        return Err(Problem::new(name.at, format!("the axis {axis} has no values")));
    }
    if values.len() > limits::AXIS_VALUES {
        return Err(Problem::new(
            values[limits::AXIS_VALUES].at,
            format!("the axis {axis} has too many values; it can have {}", limits::AXIS_VALUES),
        ));
    }
    for (index, value) in values.iter().enumerate() {
        let shown = quoted(&value.text);
        if values[..index].iter().any(|before| before.text == value.text) {
            return Err(Problem::new(
                value.at,
                format!("the value {shown} stands twice in the axis {axis}"),
            ));
        }
        // These values are given on the command line too: `--axis how=blocking,offload`.
        let plain = |c: char| c.is_ascii_alphanumeric() || "._/-+".contains(c);
        if value.text.is_empty()
            || value.text.chars().count() > limits::NAME_CHARS
            || !value.text.chars().all(plain)
        {
            return Err(Problem::new(
                value.at,
                format!(
                    "{shown} cannot be a value of an axis; it is made of letters, digits and `.` `_` `/` `-` `+`"
                ),
            ));
        }
    }
    Ok(())
}
