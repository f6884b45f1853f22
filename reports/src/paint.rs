//! How a report may look: its width, and whether it may use colours.
//!
//! Never asks the terminal; the caller knows where the text goes.

/// What the caller allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub color: bool,
    /// Columns of the terminal; `usize::MAX` where lines have no end, as in a file.
    pub width: usize,
}

impl Style {
    pub const PLAIN: Style = Style { color: false, width: usize::MAX };
}

/// Colours by meaning. Without colour nothing is lost: each meaning is also a word.
pub struct Paint {
    color: bool,
}

impl Paint {
    pub fn new(style: Style) -> Self {
        Self { color: style.color }
    }

    pub fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    pub fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }

    pub fn bad(&self, text: &str) -> String {
        self.with("31", text)
    }

    pub fn good(&self, text: &str) -> String {
        self.with("32", text)
    }

    pub fn doubtful(&self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
