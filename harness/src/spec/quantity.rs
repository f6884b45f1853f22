//! Counts, durations, sizes and rates as people write them: `100`, `250us`, `64KiB`, `2000/s`.
//!
//! Never rounds: `1.5s` is taken because it is exact, `0.1ns` is refused because it is not.

use super::decimal::{Exact, exact, split};
use quadrant_reports::number::grouped;

/// A kind of quantity and the least and the most of it that is allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    kind: Kind,
    least: u64,
    most: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Count,
    Duration,
    Size,
    Rate,
}

impl Limit {
    pub(super) const fn count(least: u64, most: u64) -> Self {
        Self::new(Kind::Count, least, most)
    }

    /// In nanoseconds.
    pub(super) const fn duration(least: u64, most: u64) -> Self {
        Self::new(Kind::Duration, least, most)
    }

    /// In bytes.
    pub(super) const fn size(least: u64, most: u64) -> Self {
        Self::new(Kind::Size, least, most)
    }

    /// Per second.
    pub(super) const fn rate(least: u64, most: u64) -> Self {
        Self::new(Kind::Rate, least, most)
    }

    const fn new(kind: Kind, least: u64, most: u64) -> Self {
        Self { kind, least, most }
    }

    /// The quantity in nanoseconds, bytes, or as a number; an error is a whole sentence.
    pub(super) fn read(self, text: &str) -> Result<u64, String> {
        let value = self.kind.read(text)?;
        if (self.least..=self.most).contains(&value) {
            return Ok(value);
        }
        Err(format!(
            "{} is too {}; it can be from {} to {}",
            quoted(text),
            if value < self.least { "small" } else { "large" },
            self.kind.written(self.least),
            self.kind.written(self.most),
        ))
    }
}

impl Kind {
    pub(super) fn read(self, text: &str) -> Result<u64, String> {
        let wrong = |why: &str| Err(format!("{} {why}", quoted(text)));
        if text.is_empty() {
            return Err(format!("nothing stands here; write {}", self.advice()));
        }
        if text.starts_with('-') && text[1..].starts_with(|c: char| c.is_ascii_digit()) {
            return wrong("is negative");
        }
        let Some((number, unit)) = split(text) else {
            return wrong(&format!("is no {}; write {}", self.noun(), self.advice()));
        };
        if unit.starts_with(char::is_whitespace) && self.factor(unit.trim()).is_some() {
            return wrong(&format!("has a space in it; write {number}{}", unit.trim_start()));
        }
        let Some(factor) = self.factor(unit) else {
            return wrong(&self.unit_complaint(number, unit));
        };
        match exact(number, factor) {
            Exact::Value(_) if self.is_whole() && number.contains('.') => {
                wrong("is no whole number")
            }
            Exact::Value(value) => Ok(value),
            Exact::Fraction => wrong(match self {
                Kind::Duration => "is no whole number of nanoseconds",
                Kind::Size => "is no whole number of bytes",
                Kind::Count | Kind::Rate => "is no whole number",
            }),
            Exact::Overflow => wrong("is far too large"),
        }
    }

    /// The quantity as a person would write it, with a space before the unit.
    pub(super) fn written(self, value: u64) -> String {
        let units = self.units();
        if self == Kind::Rate {
            return format!("{}/s", grouped(value));
        }
        let largest = units
            .iter()
            .rev()
            .find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor))
            .or(units.first());
        match largest {
            Some(("", _)) | None => grouped(value),
            Some((unit, factor)) => format!("{} {unit}", grouped(value / factor)),
        }
    }

    /// Smallest first.
    fn units(self) -> &'static [(&'static str, u64)] {
        match self {
            Kind::Count => &[("", 1)],
            Kind::Duration => &[("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)],
            Kind::Size => &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)],
            Kind::Rate => &[("/s", 1)],
        }
    }

    fn factor(self, unit: &str) -> Option<u64> {
        let known = self.units().iter().find(|(known, _)| *known == unit);
        known.map(|(_, factor)| *factor)
    }

    fn is_whole(self) -> bool {
        matches!(self, Kind::Count | Kind::Rate)
    }

    fn noun(self) -> &'static str {
        match self {
            Kind::Count => "whole number",
            Kind::Duration => "duration",
            Kind::Size => "size",
            Kind::Rate => "rate",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Kind::Count => "a number like 100, without unit or separators",
            Kind::Duration => "a duration like 250us, 10ms or 2s",
            Kind::Size => "a size like 64B, 4KiB or 1MiB",
            Kind::Rate => "a rate like 2000/s",
        }
    }

    fn unit_complaint(self, number: &str, unit: &str) -> String {
        let decimal =
            matches!(unit.to_ascii_lowercase().as_str(), "k" | "kb" | "m" | "mb" | "g" | "gb");
        match self {
            Kind::Size if decimal => {
                let prefix = unit[..1].to_ascii_uppercase();
                format!(
                    "is not clear: units of 1,000 or of 1,024? Write {number}{prefix}iB (of 1,024) or the size in B"
                )
            }
            _ if unit.is_empty() => format!("has no unit; write {}", self.advice()),
            _ => format!("is no {}; write {}", self.noun(), self.advice()),
        }
    }
}

