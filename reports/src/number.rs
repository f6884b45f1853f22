//! Numbers as people read them: `182 k`, `351 µs`, `11 MiB`, `1,024`.
//!
//! Never shows more than about three digits of a measured value, and never feeds a file: those
//! hold the integers of the record.

/// What stands where there is no number.
pub const NONE: &str = "–";

/// A measured number or rate: `531`, `96.4 k`, `1.20 M`.
pub fn rate(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return NONE.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    if value < 0.01 {
        return "<0.01".to_owned();
    }
    let (mut scaled, mut units) = (value, ["", " k", " M", " G", " T"].into_iter());
    let mut unit = units.next().unwrap_or_default();
    while scaled >= 999.5 {
        match units.next() {
            Some(next) => unit = next,
            None => return format!("{value:.1e}"),
        }
        scaled /= 1000.0;
    }
    format!("{}{unit}", three_digits(scaled))
}

/// An exact count: `1,024`; from a million on, three digits of it.
pub fn count(value: u64) -> String {
    if value >= 1_000_000 {
        return rate(value as f64);
    }
    grouped(value)
}

/// A count with its noun: `1 trial`, `3 trials`.
pub fn counted(value: u64, noun: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(value))
}

/// All digits, in groups of three: `1,234,567`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A mean of counts, which need not be whole: `870`, `12.4`.
pub fn mean_count(value: f64) -> String {
    if value.is_finite() && (99.95..1e6).contains(&value) {
        return count(value.round() as u64);
    }
    rate(value)
}

/// A duration in nanoseconds, with three digits: `850 ns`, `5.40 µs`, `351 µs`, `14.1 ms`.
pub fn duration(nanoseconds: u64) -> String {
    if nanoseconds < 1000 {
        return format!("{nanoseconds} ns");
    }
    let value = nanoseconds as f64;
    for (size, unit) in [(1e3, "µs"), (1e6, "ms")] {
        if value < size * 999.5 {
            return format!("{} {unit}", three_digits(value / size));
        }
    }
    let seconds = value / 1e9;
    match seconds {
        ..599.5 => format!("{} s", three_digits(seconds)),
        ..35_970.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{} h", grouped((seconds / 3600.0).round() as u64)),
    }
}

/// A duration somebody chose, which is mostly round: `2 s`, `300 ms`, `1.5 s`.
pub fn round_duration(nanoseconds: u64) -> String {
    let text = duration(nanoseconds);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// A size in bytes: `512 B`, `5.4 KiB`, `11 MiB`.
pub fn bytes(value: u64) -> String {
    if value < 1024 {
        return format!("{value} B");
    }
    let mut scaled = value as f64 / 1024.0;
    let mut unit = "KiB";
    for next in ["MiB", "GiB", "TiB", "PiB", "EiB"] {
        if scaled < 1023.5 {
            break;
        }
        scaled /= 1024.0;
        unit = next;
    }
    format!("{} {unit}", one_decimal(scaled, 9.95))
}

/// Numbers in rising order, neighbours as one: `0…2, 5`.
pub fn ranges(numbers: &[usize]) -> String {
    let ranges = numbers.chunk_by(|a, b| a + 1 == *b).map(|chunk| match chunk {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}…{last}"),
        [] => String::new(),
    });
    ranges.collect::<Vec<_>>().join(", ")
}

/// A ratio to something else: `0.66×`.
pub fn ratio(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return NONE.to_owned();
    }
    if value > 0.0 && value < 0.01 {
        return "<0.01×".to_owned();
    }
    if value < 9.995 {
        return format!("{value:.2}×");
    }
    format!("{}×", rate(value))
}

/// A ratio and its range, with the digits that tell the range's ends apart: `0.79× (0.61…0.85)`,
/// `0.664× (0.662…0.666)`.
pub fn ratio_and_range(value: f64, low: f64, high: f64) -> String {
    let write = if high - low < 0.02 { fine_ratio } else { ratio };
    let bare = |value| write(value).trim_end_matches('×').to_owned();
    format!("{} ({}…{})", write(value), bare(low), bare(high))
}

/// A bound on a share, rounded up to whole per cents: `4 %`.
pub fn percent_above(share: f64) -> String {
    // What is a whole number but for rounding stays one.
    format!("{:.0} %", (share * 100.0 - 1e-9).ceil().max(1.0))
}

/// A share that was chosen, as short as it was given: `2 %`, `0.5 %`.
pub fn short_percent(share: f64) -> String {
    format!("{} %", (share * 1e6).round() / 1e4)
}

/// A ratio as a difference: `12 %` and `more`.
pub fn more_or_less(ratio: f64) -> (String, &'static str) {
    let percent = (ratio - 1.0).abs() * 100.0;
    let text = if percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") };
    (text, if ratio < 1.0 { "less" } else { "more" })
}

/// A ratio near 1, where a per cent matters: `0.952×`.
pub fn fine_ratio(value: f64) -> String {
    if (0.01..9.995).contains(&value) { format!("{value:.3}×") } else { ratio(value) }
}

