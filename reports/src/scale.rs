//! Values of an axis as numbers: `64`, `4KiB`, `250us`, `1000/s`.
//!
//! Never reads a list as numbers if one of its values is none: `[1, 2, many]` has no order.

use crate::number;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Count,
    Duration,
    Size,
    Rate,
}

/// As scenarios write them, in the least unit of each kind.
const UNITS: [(&str, Kind, f64); 10] = [
    ("", Kind::Count, 1.0),
    ("ns", Kind::Duration, 1.0),
    ("us", Kind::Duration, 1e3),
    ("ms", Kind::Duration, 1e6),
    ("s", Kind::Duration, 1e9),
    ("B", Kind::Size, 1.0),
    ("KiB", Kind::Size, 1024.0),
    ("MiB", Kind::Size, 1_048_576.0),
    ("GiB", Kind::Size, 1_073_741_824.0),
    ("/s", Kind::Rate, 1.0),
];

/// What the values of one axis count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale(Kind);

impl Scale {
    /// `None` unless all values are numbers of one kind.
    pub(crate) fn of<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut scale = None;
        for value in values {
            let (kind, _) = read(value)?;
            if scale.is_some_and(|Self(known)| known != kind) {
                return None;
            }
            scale = Some(Self(kind));
        }
        scale
    }

    pub(crate) fn position(&self, value: &str) -> f64 {
        read(value).map_or(0.0, |(_, position)| position)
    }

    /// A place strictly between two values of the axis, rounded to what is known of it;
    /// `None` where rounding leaves nothing between them.
    pub(crate) fn place_between(&self, low: f64, high: f64, place: f64) -> Option<String> {
        let digits = if high / low > 3.0 { 1.0 } else { 10.0 };
        let unit = 10_f64.powf(place.log10().floor()) / digits;
        let unit = if unit < 1.0 { 1.0 } else { unit };
        let rounded = (place / unit).round() * unit;
        (low < rounded && rounded < high).then(|| match self.0 {
            Kind::Count => number::count(rounded as u64),
            Kind::Duration => number::round_duration(rounded as u64),
            Kind::Size => number::bytes(rounded as u64),
            Kind::Rate => format!("{}/s", number::count(rounded as u64)),
        })
    }
}

fn read(value: &str) -> Option<(Kind, f64)> {
    let end = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let (number, unit) = value.split_at(end);
    let (_, kind, factor) = UNITS.iter().find(|(name, ..)| *name == unit)?;
    let number: f64 = number.parse().ok()?;
    Some((*kind, number * factor)).filter(|(_, position)| position.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], positions: Option<&[f64]>) {
        let scale = Scale::of(values.iter().copied());
        let seen: Option<Vec<f64>> =
            scale.map(|scale| values.iter().map(|value| scale.position(value)).collect());
        assert_eq!(seen.as_deref(), positions, "{values:?}");
    }

    #[test]
    fn numbers_of_one_kind_are_a_scale() {
        check(&["1", "64", "1024"], Some(&[1.0, 64.0, 1024.0]));
        check(&["64B", "4KiB", "1.5MiB"], Some(&[64.0, 4096.0, 1_572_864.0]));
        check(&["250us", "1ms", "2s"], Some(&[250e3, 1e6, 2e9]));
        check(&["1000/s", "0/s"], Some(&[1000.0, 0.0]));
        check(&["await", "blocking"], None);
        check(&["1", "2", "many"], None);
        check(&["1", "2B"], None);
        check(&["1.2.3"], None);
        check(&["", "-1"], None);
        check(&[], None);
    }

    #[test]
    fn a_place_is_rounded_to_what_is_known() {
        let between = |value: &str, low: f64, high: f64, place: f64| {
            Scale::of([value].into_iter()).unwrap().place_between(low, high, place)
        };
        assert_eq!(between("16", 16.0, 64.0, 33.7).as_deref(), Some("30"));
        assert_eq!(between("16", 100.0, 200.0, 133.7).as_deref(), Some("130"));
        assert_eq!(between("1", 1.0, 4.0, 2.2).as_deref(), Some("2"));
        assert_eq!(between("1KiB", 1024.0, 4096.0, 2048.0).as_deref(), Some("2.0 KiB"));
        assert_eq!(between("1", 1.0, 2.0, 1.4), None);
        assert_eq!(between("16", 16.0, 64.0, 16.1), Some("20".to_owned()));
    }
}
