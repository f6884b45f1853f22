//! The table of numbers to reach, for a terminal and for a page.
//!
//! Never shows a verdict without the figure and the demand it follows from.

use super::report::SelfTest;
use super::row::{Bound, Missing, Row, State, Unit};
use crate::closing::{grid, joined, named};
use crate::interval::Interval;
use crate::markdown;
use crate::number;
use crate::paint::{Paint, Style};
use crate::prose::{clean, plural, width, wrap};

const NAME: &str = "selftest";
const HEADINGS: [&str; 6] = ["what", "demand", "reached", "of", "worst on", "verdict"];

pub(super) fn draw(test: &SelfTest, style: Style) -> String {
    let paint = Paint::new(style);
    let mut lines = Vec::new();
    for (index, line) in
        wrap(&title(test), style.width.saturating_sub(NAME.len() + 3)).into_iter().enumerate()
    {
        let head = if index == 0 { paint.bold(NAME) } else { " ".repeat(NAME.len()) };
        lines.push(format!("{head}   {line}"));
    }
    lines.push(String::new());
    let cells: Vec<[String; 6]> = test.rows.iter().map(cells).collect();
    let plain = grid(&HEADINGS, &cells, &Paint::new(Style { color: false, ..style }));
    if plain.iter().any(|line| width(line) > style.width) {
        lines.extend(blocks(test, style, &paint));
    } else {
        let painted: Vec<[String; 6]> = test
            .rows
            .iter()
            .zip(cells)
            .map(|(row, mut cells)| {
                cells[5] = verdict(row, &paint);
                cells
            })
            .collect();
        lines.extend(grid(&HEADINGS, &painted, &paint));
    }
    let remarks = remarks(test);
    if !remarks.is_empty() {
        lines.push(String::new());
        lines.extend(named(&remarks, style, |name| paint.dim(name)));
    }
    lines.push(String::new());
    lines.extend(wrap(&summary(test), style.width));
    joined(lines)
}

/// For a terminal that is too narrow: a row after the other.
fn blocks(test: &SelfTest, style: Style, paint: &Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for row in &test.rows {
        let [what, demand, reached, of, worst, _] = cells(row);
        lines.extend(wrap(&what, style.width).iter().map(|line| paint.bold(line)));
        let rows = [
            ("demand", demand),
            ("reached", reached),
            ("of", of),
            ("worst on", worst),
            ("verdict", row.state().word().to_owned()),
        ];
        let rows = rows.map(|(name, text)| (name.to_owned(), text));
        lines.extend(named(&rows, style, |name| paint.dim(name)));
    }
    lines
}

pub(super) fn page(test: &SelfTest) -> String {
    let escape = markdown::escape;
    let mut text = format!("## Selftest\n\n{}\n\n", escape(&title(test)));
    markdown::row(HEADINGS, &mut text);
    markdown::row([":--", "--:", "--:", "--:", ":--", ":--"], &mut text);
    for row in &test.rows {
        let cells = cells(row).map(|cell| escape(&cell));
        markdown::row(cells.iter().map(String::as_str), &mut text);
    }
    text.push('\n');
    for (name, remark) in remarks(test) {
        text.push_str(&format!("- {}: {}\n", escape(&name), escape(&remark)));
    }
    text.push_str(&format!("\n{}\n", escape(&summary(test))));
    text
}

fn title(test: &SelfTest) -> String {
    let mut title = format!(
        "{}, {}, seed {}",
        plural(test.subjects.len() as u64, "subject", "subjects"),
        number::duration(test.took_ns),
        test.seed
    );
    if test.quick {
        title.push_str(", quick: fewer samples than the demands ask for");
    }
    if let Some(steal) = test.steal {
        title.push_str(&format!("; the host took {} of the CPUs", percent(steal)));
    }
    title
}

