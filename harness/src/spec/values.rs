//! The axes' values in one case, put in where `$axis` stands, and the reading of any value.
//!
//! Never keeps a value: the same text is read anew for every case, so there is one way to read it.

use super::axes::Axes;
use super::error::{Place, Problem};
use super::nearest;
use super::quantity::{Limit, quoted};
use super::scalar::Scalar;
use quadrant_reports::record::AxisValue;

pub(super) struct Values<'a> {
    axes: &'a Axes,
    positions: Vec<usize>,
    used: Vec<bool>,
}

/// Why a text cannot be what it has to be.
pub(super) struct Complaint {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl From<String> for Complaint {
    fn from(message: String) -> Self {
        Self { message, help: None }
    }
}

impl<'a> Values<'a> {
    pub(super) fn of_case(axes: &'a Axes, case: usize) -> Self {
        Self { axes, positions: axes.positions(case), used: vec![false; axes.all().len()] }
    }

    pub(super) fn axes(&self) -> &'a Axes {
        self.axes
    }

    /// Which axes have been used so far.
    pub(super) fn used(&self) -> &[bool] {
        &self.used
    }

    pub(super) fn value(&self, axis: usize) -> &'a str {
        &self.axes.all()[axis].values[self.positions[axis]]
    }

    pub(super) fn list(&self) -> Vec<AxisValue> {
        let axes = self.axes.all().iter().enumerate();
        axes.map(|(index, axis)| AxisValue {
            axis: axis.name.clone(),
            value: self.value(index).to_owned(),
        })
        .collect()
    }

    /// ` in the case how=offload`, for what only some cases have.
    pub(super) fn in_case(&self) -> String {
        let list = self.list();
        if list.is_empty() {
            return String::new();
        }
        let values: Vec<String> =
            list.iter().map(|value| format!("{}={}", value.axis, value.value)).collect();
        format!(" in the case {}", values.join(", "))
    }

    /// The axis that `$name` means.
    pub(super) fn axis(&mut self, name: &str, at: Place) -> Result<usize, Problem> {
        let Some(axis) = self.axes.find(name) else {
            let names: Vec<String> =
                self.axes.all().iter().map(|a| format!("${}", a.name)).collect();
            let seen = format!("${name}");
            let advice =
                nearest::advice(&seen, names.iter().map(String::as_str)).unwrap_or_else(|| {
                    format!("name it under `axes:`, as in `axes: {{ {name}: [1, 2] }}`")
                });
            return Err(Problem::new(at, format!("there is no axis {}", quoted(name))).help(advice));
        };
        self.used[axis] = true;
        Ok(axis)
    }

    /// Reads a value; `usage` says what it is for, should the fault lie in an axis.
    pub(super) fn read<T, C: Into<Complaint>>(
        &mut self,
        scalar: &Scalar,
        usage: &str,
        read: impl FnOnce(&str) -> Result<T, C>,
    ) -> Result<T, Problem> {
        let Some(name) = scalar.axis() else {
            return read(&scalar.text).map_err(|complaint| {
                let complaint = complaint.into();
                Problem::new(scalar.at, complaint.message).help(complaint.help)
            });
        };
        let axis = self.axis(name, scalar.at)?;
        read(self.value(axis)).map_err(|complaint| {
            let complaint = complaint.into();
            let message = format!(
                "{} (a value of the axis `{name}`, which line {} uses as {usage})",
                complaint.message, scalar.at.line
            );
            let at = self.axes.value_at(axis, self.positions[axis]);
            Problem::new(at, message).help(complaint.help)
        })
    }

    pub(super) fn quantity(
        &mut self,
        scalar: &Scalar,
        usage: &str,
        limit: Limit,
    ) -> Result<u64, Problem> {
        self.read(scalar, usage, |text| limit.read(text))
    }

    /// For limits that fit.
    pub(super) fn quantity_u32(
        &mut self,
        scalar: &Scalar,
        usage: &str,
        limit: Limit,
    ) -> Result<u32, Problem> {
        self.read(scalar, usage, |text| {
            u32::try_from(limit.read(text)?).map_err(|_| format!("{} is too large", quoted(text)))
        })
    }

    pub(super) fn quantity_or(
        &mut self,
        scalar: Option<&Scalar>,
        usage: &str,
        limit: Limit,
        default: u64,
    ) -> Result<u64, Problem> {
        scalar.map_or(Ok(default), |scalar| self.quantity(scalar, usage, limit))
    }
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Complaint> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    Err(Complaint {
        message: format!("{} is not possible here", quoted(text)),
        help: nearest::advice(text, words.iter().map(|(word, _)| *word)),
    })
}
