//! Tables for a terminal of a given width.
//!
//! Never drops a column or breaks a number for lack of width: what does not fit beside goes
//! into a second block beneath, about the same subjects.

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Padding, Style as Borders};

use crate::case_table::{CaseTable, Ranked, Told};
use crate::columns::{CellText, Column, Tint};
use crate::paint::{Paint, Style};
use crate::prose::{plural, width, wrap};
use crate::record::Status;
use crate::remarks::Remark;

pub(crate) const INDENT: &str = " ";
pub(crate) const GAP: usize = 2;

pub(crate) fn draw(table: &CaseTable, style: Style) -> String {
    let paint = Paint::new(style);
    let mut lines = Vec::new();
    heading(table, style, &paint, &mut lines);
    lines.push(String::new());
    // Subjects without figures are as wide as those with, so that all reasons start in one column.
    let subject_width = table
        .subjects
        .iter()
        .map(|subject| width(&subject.id))
        .chain(table.without_figures.iter().map(|told| width(&told.id)))
        .chain([width("subject")])
        .max()
        .unwrap_or_default();
    for (index, block) in
        balanced_blocks(&table.columns, subject_width, style.width).into_iter().enumerate()
    {
        if index > 0 {
            lines.push(String::new());
        }
        lines.extend(grid(block, &table.subjects, subject_width, &paint));
    }
    if !table.subjects.is_empty() && !table.without_figures.is_empty() {
        lines.push(String::new());
    }
    for told in &table.without_figures {
        lines.extend(told_lines(told, subject_width, style, &paint));
    }
    if let Some(order) = &table.order {
        lines.push(String::new());
        lines.extend(prose(&paint.bold("order"), "order", order, style));
    }
    remarks(table, style, &paint, &mut lines);
    let mut text = String::new();
    for line in lines {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn heading(table: &CaseTable, style: Style, paint: &Paint, lines: &mut Vec<String>) {
    let plain = std::iter::once(&table.scenario)
        .chain(&table.axes)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("   ");
    let bold = std::iter::once(paint.bold(&table.scenario))
        .chain(table.axes.iter().map(|axis| paint.bold(axis)))
        .collect::<Vec<_>>()
        .join("   ");
    if width(&plain) + 3 + width(&table.workload) <= style.width {
        lines.push(format!("{bold}   {}", table.workload));
    } else {
        lines.push(bold);
        lines.extend(wrap(&table.workload, style.width));
    }
    if !table.question.is_empty() {
        lines.extend(wrap(&table.question, style.width));
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
    for family in columns.chunk_by(|a, b| a.heading[0] == b.heading[0]) {
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
fn widest(column: &Column, read: fn(&CellText) -> &str) -> usize {
    let cells = column.cells.iter().map(|cell| width(read(cell))).max().unwrap_or_default();
    if has_rest(column) { cells.max(width(read(&column.heading_cell()))) } else { cells }
}

fn has_rest(column: &Column) -> bool {
    column.cells.iter().any(|cell| !cell.rest.is_empty())
}

fn column_width(column: &Column) -> usize {
    let cells = widest(column, |cell| &cell.number) + widest(column, |cell| &cell.rest);
    let heading = column.heading.iter().map(|line| width(line)).max().unwrap_or_default();
    heading.max(cells)
}

fn grid(
    columns: &[Column],
    subjects: &[Ranked],
    subject_width: usize,
    paint: &Paint,
) -> Vec<String> {
    let mut builder = Builder::default();
    let mut top = vec![String::new()];
    let mut bottom = vec![paint.dim("subject")];
    for (index, column) in columns.iter().enumerate() {
        let repeated = index > 0 && columns[index - 1].heading[0] == column.heading[0];
        top.push(if repeated { String::new() } else { paint.dim(&column.heading[0]) });
        bottom.push(if has_rest(column) {
            let cell = column.heading_cell();
            let (before, after) = padding(column, &cell);
            format!("{before}{}{after}", paint.dim(&cell.joined()))
        } else {
            paint.dim(&column.heading[1])
        });
    }
    builder.push_record(top);
    builder.push_record(bottom);
    for (index, subject) in subjects.iter().enumerate() {
        let mut row =
            vec![format!("{}{}", subject.id, " ".repeat(subject_width - width(&subject.id)))];
        row.extend(columns.iter().map(|column| painted(column, index, paint)));
        builder.push_record(row);
    }
    let mut table = builder.build();
    table.with(Borders::empty());
    table.with(Padding::new(GAP, 0, 0, 0));
    table.modify(Columns::first(), Padding::new(INDENT.len(), 0, 0, 0));
    for (index, column) in columns.iter().enumerate() {
        let side = if has_rest(column) { Alignment::left() } else { Alignment::right() };
        table.modify(Columns::one(index + 1), side);
    }
    table.to_string().lines().map(str::to_owned).collect()
}

/// The spaces before and after a cell by which numbers end in one column and what follows them
/// begins in the next.
fn padding(column: &Column, cell: &CellText) -> (String, String) {
    let before = widest(column, |cell| &cell.number).saturating_sub(width(&cell.number));
    let after = widest(column, |cell| &cell.rest).saturating_sub(width(&cell.rest));
    (" ".repeat(before), " ".repeat(after))
}

fn painted(column: &Column, index: usize, paint: &Paint) -> String {
    let Some(cell) = column.cells.get(index) else {
        return String::new();
    };
    let (before, after) = padding(column, cell);
    let text = match cell.tint {
        Tint::Good => paint.good(&format!("{}{}", cell.number, cell.rest)),
        Tint::Bad => paint.bad(&format!("{}{}", cell.number, cell.rest)),
        Tint::Plain if cell.number.is_empty() => cell.rest.clone(),
        Tint::Plain => {
            let (digits, unit) = cell.number.split_once(' ').unwrap_or((&cell.number, ""));
            let unit =
                if unit.is_empty() { String::new() } else { format!(" {}", paint.dim(unit)) };
            format!("{digits}{unit}{}", paint.dim(&cell.rest))
        }
    };
    format!("{before}{text}{after}")
}

fn told_lines(told: &Told, subject_width: usize, style: Style, paint: &Paint) -> Vec<String> {
    let indent = INDENT.len() + subject_width + GAP;
    let status = |text: &str| match told.status {
        Status::Unsupported => paint.dim(text),
        Status::Unmeasured => paint.doubtful(text),
        _ => paint.bad(text),
    };
    wrap(&told.text, style.width.saturating_sub(indent))
        .into_iter()
        .enumerate()
        .map(|(index, line)| {
            if index > 0 {
                return format!("{}{line}", " ".repeat(indent));
            }
            let padding = " ".repeat(indent - INDENT.len() - width(&told.id));
            let line = match line.split_once(": ") {
                Some((word, rest)) => format!("{}: {rest}", status(word)),
                None => status(&line),
            };
            format!("{INDENT}{}{padding}{line}", told.id)
        })
        .collect()
}

fn remarks(table: &CaseTable, style: Style, paint: &Paint, lines: &mut Vec<String>) {
    let remarks = &table.remarks;
    let mut all: Vec<(String, &str, String)> = Vec::new();
    let said = |remark: &Remark| format!("{}: {}", remark.subjects, remark.text);
    all.extend(
        remarks
            .missed
            .iter()
            .map(|remark| (paint.bad("not as expected"), "not as expected", said(remark))),
    );
    if !remarks.met.is_empty() {
        let counted = plural(remarks.met.len() as u64, "expectation", "expectations");
        let text = if remarks.missed.is_empty() {
            format!("{counted} met in every trial: {}", remarks.met.join(", "))
        } else {
            format!("{counted} met: {}", remarks.met.join(", "))
        };
        all.push((paint.good("as expected"), "as expected", text));
    }
    all.extend(
        remarks.warnings.iter().map(|remark| (paint.doubtful("warning"), "warning", said(remark))),
    );
    all.extend(remarks.notes.iter().map(|remark| (paint.dim("note"), "note", said(remark))));
    if !all.is_empty() {
        lines.push(String::new());
    }
    for (painted, label, text) in all {
        lines.extend(prose(&painted, label, &text, style));
    }
}

/// A label and a paragraph hanging from it.
pub(crate) fn prose(painted: &str, label: &str, text: &str, style: Style) -> Vec<String> {
    const LABEL: usize = "not as expected".len();
    let indent = INDENT.len() + LABEL + GAP;
    wrap(text, style.width.saturating_sub(indent))
        .into_iter()
        .enumerate()
        .map(|(index, line)| {
            if index > 0 {
                return format!("{}{line}", " ".repeat(indent));
            }
            let padding = " ".repeat((LABEL + GAP).saturating_sub(width(label)));
            format!("{INDENT}{painted}{padding}{line}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn plain(records: &[crate::record::Record], width: usize) -> String {
        draw(&CaseTable::new(records).unwrap(), Style { color: false, width })
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
        let records = [sample::told(
            "compio/per-core/io_uring",
            0,
            Status::Unsupported,
            Some("io_uring is disabled here"),
        )];
        insta::assert_snapshot!(plain(&records, 80));
    }

    #[test]
    fn colours_change_nothing_but_colour() {
        let table = CaseTable::new(&sample::everything()).unwrap();
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
    fn workers_that_were_asked_for_and_the_cpus_they_had() {
        insta::assert_snapshot!(plain(&sample::with_workers(), 170));
    }

    #[test]
    fn a_subject_that_does_not_do_what_it_says() {
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
