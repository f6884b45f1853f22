//! Standard error, for warnings and progress.
//!
//! Never carries the result of a command.

use std::io::Write;

use quadrant_reports::visible;

/// Prints a line, or several. A failure to print them is not a reason to stop.
pub fn write_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", visible::text(text));
}

/// The same with a text as for `format!`.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::terminal::standard_error::write_line(&format!($($words)*))
    };
}
pub(crate) use say;
