//! The three ways in which a comparison or a duel is written.
//!
//! Never decides what is in it.

use std::io::{self, Write};

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
    pub(crate) fn write(
        self,
        output: &mut impl Write,
        style: Style,
        parts: impl FnOnce() -> Vec<Part>,
        json: impl FnOnce() -> Value,
    ) -> io::Result<()> {
        let text = match self {
            Format::Table => terminal::draw(&parts(), style),
            Format::Json => format!("{:#}\n", json()),
            Format::Markdown => markdown::write(&parts()),
        };
        output.write_all(text.as_bytes())
    }
}
