//! The three ways in which a comparison, a duel or a self-test is written.
//!
//! Never decides what is in it.

use serde_json::Value;

use crate::paint::Style;
use crate::table::Part;
use crate::{markdown, terminal};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
    Markdown,
}

impl Format {
    pub(crate) fn text(
        self,
        style: Style,
        parts: impl FnOnce() -> Vec<Part>,
        json: impl FnOnce() -> Value,
    ) -> String {
        match self {
            Format::Table => terminal::draw(&parts(), style),
            Format::Json => format!("{:#}\n", json()),
            Format::Markdown => markdown::write(&parts()),
        }
    }
}
