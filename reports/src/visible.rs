//! Text from elsewhere (libraries, records, scenarios, file names), made harmless for a terminal and
//! for its reader.
//!
//! Never drops a character: one that has an effect and no glyph becomes its escape, `\u001b`. That is
//! also its escape in JSON, where such characters can only stand inside of strings.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::RangeInclusive;

/// Besides control characters: those that Unicode calls default-ignorable, all that change the
/// direction of what follows among them, the line and paragraph separators, and annotations.
const HIDDEN: [RangeInclusive<char>; 15] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{e0000}'..='\u{e0fff}',
];

pub fn is_hidden(character: char) -> bool {
    character.is_control() || HIDDEN.iter().any(|range| range.contains(&character))
}

/// A text of one or more lines.
pub fn text(text: &str) -> Cow<'_, str> {
    escaped(text, |character| matches!(character, '\n' | '\t').then_some(character))
}

/// A text that has to stay on one line: other white space becomes spaces.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character.is_ascii_whitespace().then_some(' '))
}

/// `unescaped` returns what stands for a hidden character that needs no escape.
fn escaped(text: &str, unescaped: impl Fn(char) -> Option<char>) -> Cow<'_, str> {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte);
    // Most texts are long and plain, so look at their bytes first.
    if text.bytes().all(is_plain) || !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if !is_hidden(character) {
            escaped.push(character);
        } else if let Some(character) = unescaped(character) {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_no_glyph_becomes_its_escape() {
        for (given, shown) in [
            ("größer – 5 µs × 2 · 日本", "größer – 5 µs × 2 · 日本"),
            ("\x1b[31mred\x1b[0m", "\\u001b[31mred\\u001b[0m"),
            ("\u{9b}31m \x7f \x07 \0", "\\u009b31m \\u007f \\u0007 \\u0000"),
            ("a\u{202e}b\u{2066}c", "a\\u202eb\\u2066c"),
            ("to\u{200b}kio\u{feff}", "to\\u200bkio\\ufeff"),
            ("\u{e0041}", "\\udb40\\udc41"),
            ("\u{2028}", "\\u2028"),
        ] {
            assert_eq!(text(given), shown);
            assert_eq!(line(given), shown);
        }
        assert_eq!(text("a\tb\r\nc"), "a\tb\\u000d\nc");
        assert_eq!(line("a\tb\r\nc"), "a b  c");
    }

    proptest! {
        #[test]
        fn escaped_json_is_the_same_value(given in any::<String>(), tag in prop::char::range('\u{e0000}', '\u{e0fff}')) {
            let value = serde_json::json!([given, format!("\u{9b}{tag}\u{202e}")]);
            let shown = format!("{value:#}");
            let shown = text(&shown);
            prop_assert!(!shown.contains(|c| c != '\n' && is_hidden(c)));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
