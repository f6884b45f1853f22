//! One thing about this machine, and what follows from it.
//!
//! Never reads anything: whether it is good is for the check to decide.

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

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// One or two words.
    pub about: &'static str,
    pub level: Level,
    /// How it is, in a sentence.
    #[serde(rename = "says")]
    pub state: String,
    /// What that does to measurements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub costs: Option<&'static str>,
    /// What to do about it: a command where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Nothing at all can be measured here.
    #[serde(skip)]
    pub stops_everything: bool,
}

impl Finding {
    /// A warning unless it is good.
    pub fn check(about: &'static str, is_good: bool, state: impl Into<String>) -> Self {
        let level = if is_good { Level::Ok } else { Level::Warning };
        let state = state.into();
        Self { about, level, state, costs: None, remedy: None, stops_everything: false }
    }

    /// What it costs if it is not good, and what to do then.
    pub fn or(mut self, costs: &'static str, remedy: impl Into<String>) -> Self {
        if self.level != Level::Ok {
            self.costs = Some(costs);
            self.remedy = Some(remedy.into());
        }
        self
    }

    /// More than a warning, if it is not good.
    pub fn or_obstacle(self, costs: &'static str, remedy: impl Into<String>) -> Self {
        let level = if self.level == Level::Ok { Level::Ok } else { Level::Obstacle };
        Self { level, ..self.or(costs, remedy) }
    }
}
