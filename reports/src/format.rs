//! The formats of reports, and how parts or JSON are written in one.
//!
//! Never decides which of them a command has, nor what is in a report.

use serde_json::Value;

use crate::style::Style;
use crate::table::Part;
use crate::{markdown, terminal, visible};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Table,
    Json,
    Jsonl,
    Csv,
    Markdown,
    /// For checks only: tests, as CI services read them.
    Junit,
    /// For records only: the verdicts on claims and ratios, as JSON.
    Claims,
}

impl Format {
    /// Those in which records are reported.
    pub const OF_RECORDS: [Format; 6] =
        [Format::Table, Format::Json, Format::Jsonl, Format::Csv, Format::Markdown, Format::Claims];

    pub fn name(self) -> &'static str {
        ["table", "json", "jsonl", "csv", "markdown", "junit", "claims"][self as usize]
    }

    /// For reports without records to export: any other format than JSON and Markdown is a table.
    pub(crate) fn text(
        self,
        style: Style,
        parts: impl FnOnce() -> Vec<Part>,
        json: impl FnOnce() -> Value,
    ) -> String {
        match self {
            Format::Json => visible::text(&format!("{:#}\n", json())).into_owned(),
            Format::Markdown => markdown::write(&parts()),
            _ => terminal::draw(&parts(), style),
        }
    }
}