fn cells(row: &Row) -> [String; 6] {
    let (sign, bound) = match row.bound {
        Bound::AtLeast(least) => ("≥", least),
        Bound::AtMost(most) => ("≤", most),
    };
    [
        row.what.clone(),
        match row.unit {
            Unit::Nanoseconds => format!("{sign} {}", number::round_duration(bound as u64)),
            unit => format!("{sign} {}", shown(bound, unit)),
        },
        reached(row),
        match row.samples() {
            0 => number::NONE.to_owned(),
            samples => format!("{} on {}", number::count(samples), row.figures.len()),
        },
        row.worst().map_or_else(|| number::NONE.to_owned(), |worst| worst.subject.clone()),
        row.state().word().to_owned(),
    ]
}

/// With the interval, where that is why it cannot be told.
fn reached(row: &Row) -> String {
    let Some(value) = row.reached() else { return number::NONE.to_owned() };
    let value = shown(value, row.unit);
    let end = |value: f64| match value.is_finite() {
        true => shown(value, row.unit),
        false => "?".to_owned(),
    };
    match row.interval().filter(|_| row.state() == State::CannotTell) {
        Some(Interval { low, high }) => format!("{value} ({} … {})", end(low), end(high)),
        None => value,
    }
}

fn verdict(row: &Row, paint: &Paint) -> String {
    let word = row.state().word();
    match row.state() {
        State::Reached => paint.good(word),
        State::NotReached => paint.bad(word),
        State::CannotTell | State::NotMeasured => paint.doubtful(word),
    }
}

fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => percent(value),
        // A decimal more than elsewhere: some demands are of a few.
        Unit::Nanoseconds if value < 100.0 => format!("{:.1} ns", value.max(0.0)),
        Unit::Nanoseconds => number::duration(value.round() as u64),
        Unit::PerSecond => format!("{}/s", round(value)),
        Unit::Count => round(value),
    }
}

fn percent(share: f64) -> String {
    format!("{} %", round(share * 100.0))
}

/// Two decimals, where there are any; never so few that a miss looks like a hit.
fn round(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What has to be known beside the figures, by row. What misses in several rows for the same reason
/// is told once, at the end.
fn remarks(test: &SelfTest) -> Vec<(String, String)> {
    let mut remarks: Vec<(String, String)> =
        test.broken.iter().map(|missing| ("not measured".to_owned(), told(missing))).collect();
    let gaps: Vec<(&Row, Gap)> = test
        .rows
        .iter()
        .flat_map(|row| gaps(&row.missing).into_iter().map(move |gap| (row, gap)))
        .collect();
    let rows_with = |gap: &Gap| gaps.iter().filter(|(_, other)| other == gap).count();
    for row in &test.rows {
        remarks.extend(row.notes.iter().map(|note| (row.key.clone(), clean(note))));
        let own = gaps.iter().filter(|(of, gap)| of.key == row.key && rows_with(gap) == 1);
        remarks.extend(own.map(|(_, gap)| (row.key.clone(), gap.told())));
    }
    for (index, (_, gap)) in gaps.iter().enumerate() {
        let rows = rows_with(gap);
        if rows > 1 && !gaps[..index].iter().any(|(_, other)| other == gap) {
            remarks.push((format!("{rows} rows"), gap.told()));
        }
    }
    remarks
}

/// Subjects that miss a figure for the same reason.
#[derive(PartialEq)]
struct Gap<'a> {
    subjects: Vec<&'a str>,
    reason: &'a str,
    is_failure: bool,
}

fn gaps(missing: &[Missing]) -> Vec<Gap<'_>> {
    let mut gaps: Vec<Gap> = Vec::new();
    for one in missing {
        let subject = one.subject.as_deref();
        match gaps.iter_mut().find(|gap| gap.reason == one.reason) {
            Some(gap) => gap.subjects.extend(subject),
            None => gaps.push(Gap {
                subjects: subject.into_iter().collect(),
                reason: &one.reason,
                is_failure: one.is_failure,
            }),
        }
    }
    gaps.iter_mut().for_each(|gap| gap.subjects.sort_unstable());
    gaps
}

