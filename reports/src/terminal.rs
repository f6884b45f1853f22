//! Reports for a terminal of a given width.
//!
//! Never drops a column or breaks a number for lack of width: columns that do not fit go into a
//! second block beneath, about the same rows. Which columns a table has was decided before. Never
//! lets a text change the terminal.

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Padding, Style as Borders};

use crate::prose::{width, wrap};
use crate::style::Style;
use crate::table::{Cell, Column, Heading, Item, Part, Table, Tint};

const INDENT: &str = " ";
const GAP: usize = 2;
/// Between the parts of a heading.
const APART: &str = "   ";
/// The names of a list are at least as wide as this note, so that the notes of all tables begin
/// in one column.
const LONGEST_NOTE: usize = "not as expected".len();

pub fn draw(parts: &[Part], style: Style) -> String {
    let mut text = String::new();
    for (index, part) in parts.iter().map(Part::visible).enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let lines = match &part {
            Part::Heading(part) => heading(part, style),
            Part::Table(part) => table(part, style),
            Part::List(items) => list(items, style),
            Part::Text(tint, part) => {
                wrap(part, style.width).iter().map(|line| style.tint(*tint, line)).collect()
            }
        };
        for line in lines {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

fn heading(heading: &Heading, style: Style) -> Vec<String> {
    let bold: Vec<&str> =
        [&heading.title].into_iter().chain(&heading.labels).map(String::as_str).collect();
    let painted: Vec<String> = bold.iter().map(|text| style.tint(Tint::Bold, text)).collect();
    let mut line = painted.join(APART);
    let facts = heading.facts.join(APART);
    let needed = width(&bold.join(APART)) + APART.len() + width(&facts);
    let mut lines = Vec::new();
    if facts.is_empty() || needed <= style.width {
        line = format!("{line}{APART}{facts}");
        lines.push(line);
    } else {
        lines.push(line);
        lines.extend(heading.facts.iter().flat_map(|fact| wrap(fact, style.width)));
    }
    if !heading.text.is_empty() {
        lines.extend(wrap(&heading.text, style.width));
    }
    lines
}

fn list(items: &[Item], style: Style) -> Vec<String> {
    let names = items.iter().map(|item| width(&item.name)).max().unwrap_or_default();
    let names = names.max(LONGEST_NOTE);
    let mut lines = Vec::new();
    for item in items {
        let name = style.tint(item.tint, &item.name);
        for (head, text) in hanging(&item.name, names, &item.text, style) {
            lines.push(format!("{}{text}", head.replacen(&item.name, &name, 1)));
        }
        for detail in &item.details {
            let detail = hanging("", names, &format!("· {detail}"), style);
            lines.extend(detail.into_iter().map(|(head, text)| head + &text));
        }
    }
    lines
}

/// A text over as many lines as it takes, each with what stands before it: the name, then spaces.
fn hanging(name: &str, names: usize, text: &str, style: Style) -> Vec<(String, String)> {
    let indent = INDENT.len() + names + GAP;
    let first = format!("{INDENT}{name}{}", " ".repeat(names + GAP - width(name)));
    let heads = [first].into_iter().chain(std::iter::repeat(" ".repeat(indent)));
    heads.zip(wrap(text, style.width.saturating_sub(indent))).collect()
}

fn table(table: &Table, style: Style) -> Vec<String> {
    let names = names_width(table);
    let mut lines = Vec::new();
    for block in balanced_blocks(&table.columns, names, style.width) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(grid(table, block, names, style));
    }
    if table.columns.is_empty() {
        let (name, text) = (&table.heading, &table.sentences_heading);
        let heads = hanging(name, names, text, style).into_iter();
        lines.extend(heads.map(|(head, text)| style.tint(Tint::Dim, &format!("{head}{text}"))));
    } else if !table.sentences.is_empty() && !lines.is_empty() {
        lines.push(String::new());
    }
    for item in &table.sentences {
        let beginning = item.text.split(": ").next().unwrap_or_default();
        let painted = style.tint(item.tint, beginning);
        let hanging = hanging(&item.name, names, &item.text, style).into_iter().enumerate();
        lines.extend(hanging.map(|(index, (head, text))| match index {
            0 => head + &text.replacen(beginning, &painted, 1),
            _ => head + &text,
        }));
    }
    lines
}

/// Rows of sentences are as wide as the others, so that all of them start in one column.
fn names_width(table: &Table) -> usize {
    let sentences = table.sentences.iter().map(|item| &item.name);
    let names = [&table.heading].into_iter().chain(&table.names).chain(sentences);
    names.map(|name| width(name)).max().unwrap_or_default()
}

/// The space of one block of a table that has no columns yet.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    used: usize,
    available: usize,
}

