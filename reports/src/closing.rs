//! Lines for a terminal that are not drawn from a [`crate::table`] yet.
//!
//! Never used outside the self-test.

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Padding, Style as Borders};

use crate::paint::{Paint, Style};
use crate::prose::{width, wrap};
use crate::terminal::{GAP, INDENT};

/// A name, and what is said of it hanging beside, over as many lines as it takes.
pub(crate) fn named(
    rows: &[(String, String)],
    style: Style,
    paint: impl Fn(&str) -> String,
) -> Vec<String> {
    let names = rows.iter().map(|(name, _)| width(name)).max().unwrap_or_default();
    let indent = INDENT.len() + names + GAP;
    let mut lines = Vec::new();
    for (name, text) in rows {
        for (index, line) in wrap(text, style.width.saturating_sub(indent)).into_iter().enumerate()
        {
            let name = if index == 0 { name } else { "" };
            let padding = " ".repeat(names + GAP - width(name));
            lines.push(format!("{INDENT}{}{padding}{line}", paint(name)));
        }
    }
    lines
}

/// Texts in columns: the first to the left, all others to the right.
pub(crate) fn grid<const N: usize>(
    headings: &[&str; N],
    rows: &[[String; N]],
    paint: &Paint,
) -> Vec<String> {
    let mut builder = Builder::default();
    builder.push_record(headings.iter().map(|heading| paint.dim(heading)));
    for row in rows {
        builder.push_record(row);
    }
    let mut table = builder.build();
    table.with(Borders::empty()).with(Padding::new(GAP, 0, 0, 0)).with(Alignment::right());
    table.modify(Columns::first(), Alignment::left());
    table.modify(Columns::first(), Padding::new(INDENT.len(), 0, 0, 0));
    table.to_string().lines().map(str::to_owned).collect()
}

pub(crate) fn joined(lines: Vec<String>) -> String {
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}