impl Gap<'_> {
    fn told(&self) -> String {
        let word = if self.is_failure { "not measured" } else { "not asked" };
        match self.subjects.is_empty() {
            true => format!("{word}: {}", clean(self.reason)),
            false => format!("{word} of {}: {}", self.subjects.join(", "), clean(self.reason)),
        }
    }
}

fn told(missing: &Missing) -> String {
    match &missing.subject {
        Some(subject) => format!("{subject}: {}", clean(&missing.reason)),
        None => clean(&missing.reason),
    }
}

fn summary(test: &SelfTest) -> String {
    let of = |state| test.count(state);
    let mut text = format!(
        "{} of {} reached",
        of(State::Reached),
        plural(test.rows.len() as u64, "number", "numbers")
    );
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
    use super::super::report::tests::sample;
    use super::*;

    #[test]
    fn every_verdict_has_its_figure_and_its_demand() {
        let expected = "\
selftest   2 subjects, 42.0 s, seed 7; the host took 0.4 % of the CPUs

 what                      demand  reached        of                  worst on            verdict
 stalls found, θ = 5 ms  ≥ 99.5 %     97 %  400 on 2   smol/multi-thread/epoll        not reached
 overhead of a trial      ≤ 50 ms  12.3 ms    4 on 1  tokio/multi-thread/epoll            reached
 threads created              ≤ 0        –         –                         –  not measured here

 stalls.found.5ms  made by spinning, sleeping and reading in turn
 stalls.found.5ms  not asked of mio/callbacks/epoll: this executor has no timers
 threads.created   not measured: the kernel takes no program of ours: bpf(2) is not allowed

1 of 3 numbers reached, 1 not reached, 1 not measured here
";
        assert_eq!(draw(&sample(), Style::PLAIN), expected);
    }

    #[test]
    fn what_cannot_be_told_has_its_interval() {
        let mut test = sample();
        test.rows[0].figures[1].interval = Some(Interval { low: 0.941, high: f64::INFINITY });
        let text = draw(&test, Style::PLAIN);
        assert!(text.contains("97 % (94.1 % … ?)"), "{text}");
        let end = "1 of 3 numbers reached, 1 cannot tell, 1 not measured here\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn a_narrow_terminal_gets_blocks_with_the_same_words() {
        let text = draw(&sample(), Style { color: false, width: 60 });
        assert!(text.lines().all(|line| width(line) <= 60), "{text}");
        for word in ["≥ 99.5 %", "97 %", "not reached", "smol/multi-thread/epoll"] {
            assert!(text.contains(word), "{word} is missing in\n{text}");
        }
    }

    #[test]
    fn a_page_holds_the_same() {
        let text = page(&sample());
        assert!(text.contains("| stalls found, θ = 5 ms | ≥ 99.5 % | 97 % |"), "{text}");
    }

    #[test]
    fn a_miss_never_looks_like_a_hit() {
        assert_eq!(shown(0.9949, Unit::Share), "99.49 %");
        assert_eq!(shown(1.0, Unit::Share), "100 %");
        assert_eq!(shown(0.074, Unit::PerSecond), "0.07/s");
        assert_eq!(shown(5.3, Unit::Nanoseconds), "5.3 ns");
    }

    #[test]
    fn what_misses_in_several_rows_is_told_once() {
        let mut test = sample();
        let found = test.rows[0].clone();
        test.rows.push(Row { key: "stalls.found.9ms".to_owned(), notes: Vec::new(), ..found });
        let text = draw(&test, Style::PLAIN);
        let told =
            " 2 rows            not asked of mio/callbacks/epoll: this executor has no timers";
        assert_eq!(text.matches("this executor has no timers").count(), 1, "{text}");
        assert!(text.contains(told), "{text}");
    }
}