/// What a person wrote, in backticks, on one line and not too long.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (kind, text, value) in [
            (Kind::Count, "0", 0),
            (Kind::Count, "100", 100),
            (Kind::Count, "007", 7),
            (Kind::Count, "18446744073709551615", u64::MAX),
            (Kind::Duration, "1ns", 1),
            (Kind::Duration, "250us", 250_000),
            (Kind::Duration, "10ms", 10_000_000),
            (Kind::Duration, "1.5s", 1_500_000_000),
            (Kind::Duration, "0.000000001s", 1),
            (Kind::Duration, "0s", 0),
            (Kind::Size, "64B", 64),
            (Kind::Size, "4KiB", 4_096),
            (Kind::Size, "1.5KiB", 1_536),
            (Kind::Size, "1GiB", 1 << 30),
            (Kind::Rate, "2000/s", 2_000),
        ] {
            assert_eq!(kind.read(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        for (kind, text, why) in [
            (
                Kind::Count,
                "",
                "nothing stands here; write a number like 100, without unit or separators",
            ),
            (Kind::Count, "-5", "`-5` is negative"),
            (Kind::Count, "1.5", "`1.5` is no whole number"),
            (Kind::Count, "2.0", "`2.0` is no whole number"),
            (
                Kind::Count,
                "1e3",
                "`1e3` is no whole number; write a number like 100, without unit or separators",
            ),
            (
                Kind::Count,
                "1_000",
                "`1_000` is no whole number; write a number like 100, without unit or separators",
            ),
            (
                Kind::Count,
                ".nan",
                "`.nan` is no whole number; write a number like 100, without unit or separators",
            ),
            (Kind::Count, "18446744073709551616", "`18446744073709551616` is far too large"),
            (
                Kind::Duration,
                "10 fortnights",
                "`10 fortnights` is no duration; write a duration like 250us, 10ms or 2s",
            ),
            (Kind::Duration, "10 ms", "`10 ms` has a space in it; write 10ms"),
            (Kind::Duration, "10", "`10` has no unit; write a duration like 250us, 10ms or 2s"),
            (Kind::Duration, "0.5ns", "`0.5ns` is no whole number of nanoseconds"),
            (Kind::Duration, "99999999999999s", "`99999999999999s` is far too large"),
            (
                Kind::Duration,
                "soon",
                "`soon` is no duration; write a duration like 250us, 10ms or 2s",
            ),
            (
                Kind::Duration,
                "1.s",
                "`1.s` is no duration; write a duration like 250us, 10ms or 2s",
            ),
            (Kind::Duration, "-1ms", "`-1ms` is negative"),
            (
                Kind::Size,
                "64KB",
                "`64KB` is not clear: units of 1,000 or of 1,024? Write 64KiB (of 1,024) or the size in B",
            ),
            (
                Kind::Size,
                "1g",
                "`1g` is not clear: units of 1,000 or of 1,024? Write 1GiB (of 1,024) or the size in B",
            ),
            (Kind::Size, "64kib", "`64kib` is no size; write a size like 64B, 4KiB or 1MiB"),
            (Kind::Size, "64", "`64` has no unit; write a size like 64B, 4KiB or 1MiB"),
            (Kind::Rate, "2000", "`2000` has no unit; write a rate like 2000/s"),
            (Kind::Rate, "2.5/s", "`2.5/s` is no whole number"),
            (Kind::Rate, "2000/min", "`2000/min` is no rate; write a rate like 2000/s"),
        ] {
            assert_eq!(kind.read(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn limits_are_inclusive() {
        let limit = Limit::size(1, 16 << 20);
        assert_eq!(limit.read("1B"), Ok(1));
        assert_eq!(limit.read("16MiB"), Ok(16 << 20));
        assert_eq!(
            limit.read("0B").unwrap_err(),
            "`0B` is too small; it can be from 1 B to 16 MiB"
        );
        assert_eq!(
            limit.read("17MiB").unwrap_err(),
            "`17MiB` is too large; it can be from 1 B to 16 MiB"
        );
    }

    #[test]
    fn writes_the_largest_unit_that_is_exact() {
        for (kind, value, text) in [
            (Kind::Count, 10_000, "10,000"),
            (Kind::Duration, 0, "0 ns"),
            (Kind::Duration, 1_500_000, "1,500 us"),
            (Kind::Duration, 60_000_000_000, "60 s"),
            (Kind::Size, 4_096, "4 KiB"),
            (Kind::Size, 1_000, "1,000 B"),
            (Kind::Rate, 2_000, "2,000/s"),
        ] {
            assert_eq!(kind.written(value), text);
        }
    }
}
