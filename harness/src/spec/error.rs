//! What is told to the author of a scenario that cannot be taken: place, sentence, snippet, advice.
//!
//! Never decides what is wrong; it only shows it.

use std::fmt::Write as _;

/// Where in the text something stands. Counted in characters, from 1; `line` 0 is "nowhere".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    /// Characters to underline.
    pub(super) width: usize,
}

impl From<serde_yaml::Location> for Place {
    fn from(location: serde_yaml::Location) -> Self {
        if location == serde_yaml::Location::UNKNOWN {
            return Self::default();
        }
        Self {
            line: location.line() as usize,
            column: location.column() as usize,
            width: location.span().len() as usize,
        }
    }
}

/// Something wrong at a place, before it is known whose text it was.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) at: Place,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Problem {
    pub(super) fn new(at: Place, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    pub(super) fn in_text(self, path: &str, text: &str) -> SpecError {
        let line = text.lines().nth(self.at.line.wrapping_sub(1));
        SpecError {
            path: path.to_owned(),
            line: self.at.line,
            column: self.at.column,
            message: self.message,
            help: self.help,
            snippet: line.map(|line| Box::new(Snippet::of(line, self.at))),
        }
    }
}

/// A scenario that cannot be taken, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.rendered())]
pub struct SpecError {
    path: String,
    line: usize,
    column: usize,
    message: String,
    help: Option<String>,
    snippet: Option<Box<Snippet>>,
}

/// The line in question, cut to what fits a terminal.
#[derive(Debug)]
struct Snippet {
    line: String,
    indent: usize,
    width: usize,
}

impl SpecError {
    /// Of a whole file, when no line of it is to blame.
    pub(super) fn of_file(path: &str, message: String) -> Self {
        Problem::new(Place::default(), message).in_text(path, "")
    }

    /// The file's name as the caller gave it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Line and column, both from 1; `None` when the file as a whole is meant.
    pub fn position(&self) -> Option<(usize, usize)> {
        (self.line > 0).then_some((self.line, self.column))
    }

    /// What is wrong, in one sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn rendered(&self) -> String {
        let mut text = visible(&self.path);
        if let Some((line, column)) = self.position() {
            let _ = write!(text, ":{line}:{column}");
        }
        let _ = write!(text, ": {}", visible(&self.message));
        let gutter = self.line.to_string();
        let margin = " ".repeat(gutter.len());
        if let Some(snippet) = &self.snippet {
            let _ = write!(text, "\n{margin} |\n{gutter} | {}", snippet.line);
            let carets = "^".repeat(snippet.width);
            let _ = write!(text, "\n{margin} | {}{carets}", " ".repeat(snippet.indent));
        }
        if let Some(help) = &self.help {
            let _ = write!(text, "\n{margin} = {}", visible(help));
        }
        text
    }
}

impl Snippet {
    const BEFORE: usize = 60;
    const SHOWN: usize = 100;

    fn of(line: &str, at: Place) -> Self {
        let column = at.column.saturating_sub(1);
        let start = column.saturating_sub(Self::BEFORE);
        let window: String = line.chars().skip(start).take(Self::SHOWN).collect();
        // One character each, so that the carets stay below what they mean.
        let mut shown: String =
            window.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let length = shown.chars().count();
        let mut indent = column - start;
        let width = at.width.clamp(1, length.saturating_sub(indent).max(1));
        if start > 0 {
            shown.insert(0, '…');
            indent += 1;
        }
        if line.chars().nth(start + Self::SHOWN).is_some() {
            shown.push('…');
        }
        Self { line: shown.trim_end().to_owned(), indent, width }
    }
}

/// A scenario's text reaches a terminal in these messages; escape sequences must not.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_its_fault() {
        let line = format!("{}wrong{}", "a".repeat(300), "b".repeat(300));
        let at = Place { line: 1, column: 301, width: 5 };
        let error = Problem::new(at, "no").in_text("x.yaml", &line);
        let shown = error.to_string();
        let lines: Vec<&str> = shown.lines().collect();
        let from = lines[3].find('^').unwrap();
        let caret: String = lines[2].chars().skip(from).take(5).collect();
        assert_eq!(caret, "wrong");
        assert!(lines[2].chars().count() < 120, "{shown}");
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        let at = Place { line: 1, column: 1, width: 900 };
        let shown = Problem::new(at, "`\u{1b}[31m`")
            .help("\u{7}".to_owned())
            .in_text("\u{1b}.yaml", "\u{1b}[31m")
            .to_string();
        assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
    }
}
