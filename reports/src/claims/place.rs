//! Where a finding counts: what is fixed of the subject's name, and of the scenario's axes.
//!
//! Never knows which values are possible.

use crate::record::claim::PARTS;
use crate::record::{AxisValue, Subject};
use crate::scale::Scale;

/// Stands beside the parts of a name, for what no scenario can name: options.
const REST: &str = "";

/// A case with the parts of a subject's name, or what remains if some of them are left open.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// At most one value for each of [`PARTS`], and the rest.
    pub(super) subject: Vec<AxisValue>,
    pub(super) axes: Vec<AxisValue>,
}

impl Place {
    pub(super) fn of(subject: &Subject, case: &[AxisValue]) -> Self {
        let Subject { id, runtime, executor, backend, .. } = subject;
        let rest = id.strip_prefix(&format!("{runtime}/{executor}/{backend}")).unwrap_or(id);
        let parts = PARTS.into_iter().zip([runtime, executor, backend]);
        let parts = parts.map(|(part, value)| value_of(part, value));
        let rest = (!rest.is_empty()).then(|| value_of(REST, rest));
        Self { subject: parts.chain(rest).collect(), axes: case.to_vec() }
    }

    /// The same with some axes and parts left open.
    pub(super) fn without(&self, left_open: &[AxisValue]) -> Self {
        let subject = held(&self.subject, left_open);
        Self { subject, ..self.without_axes(left_open) }
    }

    /// The same with some axes left open. An axis may have the name of a part.
    pub(super) fn without_axes(&self, left_open: &[AxisValue]) -> Self {
        Self { subject: self.subject.clone(), axes: held(&self.axes, left_open) }
    }

    pub(super) fn has(&self, values: &[AxisValue]) -> bool {
        values.iter().all(|value| self.subject.contains(value) || self.axes.contains(value))
    }

    /// Whether all that is fixed elsewhere is the same here.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let all_in = |few: &[AxisValue], many: &[AxisValue]| few.iter().all(|it| many.contains(it));
        all_in(&other.subject, &self.subject) && all_in(&other.axes, &self.axes)
    }

    /// The subject's name, with `*` for each part that is left open.
    pub(super) fn subject_name(&self) -> String {
        if self.subject.is_empty() {
            // A ratio names both sides whole, or there is none.
            return "the subjects".to_owned();
        }
        let value = |part| {
            let found = self.subject.iter().find(|value| value.axis == part);
            found.map(|value| value.value.as_str())
        };
        PARTS.map(|part| value(part).unwrap_or("*")).join("/") + value(REST).unwrap_or_default()
    }
}

fn held(values: &[AxisValue], left_open: &[AxisValue]) -> Vec<AxisValue> {
    let is_held = |value: &&AxisValue| left_open.iter().all(|open| open.axis != value.axis);
    values.iter().filter(is_held).cloned().collect()
}

fn value_of(axis: &str, value: &str) -> AxisValue {
    AxisValue { axis: axis.to_owned(), value: value.to_owned() }
}

/// The scale of the only axis that all of these places have, if it has numbers.
pub(super) fn single_scale<'a>(places: impl Iterator<Item = &'a Place> + Clone) -> Option<Scale> {
    let mut axes = places.clone().map(|place| match place.axes.as_slice() {
        [only] => Some(only.axis.as_str()),
        _ => None,
    });
    let first = axes.next()??;
    axes.all(|axis| axis == Some(first)).then_some(())?;
    Scale::of(places.map(|place| place.axes[0].value.as_str()))
}

/// In ascending order of the only axis, if it has numbers.
pub(super) fn sort<T>(items: &mut [T], place: impl Fn(&T) -> &Place) {
    if let Some(scale) = single_scale(items.iter().map(&place)) {
        let position = |item: &T| scale.position(&place(item).axes[0].value);
        items.sort_by(|a, b| position(a).total_cmp(&position(b)));
    }
}
