//! What changes for code that moves from one subject to another.

use quadrant_suite::checks::Kind;

use super::{Answer, Findings};
use crate::number::counted;
use crate::table::{Cell, Heading, Part, Table, Tint};

/// Only the checks with another answer. Numbers are left out: two measurements are never the same.
pub(super) fn moving(findings: &Findings, from: &str, to: &str) -> Vec<Part> {
    let heading = Heading::new(format!("moving from {from} to {to}"));
    let place = |id: &str| findings.subjects.iter().position(|subject| subject == id);
    let (Some(from), Some(to)) = (place(from), place(to)) else {
        return vec![Part::Heading(heading)];
    };
    let mut table = Table::new(&["check", "from", "to", "question"]);
    for (check, answers) in findings.checks.iter().zip(&findings.answers) {
        let (before, after) = (&answers[from], &answers[to]);
        if check.kind == Kind::Metric || before.short() == after.short() {
            continue;
        }
        let cell = |answer: &Answer| {
            let tint = if answer.is_failure(check.kind) { Tint::Bad } else { Tint::Plain };
            Cell::words(answer.short()).tinted(tint)
        };
        let question = Cell::words(check.question.as_str()).tinted(Tint::Dim);
        table.push(check.id.as_str(), [cell(before), cell(after), question]);
    }
    let same = findings.checks.iter().filter(|check| check.kind != Kind::Metric).count()
        - table.names.len();
    let text = format!("the same answer on both: {}", counted(same as u64, "other check"));
    let mut parts = vec![Part::Heading(heading)];
    if !table.names.is_empty() {
        parts.push(Part::Table(table));
    }
    parts.push(Part::Text(Tint::Plain, text));
    parts
}

#[cfg(test)]
mod tests {
    use super::super::tests::findings;
    use super::*;
    use crate::style::Style;
    use crate::terminal;

    #[test]
    fn only_what_changes_is_shown() {
        let parts = moving(&findings(), "a/one/epoll", "b/two/io_uring");
        let text = terminal::draw(&parts, Style::PLAIN);
        assert!(text.contains("handle-drop   detaches  cancels"), "{text}");
        assert!(!text.contains("wake-latency"), "{text}");
        let same = terminal::draw(&moving(&findings(), "a/one/epoll", "a/one/epoll"), Style::PLAIN);
        assert!(same.contains("the same answer on both: 3 other checks"), "{same}");
    }
}
