//! Failures of a whole command, by the exit code they end with.
//!
//! Never prints anything; `main` does.

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or a scenario is wrong; nothing was run.
    #[error("{0}")]
    Usage(String),
    /// The machine or a file made the command impossible. The causes stand in one line, outermost
    /// first.
    #[error("{0:#}")]
    Broken(#[from] anyhow::Error),
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

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Broken(error.into())
    }
}
