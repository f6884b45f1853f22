//! Failures of a whole command, by the exit code they end with.

use std::fmt;

/// What a command ends with when it does not come to its end.
#[derive(Debug)]
pub enum Failure {
    /// The command line or a scenario is wrong; nothing was run.
    Usage(String),
    /// Something of the machine or the files is in the way.
    Broken(anyhow::Error),
}

impl Failure {
    pub fn usage(text: impl Into<String>) -> Self {
        Failure::Usage(text.into())
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Broken(_) => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) => formatter.write_str(text),
            // The causes in one line, outermost first.
            Failure::Broken(error) => write!(formatter, "{error:#}"),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Broken(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Broken(error.into())
    }
}
