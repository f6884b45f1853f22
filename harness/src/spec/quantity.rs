//! Counts, durations, sizes and rates as people write them: `100`, `250us`, `64KiB`, `2000/s`.
//!
//! Never rounds and never goes through floating point: `0.1s` is 100,000,000 ns, `0.1ns` is refused.

use quadrant_reports::number::grouped;

use crate::terminal::nearest::quoted;

/// A kind of quantity and the least and the most of it that is allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) kind: &'static Kind,
    pub(super) least: u64,
    pub(super) most: u64,
}

#[derive(Debug)]
pub(super) struct Kind {
    noun: &'static str,
    example: &'static str,
    /// Smallest first. A kind with only one unit is counted in whole numbers.
    units: &'static [(&'static str, u64)],
    /// What a fraction of the smallest unit is not.
    whole: &'static str,
}

pub(super) static COUNT: Kind = Kind {
    noun: "whole number",
    example: "a number like 100, without unit or separators",
    units: &[("", 1)],
    whole: "whole number",
};

/// In nanoseconds.
pub(super) static DURATION: Kind = Kind {
    noun: "duration",
    example: "a duration like 250us, 10ms or 2s",
    units: &[("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)],
    whole: "whole number of nanoseconds",
};

/// In bytes.
pub(super) static SIZE: Kind = Kind {
    noun: "size",
    example: "a size like 64B, 4KiB or 1MiB",
    units: &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)],
    whole: "whole number of bytes",
};

/// Per second.
pub(super) static RATE: Kind = Kind {
    noun: "rate",
    example: "a rate like 2000/s",
    units: &[("/s", 1)],
    whole: "whole number",
};

impl Limit {
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
    /// The quantity in its smallest unit; an error is a whole sentence.
    pub(super) fn read(&self, text: &str) -> Result<u64, String> {
        if text.is_empty() {
            return Err(format!("nothing stands here; write {}", self.example));
        }
        self.exactly(text).map_err(|why| format!("{} {why}", quoted(text)))
    }

    fn exactly(&self, text: &str) -> Result<u64, String> {
        if text.starts_with('-') && text[1..].starts_with(|c: char| c.is_ascii_digit()) {
            return Err("is negative".to_owned());
        }
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let digit = |c: char| c.is_ascii_digit();
        if !number.starts_with(digit) || !number.ends_with(digit) || number.matches('.').count() > 1
        {
            return Err(format!("is no {}; write {}", self.noun, self.example));
        }
        let Some(factor) = self.factor(unit) else {
            return Err(self.unit_error(number, unit));
        };
        if self.units.len() == 1 && number.contains('.') {
            return Err(format!("is no {}", self.whole));
        }
        self.times(number, factor)
    }

    /// `number` (digits, maybe a point and digits) times `factor`, without rounding.
    fn times(&self, number: &str, factor: u64) -> Result<u64, String> {
        let too_large = || "is far too large".to_owned();
        let inexact = || format!("is no {}", self.whole);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let fraction = fraction.trim_end_matches('0');
        let whole = whole.parse().ok().and_then(|whole: u64| whole.checked_mul(factor));
        let whole = whole.ok_or_else(too_large)?;
        // No unit has more than 30 factors of two, so a longer fraction is not exact.
        if fraction.len() > 30 {
            return Err(inexact());
        }
        let scale = 10_u128.pow(fraction.len() as u32);
        let part = fraction.parse().unwrap_or(0_u128).checked_mul(factor.into());
        let part = part.filter(|part| part % scale == 0).ok_or_else(inexact)? / scale;
        u64::try_from(part).ok().and_then(|part| whole.checked_add(part)).ok_or_else(too_large)
    }

    /// The quantity as a person would write it, with a space before the unit.
    pub(super) fn written(&self, value: u64) -> String {
        let exact = |unit: &&(_, u64)| value >= unit.1 && value.is_multiple_of(unit.1);
        let (unit, factor) = self.units.iter().rev().find(exact).unwrap_or(&self.units[0]);
        let space = if self.units.len() == 1 { "" } else { " " };
        format!("{}{space}{unit}", grouped(value / factor))
    }

    fn factor(&self, unit: &str) -> Option<u64> {
        let known = self.units.iter().find(|(known, _)| *known == unit);
        known.map(|(_, factor)| *factor)
    }

