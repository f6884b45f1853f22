//! Standard output, for the result of a command.
//!
//! Never carries warnings or progress; those go to standard error.

use std::io::{self, ErrorKind, IsTerminal, Write};

use quadrant_reports::style::Style;

use crate::terminal::color::Color;

pub fn write(text: &str) -> io::Result<()> {
    unless_closed(io::stdout().write_all(text.as_bytes()))
}

/// No error if the reader closed the pipe: it may need only the first lines.
pub fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Colours and width.
pub fn style(color: Color) -> Style {
    let width = if io::stdout().is_terminal() { terminal_width() } else { usize::MAX };
    Style { color: color.wanted(&io::stdout()), width }
}

fn terminal_width() -> usize {
    rustix::termios::tcgetwinsize(io::stdout())
        .map_or(120, |size| if size.ws_col == 0 { 120 } else { usize::from(size.ws_col) })
}
