//! The formats of reports, and how parts or JSON are written in one.
//!
//! Never decides which of them a command has, nor what is in a report.

use std::io::{self, Write};

use serde_json::Value;

use crate::paint::Style;
use crate::table::Part;
use crate::{markdown, terminal};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Table,
    Json,
    Jsonl,
    Csv,
    Markdown,
}

impl Format {
    pub const ALL: [Format; 5] =
        [Format::Table, Format::Json, Format::Jsonl, Format::Csv, Format::Markdown];

    pub fn name(self) -> &'static str {
        ["table", "json", "jsonl", "csv", "markdown"][self as usize]
    }

    /// Of what has no rows to export: anything but Markdown and JSON is a table.
    pub(crate) fn write(
        self,
        output: &mut impl Write,
        style: Style,
        parts: impl FnOnce() -> Vec<Part>,
        json: impl FnOnce() -> Value,
    ) -> io::Result<()> {
        let text = match self {
            Format::Json => format!("{:#}\n", json()),
            Format::Markdown => markdown::write(&parts()),
            _ => terminal::draw(&parts(), style),
        };
        output.write_all(text.as_bytes())
    }
}
