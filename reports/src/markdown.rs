//! The same tables as GitHub's Markdown.
//!
//! Never lets a subject's or scenario's text become markup.

use crate::case_table::CaseTable;
use crate::columns::Kind;
use crate::remarks::Remark;
use crate::summary::{EXPLANATION, Summary};

pub(crate) fn write(table: &CaseTable) -> String {
    let mut text = format!("### {}\n\n", escape(&table.scenario));
    let mut facts: Vec<String> =
        table.axes.iter().map(|axis| format!("**{}**", escape(axis))).collect();
    if !table.workload.is_empty() {
        facts.push(escape(&table.workload));
    }
    if !facts.is_empty() {
        text.push_str(&facts.join(" · "));
        text.push_str("\n\n");
    }
    if !table.question.is_empty() {
        text.push_str(&format!("*{}*\n\n", escape(&table.question)));
    }
    grid(table, &mut text);
    let mut list = Vec::new();
    list.extend(table.order.iter().map(|order| format!("**order**: {}", escape(order))));
    list.extend(said("**not as expected**:", &table.remarks.missed));
    if !table.remarks.met.is_empty() {
        list.push(format!("as expected: {}", escape(&table.remarks.met.join(", "))));
    }
    list.extend(said("warning:", &table.remarks.warnings));
    list.extend(said("note:", &table.remarks.notes));
    if !list.is_empty() {
        text.push('\n');
    }
    for line in list {
        text.push_str(&format!("- {line}\n"));
    }
    text
}

pub(crate) fn summary(summary: &Summary) -> String {
    let mut text = format!("\n### Summary: {}\n\n", summary.title());
    row(["scenario", "who leads"], &mut text);
    row([":--", ":--"], &mut text);
    for (scenario, leaders) in summary.leaders() {
        row([escape(&scenario).as_str(), &escape(&leaders)], &mut text);
    }
    text.push('\n');
    row(Summary::HEADINGS, &mut text);
    row(
        Summary::HEADINGS.map(|heading| if heading == "subject" { ":--" } else { "--:" }),
        &mut text,
    );
    for cells in summary.rows() {
        row(cells.each_ref().map(|cell| escape(cell)).iter().map(String::as_str), &mut text);
    }
    text.push_str(&format!("\n{EXPLANATION}.\n"));
    text
}

pub(crate) fn legend(lines: &[(&str, &str)]) -> String {
    let mut text = "\n### What the columns mean\n\n".to_owned();
    for (name, meaning) in lines {
        text.push_str(&format!("- **{}**: {}\n", escape(name), escape(meaning)));
    }
    text
}

fn grid(table: &CaseTable, text: &mut String) {
    let mut titles = vec!["subject".to_owned()];
    titles.extend(table.columns.iter().map(|column| escape(&column.title())));
    let mut rules: Vec<&str> = vec![":--"];
    rules.extend(table.columns.iter().map(|column| match column.kind {
        Kind::Standing | Kind::Besides => ":--",
        _ => "--:",
    }));
    if table.columns.is_empty() {
        titles.push("why there are no figures".to_owned());
        rules.push(":--");
    }
    row(titles.iter().map(String::as_str), text);
    row(rules, text);
    for (index, subject) in table.subjects.iter().enumerate() {
        let mut cells = vec![escape(&subject.id)];
        cells.extend(table.columns.iter().map(|column| escape(&column.cells[index].joined())));
        row(cells.iter().map(String::as_str), text);
    }
    for told in &table.without_figures {
        let mut cells = vec![escape(&told.id), escape(&told.text)];
        cells.resize(titles.len(), String::new());
        row(cells.iter().map(String::as_str), text);
    }
}

pub(crate) fn row<'a>(cells: impl IntoIterator<Item = &'a str>, text: &mut String) {
    text.push('|');
    for cell in cells {
        text.push(' ');
        text.push_str(cell);
        text.push_str(" |");
    }
    text.push('\n');
}

fn said<'a>(label: &'a str, remarks: &'a [Remark]) -> impl Iterator<Item = String> + 'a {
    remarks.iter().map(move |remark| {
        format!("{label} {}: {}", escape(&remark.subjects), escape(&remark.text))
    })
}

/// Words stay words: no cell ends early, nothing becomes a tag, a link or a heading.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            // Within a word an underscore is only itself.
            '_' if before.is_alphanumeric()
                && characters.peek().is_some_and(|c| c.is_alphanumeric()) =>
            {
                escaped.push(character);
            }
            '|' | '\\' | '`' | '*' | '[' | ']' | '#' | '~' | '_' => {
                escaped.extend(['\\', character]);
            }
            _ => escaped.push(character),
        }
        before = character;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Status;
    use crate::sample;

    #[test]
    fn every_status_and_remark() {
        insta::assert_snapshot!(write(&CaseTable::new(&sample::everything()).unwrap()));
    }

    #[test]
    fn a_reason_cannot_break_the_table() {
        let records = [sample::told("a/b/c", 0, Status::Failed, Some("a | b\n<script> `x`"))];
        let text = write(&CaseTable::new(&records).unwrap());
        assert!(text.contains(r"| failed: a \| b &lt;script> \`x\` |"), "{text}");
    }
}
