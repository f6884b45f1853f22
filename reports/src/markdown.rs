//! Reports as GitHub's Markdown.
//!
//! Never lets a subject's or scenario's text become markup.

use crate::table::{Column, Heading, Item, Part, Table, Tint};

pub fn write(parts: &[Part]) -> String {
    let part = |part: &Part| match &part.visible() {
        Part::Heading(part) => heading(part),
        Part::Table(part) => table(part),
        Part::List(items) => list(items),
        Part::Text(_, part) => format!("{}\n", escape(part)),
    };
    parts.iter().map(part).collect::<Vec<_>>().join("\n")
}

fn heading(heading: &Heading) -> String {
    let mut text = format!("### {}\n", escape(&heading.title));
    let labels = heading.labels.iter().map(|label| format!("**{}**", escape(label)));
    let facts = heading.facts.iter().filter(|fact| !fact.is_empty()).map(|fact| escape(fact));
    let facts: Vec<String> = labels.chain(facts).collect();
    if !facts.is_empty() {
        text.push_str(&format!("\n{}\n", facts.join(" · ")));
    }
    if !heading.text.is_empty() {
        text.push_str(&format!("\n*{}*\n", escape(&heading.text)));
    }
    text
}

fn list(items: &[Item]) -> String {
    let mut text = String::new();
    let mut name = "";
    for item in items {
        name = if item.name.is_empty() { name } else { &item.name };
        let mark = if matches!(item.tint, Tint::Plain | Tint::Dim) { "" } else { "**" };
        let mut said = escape(&item.text);
        for detail in &item.details {
            said.push_str(if said.ends_with(['.', '?']) { " " } else { ". " });
            said.push_str(&escape(detail));
        }
        text.push_str(&format!("- {mark}{}{mark}: {said}\n", escape(name)));
    }
    text
}

fn table(table: &Table) -> String {
    let title = |column: &Column| column.heading.join(" ").trim().to_owned();
    let mut titles = vec![table.heading.clone()];
    titles.extend(table.columns.iter().map(title));
    let side = |column: &Column| if column.is_of_words() { ":--" } else { "--:" };
    let mut sides = vec![":--"];
    sides.extend(table.columns.iter().map(side));
    if table.columns.is_empty() {
        titles.push(table.sentences_heading.clone());
        sides.push(":--");
    }
    let mut text = String::new();
    row(&titles, &mut text);
    row(&sides, &mut text);
    for (index, name) in table.names.iter().enumerate() {
        let cells = table.columns.iter().map(|column| column.cells[index].text());
        row(&[name.clone()].into_iter().chain(cells).collect::<Vec<_>>(), &mut text);
    }
    for item in &table.sentences {
        let mut cells = vec![item.name.clone(), item.text.clone()];
        cells.resize(titles.len(), String::new());
        row(&cells, &mut text);
    }
    text
}

fn row(cells: &[impl AsRef<str>], text: &mut String) {
    text.push('|');
    for cell in cells {
        text.push_str(&format!(" {} |", escape(cell.as_ref())));
    }
    text.push('\n');
}

/// Words stay words: no cell ends early, nothing becomes a tag, a link or a heading.
fn escape(text: &str) -> String {
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
    use crate::case_table::CaseTable;
    use crate::record::Status;
    use crate::tests::sample;
    use crate::view::View;

    fn table_of(records: &[crate::record::Record]) -> CaseTable {
        CaseTable::new(records, &View::default(), usize::MAX).unwrap()
    }

    #[test]
    fn every_status_and_remark() {
        insta::assert_snapshot!(write(&table_of(&sample::everything()).parts));
    }

    #[test]
    fn a_reason_cannot_break_the_table() {
        let records = [sample::no_figures("a/b/c", 0, Status::Failed, Some("a | b\n<script> `x`"))];
        let text = write(&table_of(&records).parts);
        assert!(text.contains(r"| failed: a \| b &lt;script> \`x\` |"), "{text}");
    }
}
