//! A self-test as a table for a terminal or a page, or as JSON.
//!
//! Never shows a verdict without the figure and the demand it follows from.

use serde_json::{Value, json};

use super::outcome::SelfTest;
use super::row::{Bound, Missing, Row, State, Unit};
pub use crate::format::Format;
use crate::interval::Interval;
use crate::number::{self, counted};
use crate::prose::clean;
use crate::style::Style;
use crate::table::{Cell, Heading, Item, Part, Table, Tint};

const HEADINGS: [&str; 6] =
    ["what", "demand", "reached", "samples (figures)", "worst on", "verdict"];

pub fn write(test: &SelfTest, format: Format, style: Style) -> String {
    format.text(style, || parts(test), || json(test))
}

fn json(test: &SelfTest) -> Value {
    let mut whole = json!(test);
    for (value, row) in whole["rows"].as_array_mut().into_iter().flatten().zip(&test.rows) {
        value["state"] = json!(row.state());
        value["reached"] = json!(row.reached());
        value["interval"] = json!(row.interval());
        value["worst_subject"] = json!(row.worst().map(|figure| &figure.subject));
        value["samples"] = json!(row.samples());
    }
    whole
}

fn parts(test: &SelfTest) -> Vec<Part> {
    let mut table = Table::new(&HEADINGS);
    for row in &test.rows {
        table.push(row.what, cells(row));
    }
    let heading = Heading { facts: facts(test), ..Heading::new("selftest") };
    let mut parts = vec![Part::Heading(heading), Part::Table(table)];
    let remarks = remarks(test);
    if !remarks.is_empty() {
        parts.push(Part::List(remarks));
    }
    parts.push(Part::Text(Tint::Plain, summary(test)));
    parts
}

fn facts(test: &SelfTest) -> Vec<String> {
    let mut facts = vec![
        counted(test.subjects.len() as u64, "subject"),
        number::duration(test.took_ns),
        format!("seed {}", test.seed),
    ];
    if test.quick {
        facts.push("quick: fewer samples than the demands need".to_owned());
    }
    if let Some(steal) = test.steal {
        facts.push(format!("the host took {} of the CPUs", percent(steal)));
    }
    facts
}

fn cells(row: &Row) -> [Cell; 5] {
    let (sign, bound) = match row.bound {
        Bound::AtLeast(least) => ("≥", least),
        Bound::AtMost(most) => ("≤", most),
    };
    let bound = match row.unit {
        Unit::Nanoseconds => number::round_duration(bound as u64),
        unit => shown(bound, unit),
    };
    let samples = match row.samples() {
        0 => Cell::none(),
        samples => Cell::number(number::count(samples)).with(format!(" ({})", row.figures.len())),
    };
    let state = row.state();
    let tint = match state {
        State::Reached => Tint::Good,
        State::NotReached => Tint::Bad,
        State::CannotTell | State::NotMeasured => Tint::Doubtful,
    };
    [
        Cell::number(format!("{sign} {bound}")),
        reached(row),
        samples,
        Cell::words(row.worst().map_or(number::NONE, |worst| &worst.subject)),
        Cell::words(state.word()).tinted(tint),
    ]
}

/// With the interval, where that is why the row cannot be decided.
fn reached(row: &Row) -> Cell {
    let Some(value) = row.reached() else { return Cell::none() };
    let cell = Cell::number(shown(value, row.unit));
    let end = |value: f64| match value.is_finite() {
        true => shown(value, row.unit),
        false => "?".to_owned(),
    };
    match row.interval().filter(|_| row.state() == State::CannotTell) {
        Some(Interval { low, high }) => cell.with(format!(" ({} … {})", end(low), end(high))),
        None => cell,
    }
}

fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => percent(value),
        // One decimal more than elsewhere: some demands are a few nanoseconds.
        Unit::Nanoseconds if value < 100.0 => format!("{:.1} ns", value.max(0.0)),
        Unit::Nanoseconds => number::duration(value.round() as u64),
        Unit::PerSecond => format!("{}/s", round(value)),
        Unit::Count => round(value),
    }
}

fn percent(share: f64) -> String {
    format!("{} %", round(share * 100.0))
}

/// At most two decimals; never so few that a miss looks like a hit.
fn round(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What one has to know beside the figures, by row. A reason that several rows share stands once,
/// at the end.
fn remarks(test: &SelfTest) -> Vec<Item> {
    let item = |name: &str, text: String| Item::new(Tint::Dim, name, text);
    let broken = gaps(&test.broken);
    let mut remarks: Vec<Item> = broken.iter().map(|gap| item("all rows", gap.text())).collect();
    let mut rows_by_gap: Vec<(Gap, Vec<&str>)> = Vec::new();
    for row in &test.rows {
        for gap in gaps(&row.missing) {
            match rows_by_gap.iter_mut().find(|(known, _)| *known == gap) {
                Some((_, rows)) => rows.push(row.key),
                None => rows_by_gap.push((gap, vec![row.key])),
            }
        }
    }
    for row in &test.rows {
        remarks.extend(row.notes.iter().map(|note| item(row.key, clean(note))));
        let own = rows_by_gap.iter().filter(|(_, rows)| *rows == [row.key]);
        remarks.extend(own.map(|(gap, _)| item(row.key, gap.text())));
    }
    let shared = rows_by_gap.iter().filter(|(_, rows)| rows.len() > 1);
    remarks.extend(shared.map(|(gap, rows)| item(&format!("{} rows", rows.len()), gap.text())));
    remarks
}

/// Subjects that have no figure for the same reason.
#[derive(PartialEq)]
struct Gap<'a> {
    subjects: Vec<&'a str>,
    reason: &'a str,
    is_failure: bool,
}

