//! Standard error, where people are told what is not the answer.

/// Prints a line to standard error. Where nobody can be told, that is no reason to stop.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}
pub(crate) use say;
