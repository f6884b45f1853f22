//! Removes from a text what differs from run to run, and keeps its shape.

/// Every number becomes `#`.
pub fn redacted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut in_number = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let separates = matches!(character, '.' | ',');
        let goes_on = separates && in_number && characters.peek().is_some_and(char::is_ascii_digit);
        match character.is_ascii_digit() || goes_on {
            true if in_number => {}
            true => shown.push('#'),
            false => shown.push(character),
        }
        in_number = character.is_ascii_digit() || goes_on;
    }
    shown
}

/// The shape of a report's tables: headings, questions, columns and rows. What may differ in the
/// next run is removed: numbers, the order of rows, and remarks.
pub fn shape(report: &str, subjects: &[&str]) -> String {
    let mut shown: Vec<String> = Vec::new();
    // Adjacent rows of subjects, which a report sorts by rank.
    let mut rows: Vec<String> = Vec::new();
    let mut in_remarks = false;
    for line in report.lines() {
        // The number of CPUs depends on the machine.
        let line = line.split(", subject ").next().unwrap_or_default();
        // So does whether the load driver was too busy for ranking by throughput.
        let line = &line.replace("by CPU per request", "by requests/s");
        let fields: Vec<&str> = line.split("  ").map(str::trim).filter(|f| !f.is_empty()).collect();
        let first = fields.first().copied().unwrap_or_default();
        in_remarks = !first.is_empty() && (in_remarks || REMARKS.contains(&first));
        if subjects.contains(&first) {
            rows.push(format!("{first}  {} figures", fields.len() - 1));
            continue;
        }
        rows.sort();
        shown.append(&mut rows);
        if in_remarks || first.is_empty() && shown.last().is_some_and(String::is_empty) {
            continue;
        }
        // The leaders in the summary.
        let is_winner = line.starts_with(' ')
            && fields.len() == 2
            && first.contains('/')
            && !first.contains('…');
        shown.push(redacted(&if is_winner { format!("{first}  …") } else { fields.join("  ") }));
    }
    rows.sort();
    shown.append(&mut rows);
    shown.join("\n")
}

const REMARKS: [&str; 6] = ["not as expected", "as expected", "level", "warning", "note", "order"];

pub fn numbers_become_marks() {
    assert_eq!(redacted("1,024 of 3.5 MiB, no. 7."), "# of # MiB, no. #.");
}
