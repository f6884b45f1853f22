//! Texts that differ in their numbers only, as one text with ranges: `at 83…91 %`.
//!
//! Never changes a word.

/// A text and the ranges of the numbers in it.
#[derive(Debug)]
pub(crate) struct Ranged {
    /// What stands before each number, and after the last.
    pub words: Vec<String>,
    /// The lowest and the highest, as they were written.
    numbers: Vec<[String; 2]>,
}

impl Ranged {
    pub(crate) fn of(text: &str) -> Self {
        let (mut words, mut numbers) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c: char| !matches!(c, '0'..='9' | '.' | ','));
            // The full stop or comma after a number belongs to the sentence.
            let number = from[..end.unwrap_or(from.len())].trim_end_matches(['.', ',']);
            words.push(before.to_owned());
            numbers.push([number.to_owned(), number.to_owned()]);
            rest = &from[number.len()..];
        }
        words.push(rest.to_owned());
        Self { words, numbers }
    }

    pub(crate) fn widen(&mut self, other: &Self) {
        let value = |text: &str| text.replace(',', "").parse::<f64>().unwrap_or_default();
        for ([low, high], [seen, _]) in self.numbers.iter_mut().zip(&other.numbers) {
            if value(seen) < value(low) {
                low.clone_from(seen);
            } else if value(seen) > value(high) {
                high.clone_from(seen);
            }
        }
    }

    pub(crate) fn text(&self) -> String {
        let number = |[low, high]: &[String; 2]| {
            if low == high { low.clone() } else { format!("{low}…{high}") }
        };
        let numbers = self.numbers.iter().map(number).chain([String::new()]);
        self.words.iter().zip(numbers).map(|(words, number)| words.clone() + &number).collect()
    }
}
