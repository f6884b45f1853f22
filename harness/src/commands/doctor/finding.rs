//! One thing about this machine, and what follows from it.
//!
//! It holds a judgement and never makes one.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Ok,
    /// It spoils figures, or makes them poorer.
    Warning,
    /// It keeps something from running.
    Obstacle,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Obstacle => "obstacle",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// One or two words.
    pub about: &'static str,
    pub level: Level,
    /// How it is, in a sentence.
    pub says: String,
    /// What that does to measurements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub costs: Option<String>,
    /// What to do, if anything: a command where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Nothing at all can be measured here.
    #[serde(skip)]
    pub stops_everything: bool,
}

impl Finding {
    pub fn ok(about: &'static str, says: impl Into<String>) -> Self {
        Self {
            about,
            level: Level::Ok,
            says: says.into(),
            costs: None,
            remedy: None,
            stops_everything: false,
        }
    }

    pub fn warning(
        about: &'static str,
        says: impl Into<String>,
        costs: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Warning,
            costs: Some(costs.into()),
            remedy: Some(remedy.into()),
            ..Self::ok(about, says)
        }
    }

    pub fn obstacle(
        about: &'static str,
        says: impl Into<String>,
        costs: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { level: Level::Obstacle, ..Self::warning(about, says, costs, remedy) }
    }
}