impl Block {
    pub(crate) fn beside_names(table: &Table, available: usize) -> Self {
        Self { used: INDENT.len() + names_width(table), available }
    }

    /// Takes a column if there is space for it.
    pub(crate) fn takes(&mut self, column: &Column) -> bool {
        let needed = self.used + GAP + column_width(column);
        let fits = needed <= self.available;
        self.used = if fits { needed } else { self.used };
        fits
    }
}

/// The fewest blocks that fit, made about equally wide, so that no column ends up alone.
fn balanced_blocks(columns: &[Column], subject_width: usize, available: usize) -> Vec<&[Column]> {
    let mut best = blocks(columns, subject_width, available);
    let widest: usize = columns.iter().map(|column| GAP + column_width(column)).sum();
    let mut narrower = available.min(INDENT.len() + subject_width + widest);
    while best.len() > 1 && narrower > 0 {
        narrower -= 1;
        let next = blocks(columns, subject_width, narrower);
        if next.len() > best.len() {
            break;
        }
        best = next;
    }
    best
}

/// Cuts the columns into runs that fit beside the subject, in their order. Columns under one
/// heading (p50 and p99 of the same latency) stay together.
fn blocks(columns: &[Column], subject_width: usize, available: usize) -> Vec<&[Column]> {
    let subject = INDENT.len() + subject_width;
    let mut blocks = Vec::new();
    let (mut start, mut end, mut used) = (0, 0, subject);
    let belong = |a: &Column, b: &Column| !a.heading[0].is_empty() && a.heading[0] == b.heading[0];
    for family in columns.chunk_by(belong) {
        let needed: usize = family.iter().map(|column| GAP + column_width(column)).sum();
        if end > start && used + needed > available {
            blocks.push(&columns[start..end]);
            (start, used) = (end, subject);
        }
        used += needed;
        end += family.len();
    }
    if start < end {
        blocks.push(&columns[start..end]);
    }
    blocks
}

/// The widest of one part of a column. Where figures have two parts, so has the second line of
/// the heading: `peak` stands over the peaks and `(loops)` over what follows them.
fn widest(column: &Column, read: fn(&Cell) -> &str) -> usize {
    let cells = column.cells.iter().map(|cell| width(read(cell))).max().unwrap_or_default();
    if has_rest(column) { cells.max(width(read(&heading_cell(column)))) } else { cells }
}

/// The second line of the heading, in the two parts that the cells have.
fn heading_cell(column: &Column) -> Cell {
    let line = column.heading[1].as_str();
    let end = if column.is_of_words() { 0 } else { line.find([' ', ',']).unwrap_or(line.len()) };
    Cell::number(&line[..end]).with(&line[end..])
}

fn has_rest(column: &Column) -> bool {
    column.cells.iter().any(|cell| !cell.rest.is_empty())
}

fn column_width(column: &Column) -> usize {
    let cells = widest(column, |cell| &cell.number) + widest(column, |cell| &cell.rest);
    let heading = column.heading.iter().map(|line| width(line)).max().unwrap_or_default();
    heading.max(cells)
}

fn grid(table: &Table, columns: &[Column], names: usize, style: Style) -> Vec<String> {
    let mut builder = Builder::default();
    let dim = |text: &str| style.tint(Tint::Dim, text);
    if columns.iter().any(|column| !column.heading[0].is_empty()) {
        let mut top = vec![String::new()];
        for family in columns.chunk_by(|a, b| a.heading[0] == b.heading[0]) {
            top.push(dim(&family[0].heading[0]));
            top.resize(top.len() + family.len() - 1, String::new());
        }
        builder.push_record(top);
    }
    let bottom = columns.iter().map(|column| {
        if !has_rest(column) {
            return dim(&column.heading[1]);
        }
        let cell = heading_cell(column);
        let (before, after) = padding(column, &cell);
        format!("{before}{}{after}", dim(&cell.text()))
    });
    builder.push_record([dim(&table.heading)].into_iter().chain(bottom));
    for (index, name) in table.names.iter().enumerate() {
        let name = format!("{name}{}", " ".repeat(names - width(name)));
        let cells = columns.iter().map(|column| painted(column, &column.cells[index], style));
        builder.push_record([name].into_iter().chain(cells));
    }
    let mut grid = builder.build();
    grid.with(Borders::empty()).with(Padding::new(GAP, 0, 0, 0));
    grid.modify(Columns::first(), Padding::new(INDENT.len(), 0, 0, 0));
    for (index, column) in columns.iter().enumerate() {
        let side = if has_rest(column) { Alignment::left() } else { Alignment::right() };
        grid.modify(Columns::one(index + 1), side);
    }
    grid.to_string().lines().map(str::to_owned).collect()
}

