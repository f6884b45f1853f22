//! The error of a scenario: place, message, the line in question, and a hint.
//!
//! Never decides what is wrong; it only shows it.

use std::fmt;

use quadrant_reports::visible;

/// Where something stands in the text. Counted in characters, from 1; `line` 0 is "nowhere".
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

/// Why a scenario cannot be used, and where.
#[derive(Debug, PartialEq)]
pub struct SpecError {
    path: Box<str>,
    at: Place,
    message: String,
    help: Option<String>,
    /// The line at `at`.
    line: Option<String>,
    is_consequence: bool,
}

impl SpecError {
    pub(super) fn new(at: Place, message: impl Into<String>) -> Self {
        Self {
            path: "".into(),
            at,
            message: message.into(),
            help: None,
            line: None,
            is_consequence: false,
        }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        self.help_if(Some(help.into()))
    }

    pub(super) fn help_if(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// The same error at another place, with more to its message.
    pub(super) fn moved(mut self, at: Place, more: &str) -> Self {
        self.at = at;
        self.message += more;
        self
    }

    /// If so, another error that is known already is the reason for this one.
    pub(super) fn consequence_if(mut self, is_consequence: bool) -> Self {
        self.is_consequence = is_consequence;
        self
    }

    pub(super) fn is_consequence(&self) -> bool {
        self.is_consequence
    }

    pub(super) fn is_at(&self, other: &Self) -> bool {
        self.position() == other.position()
    }

    /// Names the file and quotes its line.
    pub(super) fn in_text(mut self, path: &str, text: &str) -> Self {
        self.path = path.into();
        self.line = text.lines().nth(self.at.line.wrapping_sub(1)).map(str::to_owned);
        self
    }

    /// Line and column, both from 1; `None` for an error of the whole file.
    pub fn position(&self) -> Option<(usize, usize)> {
        (self.at.line > 0).then_some((self.at.line, self.at.column))
    }

    /// What is wrong, in one sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// An error at a place, with a message as for `format!`.
macro_rules! error {
    ($at:expr, $($message:tt)*) => {
        $crate::spec::error::SpecError::new($at, format!($($message)*))
    };
}
pub(super) use error;

/// A message whose place the caller adds.
impl From<String> for SpecError {
    fn from(message: String) -> Self {
        Self::new(Place::default(), message)
    }
}

impl std::error::Error for SpecError {}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible::line(&self.path))?;
        if let Some((line, column)) = self.position() {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", visible::line(&self.message))?;
        let number = self.at.line.to_string();
        let margin = " ".repeat(number.len());
        if let Some(line) = &self.line {
            let (line, carets) = snippet(line, self.at);
            write!(f, "\n{margin} |\n{number} | {line}\n{margin} | {carets}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\n{margin} = {}", visible::line(help)),
            None => Ok(()),
        }
    }
}

/// The line, cut around the place to what fits a terminal, and the carets below it.
fn snippet(line: &str, at: Place) -> (String, String) {
    const BEFORE: usize = 60;
    const SHOWN: usize = 100;
    let column = at.column.saturating_sub(1);
    let start = column.saturating_sub(BEFORE);
    // One character for each, so that the carets stand below the right ones.
    let plain = |c: char| if visible::is_hidden(c) { ' ' } else { c };
    let mut shown: String = line.chars().skip(start).take(SHOWN).map(plain).collect();
    let mut indent = column - start;
    let width = at.width.clamp(1, shown.chars().count().saturating_sub(indent).max(1));
    if start > 0 {
        shown.insert(0, '…');
        indent += 1;
    }
    if line.chars().nth(start + SHOWN).is_some() {
        shown.push('…');
    }
    (shown.trim_end().to_owned(), " ".repeat(indent) + &"^".repeat(width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_its_error() {
        let line = format!("{}wrong{}", "a".repeat(300), "b".repeat(300));
        let at = Place { line: 1, column: 301, width: 5 };
        let error = SpecError::new(at, "no").in_text("x.yaml", &line);
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
        let shown = SpecError::new(at, "`\u{1b}[31m`")
            .help("\u{7}")
            .in_text("\u{1b}.yaml", "\u{1b}[31m")
            .to_string();
        assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
    }
}
