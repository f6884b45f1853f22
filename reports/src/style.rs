//! How a report may look: its width, and whether it may use colours.
//!
//! Never queries the terminal: the caller does.

use crate::table::Tint;

/// Chosen by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub color: bool,
    /// Columns of the terminal; `usize::MAX` where lines have no end, as in a file.
    pub width: usize,
}

impl Style {
    pub const PLAIN: Style = Style { color: false, width: usize::MAX };

    /// The text in the colour of its meaning, if colours are wanted.
    pub(crate) fn tint(self, tint: Tint, text: &str) -> String {
        let code = match tint {
            Tint::Plain => return text.to_owned(),
            Tint::Bold => "1",
            Tint::Dim => "2",
            Tint::Bad => "31",
            Tint::Good => "32",
            Tint::Doubtful => "33",
        };
        if self.color && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
