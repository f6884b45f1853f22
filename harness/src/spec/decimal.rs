//! Decimal numbers as written, times a unit, in integers.
//!
//! Never goes through floating point: `0.1s` is 100,000,000 ns to the last one.

/// The leading decimal number and what follows it.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(text);
    if end == 0 {
        return None;
    }
    if text[end..].starts_with('.') {
        let fraction = digits(&text[end + 1..]);
        if fraction == 0 {
            return None;
        }
        end += 1 + fraction;
    }
    Some(text.split_at(end))
}

pub(super) enum Exact {
    Value(u64),
    Fraction,
    Overflow,
}

/// `number` (digits, maybe a point and digits) times `factor`, without rounding.
pub(super) fn exact(number: &str, factor: u64) -> Exact {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    let Ok(whole) = whole.parse::<u64>() else {
        return Exact::Overflow;
    };
    let Some(whole) = whole.checked_mul(factor) else {
        return Exact::Overflow;
    };
    // No unit has more than 30 factors of two, so a longer fraction cannot come out exact.
    if fraction.len() > 30 {
        return Exact::Fraction;
    }
    let scale = 10_u128.pow(fraction.len() as u32);
    let digits = fraction.parse::<u128>().unwrap_or(0);
    let Some(part) = digits.checked_mul(u128::from(factor)) else {
        return Exact::Fraction;
    };
    if part % scale != 0 {
        return Exact::Fraction;
    }
    match u64::try_from(part / scale).ok().and_then(|part| whole.checked_add(part)) {
        Some(value) => Exact::Value(value),
        None => Exact::Overflow,
    }
}
