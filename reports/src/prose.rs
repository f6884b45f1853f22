//! Sentences from elsewhere (reasons, warnings, notes), made fit for a terminal.
//!
//! Never shortens them: they are shown whole, over as many lines as needed.

use tabled::grid::util::string::get_string_width;

use crate::visible;

/// Lines longer than this are tiring to read, however wide the terminal.
const READABLE: usize = 100;
const NARROWEST: usize = 24;

/// One line, with what has no glyph as its escape.
pub(crate) fn clean(text: &str) -> String {
    visible::line(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn width(text: &str) -> usize {
    get_string_width(text)
}

/// Wraps between words to at most `columns`; a longer word has a line of its own.
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
