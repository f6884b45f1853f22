//! Standard output, where the answer of a command goes.

use std::io::{self, ErrorKind, IsTerminal, Write};

use quadrant_reports::paint::Style;

use crate::terminal::color::Color;

/// Writes all of it. Whoever reads only the first lines has what was wanted.
pub fn write(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// How it may look.
pub fn style(color: Color) -> Style {
    let width = if io::stdout().is_terminal() { terminal_width() } else { usize::MAX };
    Style { color: color.wanted(&io::stdout()), width }
}

fn terminal_width() -> usize {
    rustix::termios::tcgetwinsize(io::stdout())
        .map_or(120, |size| if size.ws_col == 0 { 120 } else { usize::from(size.ws_col) })
}
