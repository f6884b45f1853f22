//! Standard output, where the answer of a command goes.

use std::io::{self, ErrorKind, Write};

/// Writes all of it. Whoever reads only the first lines has what was wanted.
pub fn write(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