/// A share of the value beside it: `±1 %`, `±0.4 %`.
pub fn plus_minus(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        _ if !percent.is_finite() || percent < 0.0 => String::new(),
        0.0 => "±0 %".to_owned(),
        ..0.095 => format!("±{percent:.2} %").replace("±0.00 %", "±<0.01 %"),
        ..0.95 => format!("±{percent:.1} %"),
        ..999.5 => format!("±{percent:.0} %"),
        _ => "±>999 %".to_owned(),
    }
}

fn three_digits(value: f64) -> String {
    match value {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn one_decimal(value: f64, below: f64) -> String {
    if value < below { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: Copy + std::fmt::Debug>(write: fn(T) -> String, cases: &[(T, &str)]) {
        for &(value, text) in cases {
            assert_eq!(write(value), text, "{value:?}");
        }
    }

    #[test]
    fn fine_ratios() {
        check(fine_ratio, &[(0.9524, "0.952×"), (1.0, "1.000×"), (12.3, "12.3×"), (0.0, "0.00×")]);
    }

    #[test]
    fn rates() {
        check(
            rate,
            &[
                (0.0, "0"),
                (0.001, "<0.01"),
                (0.53, "0.53"),
                (9.996, "10.0"),
                (99.96, "100"),
                (531.2, "531"),
                (999.4, "999"),
                (999.6, "1.00 k"),
                (2000.0, "2.00 k"),
                (96_420.0, "96.4 k"),
                (182_400.0, "182 k"),
                (999_600.0, "1.00 M"),
                (1_200_000.0, "1.20 M"),
                (1e300, "1.0e300"),
                (f64::NAN, "–"),
                (f64::INFINITY, "–"),
                (-1.0, "–"),
            ],
        );
    }

    #[test]
    fn counts() {
        check(
            count,
            &[
                (0, "0"),
                (999, "999"),
                (1_024, "1,024"),
                (999_999, "999,999"),
                (1_200_000, "1.20 M"),
                (u64::MAX, "1.8e19"),
            ],
        );
        check(
            mean_count,
            &[(0.0, "0"), (0.53, "0.53"), (12.44, "12.4"), (99.96, "100"), (1_023.6, "1,024")],
        );
    }

    #[test]
    fn counts_with_nouns() {
        assert_eq!(counted(0, "trial"), "0 trials");
        assert_eq!(counted(1, "trial"), "1 trial");
        assert_eq!(counted(1_234_567, "task"), "1,234,567 tasks");
    }

    #[test]
    fn durations() {
        check(
            duration,
            &[
                (0, "0 ns"),
                (850, "850 ns"),
                (5_400, "5.40 µs"),
                (16_012_000, "16.0 ms"),
                (99_960, "100 µs"),
                (351_000, "351 µs"),
                (999_400, "999 µs"),
                (999_600, "1.00 ms"),
                (14_100_000, "14.1 ms"),
                (999_900_000, "1.00 s"),
                (120_000_000_000, "120 s"),
                (1_200_000_000_000, "20 min"),
                (u64::MAX, "5,124,096 h"),
            ],
        );
        check(
            round_duration,
            &[
                (1_000_300_000, "1 s"),
                (1_500_000_000, "1.5 s"),
                (300_000_000, "300 ms"),
                (10_000_000, "10 ms"),
                (500, "500 ns"),
            ],
        );
    }

    #[test]
    fn sizes() {
        check(
            bytes,
            &[
                (0, "0 B"),
                (1_023, "1023 B"),
                (1_024, "1.0 KiB"),
                (11 << 20, "11 MiB"),
                ((1 << 20) - 1, "1.0 MiB"),
                (5_662_310, "5.4 MiB"),
                (u64::MAX, "16 EiB"),
            ],
        );
    }

    #[test]
    fn shares() {
        check(
            ratio,
            &[
                (0.0, "0.00×"),
                (0.004, "<0.01×"),
                (0.664, "0.66×"),
                (1.0, "1.00×"),
                (9.996, "10.0×"),
                (12_345.0, "12.3 k×"),
                (f64::NAN, "–"),
            ],
        );
        check(
            plus_minus,
            &[
                (0.0, "±0 %"),
                (0.00001, "±<0.01 %"),
                (0.0003, "±0.03 %"),
                (0.004, "±0.4 %"),
                (0.0096, "±1 %"),
                (0.12, "±12 %"),
                (90.0, "±>999 %"),
                (f64::NAN, ""),
            ],
        );
    }

    #[test]
    fn differences() {
        check(percent_above, &[(0.0, "1 %"), (0.04, "4 %"), (0.0301, "4 %"), (0.3, "30 %")]);
        assert_eq!(ratio_and_range(0.79, 0.61, 0.852), "0.79× (0.61…0.85)");
        assert_eq!(ratio_and_range(0.664, 0.662, 0.666), "0.664× (0.662…0.666)");
        assert_eq!(more_or_less(1.12), ("12 %".to_owned(), "more"));
        assert_eq!(more_or_less(0.966), ("3.4 %".to_owned(), "less"));
    }

    #[test]
    fn neighbours_are_one_range() {
        for (numbers, text) in
            [(&[][..], ""), (&[3], "3"), (&[0, 1], "0…1"), (&[0, 1, 2, 5, 7, 8], "0…2, 5, 7…8")]
        {
            assert_eq!(ranges(numbers), text);
        }
    }
}
