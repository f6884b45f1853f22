//! Standard error, for warnings and progress.
//!
//! Never carries the result of a command.

/// Prints a line to standard error. A failure to print it is not a reason to stop.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}
pub(crate) use say;