    fn unit_error(&self, number: &str, unit: &str) -> String {
        let decimal =
            matches!(unit.to_ascii_lowercase().as_str(), "k" | "kb" | "m" | "mb" | "g" | "gb");
        if decimal && self.factor("KiB").is_some() {
            let prefix = unit[..1].to_ascii_uppercase();
            return format!(
                "is not clear: units of 1,000 or of 1,024? Write {number}{prefix}iB (of 1,024) or the size in B"
            );
        }
        if unit.starts_with(char::is_whitespace) && self.factor(unit.trim()).is_some() {
            return format!("has a space in it; write {number}{}", unit.trim());
        }
        match unit {
            "" => format!("has no unit; write {}", self.example),
            _ => format!("is no {}; write {}", self.noun, self.example),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (kind, text, value) in [
            (&COUNT, "0", 0),
            (&COUNT, "100", 100),
            (&COUNT, "007", 7),
            (&COUNT, "18446744073709551615", u64::MAX),
            (&DURATION, "1ns", 1),
            (&DURATION, "250us", 250_000),
            (&DURATION, "10ms", 10_000_000),
            (&DURATION, "1.5s", 1_500_000_000),
            (&DURATION, "0.000000001s", 1),
            (&DURATION, "0s", 0),
            (&SIZE, "64B", 64),
            (&SIZE, "4KiB", 4_096),
            (&SIZE, "1.5KiB", 1_536),
            (&SIZE, "1GiB", 1 << 30),
            (&RATE, "2000/s", 2_000),
        ] {
            assert_eq!(kind.read(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        for (kind, text, why) in [
            (
                &COUNT,
                "",
                "nothing stands here; write a number like 100, without unit or separators",
            ),
            (&COUNT, "-5", "`-5` is negative"),
            (&COUNT, "1.5", "`1.5` is no whole number"),
            (&COUNT, "2.0", "`2.0` is no whole number"),
            (
                &COUNT,
                "1e3",
                "`1e3` is no whole number; write a number like 100, without unit or separators",
            ),
            (
                &COUNT,
                "1_000",
                "`1_000` is no whole number; write a number like 100, without unit or separators",
            ),
            (
                &COUNT,
                ".nan",
                "`.nan` is no whole number; write a number like 100, without unit or separators",
            ),
            (&COUNT, "18446744073709551616", "`18446744073709551616` is far too large"),
            (
                &DURATION,
                "10 fortnights",
                "`10 fortnights` is no duration; write a duration like 250us, 10ms or 2s",
            ),
            (&DURATION, "10 ms", "`10 ms` has a space in it; write 10ms"),
            (&DURATION, "10", "`10` has no unit; write a duration like 250us, 10ms or 2s"),
            (&DURATION, "0.5ns", "`0.5ns` is no whole number of nanoseconds"),
            (&DURATION, "99999999999999s", "`99999999999999s` is far too large"),
            (&DURATION, "soon", "`soon` is no duration; write a duration like 250us, 10ms or 2s"),
            (&DURATION, "1.s", "`1.s` is no duration; write a duration like 250us, 10ms or 2s"),
            (&DURATION, "-1ms", "`-1ms` is negative"),
            (
                &SIZE,
                "64KB",
                "`64KB` is not clear: units of 1,000 or of 1,024? Write 64KiB (of 1,024) or the size in B",
            ),
            (
                &SIZE,
                "1g",
                "`1g` is not clear: units of 1,000 or of 1,024? Write 1GiB (of 1,024) or the size in B",
            ),
            (&SIZE, "64kib", "`64kib` is no size; write a size like 64B, 4KiB or 1MiB"),
            (&SIZE, "64", "`64` has no unit; write a size like 64B, 4KiB or 1MiB"),
            (&RATE, "2000", "`2000` has no unit; write a rate like 2000/s"),
            (&RATE, "2.5/s", "`2.5/s` is no whole number"),
            (&RATE, "2000/min", "`2000/min` is no rate; write a rate like 2000/s"),
        ] {
            assert_eq!(kind.read(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn limits_are_inclusive() {
        let limit = Limit { kind: &SIZE, least: 1, most: 16 << 20 };
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
            (&COUNT, 10_000, "10,000"),
            (&DURATION, 0, "0 ns"),
            (&DURATION, 1_500_000, "1,500 us"),
            (&DURATION, 60_000_000_000, "60 s"),
            (&SIZE, 4_096, "4 KiB"),
            (&SIZE, 1_000, "1,000 B"),
            (&RATE, 2_000, "2,000/s"),
        ] {
            assert_eq!(kind.written(value), text);
        }
    }
}
