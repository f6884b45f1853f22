//! Today's date, for names and for what expires. Never used to measure a time.

use std::time::Duration;

/// Since 1970, in UTC.
pub fn since_epoch() -> Duration {
    #[allow(clippy::disallowed_types)] // no time is measured by a clock that people set
    let epoch = std::time::SystemTime::UNIX_EPOCH;
    epoch.elapsed().unwrap_or(Duration::ZERO)
}

/// `2027-01-31`, in UTC.
pub fn today() -> String {
    let (year, month, day) = civil_date(since_epoch().as_secs() / 86_400);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Whether this is a date of the calendar, written as `2027-01-31`.
pub fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_number = |part: &&str, digits| {
        part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let [year, month, day] = &parts[..] else { return false };
    if !(is_number(year, 4) && is_number(month, 2) && is_number(day, 2)) {
        return false;
    }
    let number = |part: &str| part.parse::<usize>().unwrap_or(0);
    let days = days_of_months(number(year) as u64);
    let most = number(month).checked_sub(1).and_then(|index| days.get(index));
    most.is_some_and(|most| (1..=*most).contains(&(number(day) as u64)))
}

/// The date of a day counted from 1970-01-01, in the Gregorian calendar.
pub fn civil_date(days: u64) -> (u64, u64, u64) {
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let months = days_of_months(year);
    let mut month = 0;
    while left >= months[month] {
        left -= months[month];
        month += 1;
    }
    (year, month as u64 + 1, left + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_months(year: u64) -> [u64; 12] {
    let february = 28 + u64::from(is_leap(year));
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil_date(0), (1970, 1, 1));
        assert_eq!(civil_date(19_782), (2024, 2, 29));
        assert_eq!(civil_date(20_088), (2024, 12, 31));
        assert_eq!(civil_date(20_089), (2025, 1, 1));
    }

    #[test]
    fn only_days_of_the_calendar_are_dates() {
        for date in ["2024-02-29", "2026-12-31", &today()] {
            assert!(is_date(date), "{date}");
        }
        for other in ["2026-02-29", "2026-13-01", "2026-00-01", "26-1-1", "2026-01-00", "soon", ""]
        {
            assert!(!is_date(other), "{other}");
        }
    }
}