/// The spaces before and after a cell by which numbers end in one column and what follows them
/// begins in the next.
fn padding(column: &Column, cell: &Cell) -> (String, String) {
    let before = widest(column, |cell| &cell.number).saturating_sub(width(&cell.number));
    let after = widest(column, |cell| &cell.rest).saturating_sub(width(&cell.rest));
    (" ".repeat(before), " ".repeat(after))
}

fn painted(column: &Column, cell: &Cell, style: Style) -> String {
    let (before, after) = padding(column, cell);
    let text = if cell.tint != Tint::Plain || cell.number.is_empty() {
        style.tint(cell.tint, &cell.text())
    } else {
        let unit = cell.number.find(' ').unwrap_or(cell.number.len());
        let (digits, unit) = cell.number.split_at(unit);
        format!("{digits}{}", style.tint(Tint::Dim, &format!("{unit}{}", cell.rest)))
    };
    format!("{before}{text}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case_table::CaseTable;
    use crate::record::Status;
    use crate::tests::sample;
    use crate::view::View;

    fn plain(records: &[crate::record::Record], width: usize) -> String {
        let table = CaseTable::new(records, &View::default(), width).unwrap();
        draw(&table.parts, Style { color: false, width })
    }

    #[test]
    fn every_status_and_remark_on_a_wide_terminal() {
        insta::assert_snapshot!(plain(&sample::everything(), 150));
    }

    #[test]
    fn every_status_and_remark_on_a_narrow_terminal() {
        insta::assert_snapshot!(plain(&sample::everything(), 80));
    }

    #[test]
    fn other_tasks_and_steps_at_a_fixed_rate() {
        insta::assert_snapshot!(plain(&sample::open_loop(), 120));
    }

    #[test]
    fn both_passes_in_one_table() {
        insta::assert_snapshot!(plain(&sample::both_passes(), 150));
    }

    #[test]
    fn one_trial_is_shown_as_unsure() {
        let records = [
            sample::ok("tokio/multi-thread/epoll", 0, 182_000.0, 351),
            sample::ok("smol/multi-thread/epoll", 0, 121_000.0, 504),
        ];
        insta::assert_snapshot!(plain(&records, 150));
    }

    #[test]
    fn nothing_measured_is_still_a_table() {
        let records = [sample::no_figures(
            "compio/per-core/io_uring",
            0,
            Status::Unsupported,
            Some("io_uring is disabled here"),
        )];
        insta::assert_snapshot!(plain(&records, 80));
    }

    #[test]
    fn colours_change_nothing_but_colour() {
        let table = CaseTable::new(&sample::everything(), &View::default(), 120).unwrap().parts;
        let coloured = draw(&table, Style { color: true, width: 120 });
        assert!(coloured.contains("\x1b[32mjoint best"));
        assert!(coloured.contains("\x1b[31mcrashed"));
        let bare: Vec<String> = coloured.lines().map(strip).collect();
        let plain = draw(&table, Style { color: false, width: 120 });
        assert_eq!(bare, plain.lines().collect::<Vec<_>>());
    }

    fn strip(line: &str) -> String {
        let mut bare = line.split('\x1b');
        let first = bare.next().unwrap_or_default().to_owned();
        let text = bare.fold(first, |text, part| text + part.split_once('m').unwrap().1);
        text.trim_end().to_owned()
    }

    #[test]
    fn asked_workers_and_their_cpus() {
        insta::assert_snapshot!(plain(&sample::with_workers(), 170));
    }

    #[test]
    fn a_subject_that_contradicts_its_claim() {
        insta::assert_snapshot!(plain(&sample::with_evidence(), 170));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in [80, 100, 120, 150] {
            for records in [sample::everything(), sample::open_loop(), sample::both_passes()] {
                for line in plain(&records, columns).lines() {
                    assert!(width(line) <= columns, "{columns}: {line}");
                }
            }
        }
    }
}