fn gaps(missing: &[Missing]) -> Vec<Gap<'_>> {
    let mut gaps: Vec<Gap> = Vec::new();
    for Missing { subject, reason, is_failure } in missing {
        let subject = subject.as_deref();
        match gaps.iter_mut().find(|gap| gap.reason == reason && gap.is_failure == *is_failure) {
            Some(gap) => gap.subjects.extend(subject),
            None => gaps.push(Gap {
                subjects: subject.into_iter().collect(),
                reason,
                is_failure: *is_failure,
            }),
        }
    }
    gaps.iter_mut().for_each(|gap| gap.subjects.sort_unstable());
    gaps
}

impl Gap<'_> {
    fn text(&self) -> String {
        let (subjects, reason) = (self.subjects.join(", "), clean(self.reason));
        match (self.is_failure, self.subjects.is_empty()) {
            (true, true) => format!("not measured: {reason}"),
            (true, false) => format!("not measured on {subjects}: {reason}"),
            (false, _) => format!("does not apply to {subjects}: {reason}"),
        }
    }
}

fn summary(test: &SelfTest) -> String {
    let of = |state| test.count(state);
    let mut text =
        format!("{} of {} reached", of(State::Reached), counted(test.rows.len() as u64, "demand"));
    for state in [State::NotReached, State::CannotTell, State::NotMeasured] {
        if of(state) > 0 {
            text.push_str(&format!(", {} {}", of(state), state.word()));
        }
    }
    if test.interrupted {
        text.push_str("; interrupted before the end");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::sample;
    use super::*;
    use crate::prose::width;

    fn table(test: &SelfTest) -> String {
        write(test, Format::Table, Style::PLAIN)
    }

    #[test]
    fn every_verdict_has_its_figure_and_its_demand() {
        insta::assert_snapshot!(table(&sample()));
    }

    #[test]
    fn a_page_holds_the_same() {
        insta::assert_snapshot!(write(&sample(), Format::Markdown, Style::PLAIN));
    }

    #[test]
    fn an_undecided_row_has_its_interval() {
        let mut test = sample();
        test.rows[0].figures[1].interval = Some(Interval { low: 0.941, high: f64::INFINITY });
        let text = table(&test);
        assert!(text.contains("97 % (94.1 % … ?)"), "{text}");
        let end = "1 of 3 demands reached, 1 cannot tell, 1 not measured here\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn a_narrow_terminal_gets_the_same_words() {
        let text = write(&sample(), Format::Table, Style { color: false, width: 60 });
        assert!(text.lines().all(|line| width(line) <= 60), "{text}");
        for word in ["≥ 99.5 %", "97 %", "not reached", "smol/multi-thread/epoll"] {
            assert!(text.contains(word), "{word} is missing in\n{text}");
        }
    }

    #[test]
    fn a_miss_never_looks_like_a_hit() {
        assert_eq!(shown(0.9949, Unit::Share), "99.49 %");
        assert_eq!(shown(1.0, Unit::Share), "100 %");
        assert_eq!(shown(0.074, Unit::PerSecond), "0.07/s");
        assert_eq!(shown(5.3, Unit::Nanoseconds), "5.3 ns");
    }

    #[test]
    fn a_reason_of_several_rows_stands_once() {
        let mut test = sample();
        let found = test.rows[0].clone();
        test.rows.push(Row { key: "stalls.found.9ms", notes: Vec::new(), ..found });
        let text = table(&test);
        let line =
            " 2 rows            does not apply to mio/callbacks/epoll: this executor has no timers";
        assert_eq!(text.matches("this executor has no timers").count(), 1, "{text}");
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn subjects_that_do_not_load_are_listed() {
        let mut test = sample();
        let subject = Some("glommio".to_owned());
        let reason = "it does not build".to_owned();
        test.broken.push(Missing { subject, reason, is_failure: true });
        let text = table(&test);
        assert!(text.contains("not measured on glommio: it does not build"), "{text}");
    }

    #[test]
    fn json_has_every_row_with_its_figures() {
        let value: Value =
            serde_json::from_str(&write(&sample(), Format::Json, Style::PLAIN)).unwrap();
        let rows = value["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0]["state"], "not_reached");
        assert_eq!(rows[0]["demand"]["at_least"], 0.995);
        assert_eq!(rows[0]["worst_subject"], "smol/multi-thread/epoll");
        assert_eq!(rows[2]["reached"], Value::Null);
        assert_eq!(rows[2]["missing"][0]["is_failure"], true);
    }
}
