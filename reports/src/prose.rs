//! Other people's sentences (reasons, warnings, notes), made fit for a terminal.
//!
//! Never shortens them: what was said is shown, over as many lines as it takes.

use std::ops::RangeInclusive;

use tabled::grid::util::string::get_string_width;

/// Lines longer than this are tiring to read, however wide the terminal.
const READABLE: usize = 100;
const NARROWEST: usize = 24;

/// One line without control characters: a crashing subject must not paint the terminal.
pub(crate) fn clean(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' && characters.next_if_eq(&'[').is_some() {
            // A colour or a movement of the cursor ends with a letter.
            while characters.next_if(|c| matches!(c, '0'..='?')).is_some() {}
            characters.next_if(|c| matches!(c, '@'..='~'));
        } else if is_hidden(character) {
            visible.push(' ');
        } else {
            visible.push(character);
        }
    }
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_hidden(character: char) -> bool {
    const REORDERING: [RangeInclusive<char>; 3] =
        ['\u{200b}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    character.is_control() || REORDERING.iter().any(|range| range.contains(&character))
}

pub(crate) fn width(text: &str) -> usize {
    get_string_width(text)
}

/// Wraps between words to at most `columns` wide; a longer word stands whole on a line of its own.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.clamp(NARROWEST, READABLE);
    let mut lines = vec![String::new()];
    for word in words(text) {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && width(&lines[last]) + 1 + width(word) > columns {
            lines.push(word.to_owned());
            continue;
        }
        if !lines[last].is_empty() {
            lines[last].push(' ');
        }
        lines[last].push_str(word);
    }
    lines
}

/// Words, with a number and its unit as one: a line never ends between `182` and `k`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    const UNITS: [&str; 20] = [
        "ns", "µs", "us", "ms", "s", "min", "h", "k", "M", "G", "T", "B", "KiB", "MiB", "GiB",
        "TiB", "%", "×", "trials", "times",
    ];
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.find(' ').unwrap_or(rest.len());
        if rest[..end].ends_with(|character: char| character.is_ascii_digit()) {
            let after = rest[end..].trim_start();
            let next = after.split(' ').next().unwrap_or_default();
            if UNITS.contains(&next.trim_end_matches([',', '.', ')', ';', ':'])) {
                end = rest.len() - after.len() + next.len();
            }
        }
        let word = &rest[..end];
        rest = rest[end..].trim_start();
        Some(word)
    })
}

/// The name of a throughput: `requests/s`, `reader/s`.
pub(crate) fn per_second(operation: &str) -> String {
    if operation == "request" { "requests/s".to_owned() } else { format!("{operation}/s") }
}

pub(crate) fn plural(count: u64, one: &str, _many: &str) -> String {
    crate::number::counted(count, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_pass() {
        assert_eq!(clean("a\x1b[31mred\r\n\tb\0 \u{202e}c"), "ared b c");
    }

    #[test]
    fn wraps_between_words_only() {
        let text = "io_uring is disabled here (kernel.io_uring_disabled=2); ask the administrator";
        let lines = wrap(text, 30);
        assert_eq!(
            lines,
            ["io_uring is disabled here", "(kernel.io_uring_disabled=2);", "ask the administrator"]
        );
        assert_eq!(lines.join(" "), text);
        assert_eq!(wrap("", 30), [""]);
    }

    #[test]
    fn a_number_keeps_its_unit() {
        assert_eq!(
            wrap("the driver was seen at most 182 k, then less", 32),
            ["the driver was seen at most", "182 k, then less"]
        );
    }
}
