//! Takes out of a text what differs from run to run, and leaves its shape.

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

/// The same for a report: units go with their numbers, and columns are one space apart.
pub fn figures_redacted(text: &str) -> String {
    text.lines().map(|line| redacted(line) + "\n").collect()
}

#[test]
fn numbers_become_marks() {
    assert_eq!(redacted("1,024 of 3.5 MiB, no. 7."), "# of # MiB, no. #.");
}
