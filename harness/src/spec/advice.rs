//! Advice on mistakes that YAML invites, found by the lines around an error.
//!
//! Never finds an error; it only explains one that the parser or a reader has found.

use super::error::{Place, SpecError};
use crate::terminal::nearest::quoted;

/// An error of the parser with its probable cause, or the parser's own message.
pub(super) fn explain(at: Place, message: String, text: &str) -> SpecError {
    let lines = Lines(text.lines().collect());
    if let Some(tab) = lines.tab_near(at.line) {
        return SpecError::new(
            tab,
            "a tab stands in the indentation, where YAML allows spaces only",
        )
        .help("replace it by spaces");
    }
    if let Some(list) = lines.list_around(at.line) {
        let item = lines.text(at.line);
        let place = Place { column: lines.indentation(at.line) + 1, width: 1, ..at };
        let message = format!("this line has no `- ` and stands in the list of line {list}");
        return SpecError::new(place, message).help(item_help(item));
    }
    let line = lines.text(at.line);
    if message.contains("mapping values are not allowed") {
        let value = line.split_once(": ").filter(|(_, value)| value.contains(':'));
        let example = value.map_or_else(String::new, |(key, value)| {
            let mark = if value.contains('"') { '\'' } else { '"' };
            format!(": {}", quoted(&format!("{key}: {mark}{value}{mark}")))
        });
        return SpecError::new(at, "a colon inside of a text, which would begin a map here")
            .help(format!("put the text in quotes{example}"));
    }
    // In YAML, `metric: >= 10` begins a block of text.
    let quote = "put a text that begins with `>` in quotes: \">= 10\"";
    SpecError::new(at, format!("the YAML cannot be read: {message}"))
        .help_if(line.contains(": >").then(|| quote.to_owned()))
}

/// For a key that stands twice in a map: the second one may begin the next item of a list.
pub(super) fn second_key(at: Place, text: &str) -> Option<String> {
    let lines = Lines(text.lines().collect());
    let begins = |line: &usize| lines.text(*line).starts_with("- ");
    let above = (1..at.line).rev().find(|line| {
        begins(line) || !lines.is_blank(*line) && lines.indentation(*line) + 1 < at.column
    });
    let is_beside = |line: &usize| lines.indentation(*line) + 3 == at.column;
    let is_first = lines.indentation(at.line) + 1 == at.column;
    above
        .filter(|line| is_first && begins(line) && is_beside(line))
        .map(|_| "begin a new item of the list with `- `".to_owned())
}

/// How a list is written that has this text for its first item.
pub(super) fn item_help(item: &str) -> String {
    match item.strip_prefix('-') {
        Some(rest) => format!("put a space after the `-`: {}", quoted(&format!("- {rest}"))),
        None => format!("begin each item of a list with `- `: {}", quoted(&format!("- {item}"))),
    }
}

/// Numbered from 1.
struct Lines<'a>(Vec<&'a str>);

impl<'a> Lines<'a> {
    fn whole(&self, number: usize) -> &'a str {
        self.0.get(number.wrapping_sub(1)).copied().unwrap_or_default()
    }

    fn text(&self, number: usize) -> &'a str {
        self.whole(number).trim()
    }

    fn is_blank(&self, number: usize) -> bool {
        self.text(number).is_empty() || self.text(number).starts_with('#')
    }

    fn indentation(&self, number: usize) -> usize {
        let line = self.whole(number);
        line.len() - line.trim_start().len()
    }

    /// The first tab in the indentation of this line or the next: the parser may have stopped
    /// before it.
    fn tab_near(&self, number: usize) -> Option<Place> {
        (number..=number.saturating_add(1)).find_map(|line| {
            let tab = self.whole(line)[..self.indentation(line)].find('\t')?;
            Some(Place { line, column: tab + 1, width: 1 })
        })
    }

    /// The line of a list item right above that is indented like this line, which is none.
    fn list_around(&self, number: usize) -> Option<usize> {
        let indentation = self.indentation(number);
        let is_item = |line: usize| self.text(line).starts_with("- ");
        let above = (1..number)
            .rev()
            .find(|line| !self.is_blank(*line) && self.indentation(*line) <= indentation)?;
        let is_list = is_item(above) && self.indentation(above) == indentation;
        (is_list && !is_item(number) && !self.is_blank(number)).then_some(above)
    }
}
