//! Writes records in one format, case by case while a run continues.
//!
//! Never keeps the records of a case once they are written. Of a scenario that is not over, the figures
//! that its cases are compared by are kept, and where the values of an axis are rows, its trials.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::axis_table::{self, AxisTables};
use crate::case_table::CaseTable;
use crate::claims::{Claims, Judged};
use crate::crossover::Crossovers;
use crate::figures::Cell;
use crate::format::Format;
use crate::prose::clean;
use crate::record::{Record, Subject};
use crate::shared_remarks::{self, SharedRemarks};
use crate::style::Style;
use crate::summary::Summary;
use crate::table::{Part, Tint};
use crate::tally::Tally;
use crate::view::{BY_IMPORTANCE, RANGES, View};
use crate::{csv, legend, markdown, terminal, visible};

/// Writes one report. Call [`Reporter::case`] for each finished scenario case, with the records
/// of all its cells and trials, [`Reporter::end_scenario`] when none of its cases is left, and
/// [`Reporter::finish`] at the end, also after an interruption: what was written before is whole
/// then, in every format.
pub struct Reporter<W> {
    output: W,
    format: Format,
    style: Style,
    view: View,
    tally: Tally,
    summary: Summary,
    shared: SharedRemarks,
    crossovers: Crossovers,
    claims: Claims,
    axis_tables: AxisTables,
    /// Names of columns that have appeared, and of those that did not fit.
    columns: BTreeSet<&'static str>,
    left_out: BTreeSet<&'static str>,
    /// Runtimes that have figures, and their versions.
    versions: BTreeSet<String>,
    written: u64,
}

impl<W: Write> Reporter<W> {
    /// `style` is for tables; no other format is coloured or cut to a width.
    pub fn new(mut output: W, format: Format, style: Style, view: View) -> io::Result<Self> {
        match format {
            Format::Json => output.write_all(b"[")?,
            Format::Csv => output.write_all(csv::header().as_bytes())?,
            Format::Table | Format::Jsonl | Format::Markdown | Format::Junit | Format::Claims => {}
        }
        Ok(Self {
            output,
            format,
            style,
            tally: Tally::default(),
            summary: Summary::default(),
            shared: SharedRemarks::default(),
            crossovers: Crossovers::new(view.crossovers),
            claims: Claims::default(),
            axis_tables: AxisTables::default(),
            columns: BTreeSet::new(),
            left_out: BTreeSet::new(),
            view,
            versions: BTreeSet::new(),
            written: 0,
        })
    }

    /// All records must be of one scenario case. Flushed, so that it can be read at once.
    pub fn case(&mut self, records: &[Record]) -> io::Result<()> {
        for record in records {
            self.tally.add(record);
        }
        self.claims.add(records);
        match self.format {
            Format::Table | Format::Markdown | Format::Junit => self.table(records)?,
            Format::Json | Format::Jsonl | Format::Csv => {
                for record in records {
                    self.record(record)?;
                }
            }
            Format::Claims => {}
        }
        self.output.flush()
    }

    /// No more cases of this scenario will come: what they say together.
    pub fn end_scenario(&mut self, run_id: &str, scenario: &str) -> io::Result<()> {
        let tables = self.axis_tables.end(run_id, scenario, &self.view, self.width());
        self.tables(tables)?;
        let sweeps = self.crossovers.end(run_id, scenario);
        let judged = self.claims.end(run_id, scenario);
        self.together(sweeps, judged)?;
        self.output.flush()
    }

    /// What became of everything so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Closes the report, and gives back where it was written and what became of the run.
    pub fn finish(mut self) -> io::Result<(W, Tally)> {
        let tables = self.axis_tables.end_all(&self.view, self.width());
        self.tables(tables)?;
        let sweeps = self.crossovers.end_all();
        let judged = self.claims.end_all();
        self.together(sweeps, judged)?;
        match self.format {
            Format::Json => {
                self.output.write_all(if self.written > 0 { b"\n]\n" } else { b"]\n" })?
            }
            Format::Jsonl | Format::Csv => {}
            Format::Claims => {
                let json = std::mem::take(&mut self.claims).into_json();
                self.output.write_all(visible::text(&format!("{json:#}\n")).as_bytes())?;
            }
            Format::Table | Format::Markdown | Format::Junit => self.end_of_tables()?,
        }
        self.output.flush()?;
        Ok((self.output, self.tally))
    }

    /// What the cases of scenarios say together.
    fn together(&mut self, sweeps: Vec<Part>, judged: Judged) -> io::Result<()> {
        self.tally.expectations_missed += judged.missed;
        match self.format {
            Format::Table | Format::Markdown | Format::Junit => {
                self.parts(&[sweeps, judged.parts].concat())
            }
            Format::Json | Format::Jsonl | Format::Csv | Format::Claims => Ok(()),
        }
    }

    fn record(&mut self, record: &Record) -> io::Result<()> {
        match self.format {
            Format::Json => {
                self.output.write_all(if self.written > 0 { b",\n" } else { b"\n" })?;
                self.output.write_all(json(record)?.as_bytes())?;
            }
            Format::Csv => self.output.write_all(csv::row(record).as_bytes())?,
            _ => {
                self.output.write_all((json(record)? + "\n").as_bytes())?;
            }
        }
        self.written += 1;
        Ok(())
    }

    fn width(&self) -> usize {
        if self.format == Format::Table { self.style.width } else { usize::MAX }
    }

    /// That of the case, unless its rows belong into tables that need the other cases.
    fn table(&mut self, records: &[Record]) -> io::Result<()> {
        self.crossovers.add(records);
        let measured = records.iter().filter(|record| record.metrics.is_some());
        self.versions.extend(measured.map(version));
        if let Some(axis) = records.first().and_then(|it| axis_table::axis(it, &self.view)) {
            self.axis_tables.add(&axis, records);
            let cells = Cell::all_of(axis_table::used(records));
            let measured = cells.iter().filter(|cell| cell.figures().is_some());
            let measured: Vec<String> = measured.map(|it| clean(&it.subject.id)).collect();
            self.shared.add(shared_remarks::of_case(&cells), measured.iter());
            return Ok(());
        }
        let Some(mut table) = CaseTable::new(records, &self.view, self.width()) else {
            return Ok(());
        };
        // A claim is answered by itself, and not by what is best in its cases.
        if !records.iter().any(Record::has_sentence) {
            self.summary.add(&table);
        }
        let shared = std::mem::take(&mut table.shared);
        self.shared.add(shared, table.standings.iter().map(|(id, _)| id));
        self.tables(vec![table])
    }

    fn tables(&mut self, tables: Vec<CaseTable>) -> io::Result<()> {
        for table in tables {
            self.columns.extend(&table.columns);
            self.left_out.extend(&table.left_out);
            self.parts(&table.parts)?;
        }
        Ok(())
    }

    fn end_of_tables(&mut self) -> io::Result<()> {
        self.parts(&self.claims.summary(self.format == Format::Markdown))?;
        if self.summary.is_needed() {
            self.parts(&self.summary.parts())?;
            self.columns.insert(legend::SUMMARY);
        }
        let mut parts = self.shared.parts();
        let absent: Vec<&str> =
            self.view.columns.iter().copied().filter(|name| !self.columns.contains(name)).collect();
        if !absent.is_empty() && !self.columns.is_empty() {
            let text = format!("no table has figures for: {}", absent.join(", "));
            parts.push(Part::Text(Tint::Doubtful, text));
        }
        if !self.left_out.is_empty() {
            let ranked = [RANGES].into_iter().chain(BY_IMPORTANCE);
            let ranked = ranked.filter(|name| self.left_out.contains(name));
            let text = format!(
                "not shown in {} columns of text: {}. `--columns NAME,…` chooses; a file or pipe \
                 gets them all",
                self.style.width,
                ranked.collect::<Vec<_>>().join(", ")
            );
            parts.push(Part::Text(Tint::Dim, text));
        }
        if self.view.legend && !self.columns.is_empty() {
            parts.extend(legend::legend(&self.columns));
        }
        if !self.versions.is_empty() {
            let versions: Vec<&str> = self.versions.iter().map(String::as_str).collect();
            parts.push(Part::Text(Tint::Plain, format!("versions: {}", versions.join(", "))));
        }
        self.parts(&parts)
    }

    fn parts(&mut self, parts: &[Part]) -> io::Result<()> {
        if parts.is_empty() {
            return Ok(());
        }
        let text = match self.format {
            Format::Markdown => markdown::write(parts),
            _ => terminal::draw(parts, self.style),
        };
        if self.written > 0 {
            self.output.write_all(b"\n")?;
        }
        self.written += 1;
        self.output.write_all(text.as_bytes())
    }
}

fn json(record: &Record) -> serde_json::Result<String> {
    Ok(visible::text(&serde_json::to_string(record)?).into_owned())
}

/// `tokio 1.47.1`; a runtime that has no version (plain threads) goes by its name.
fn version(record: &Record) -> String {
    let Subject { runtime, version, .. } = &record.subject;
    let runtime = runtime.strip_suffix(&format!("@{version}")).unwrap_or(runtime);
    clean(&format!("{runtime} {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Status;
    use crate::tests::sample;

    fn report(format: Format, cases: &[Vec<Record>]) -> String {
        let style = Style { color: false, width: 120 };
        viewed(format, style, View { legend: true, ..View::default() }, cases)
    }

    fn viewed(format: Format, style: Style, view: View, cases: &[Vec<Record>]) -> String {
        let mut reporter = Reporter::new(Vec::new(), format, style, view).unwrap();
        for case in cases {
            reporter.case(case).unwrap();
        }
        let (output, tally) = reporter.finish().unwrap();
        let records: usize = cases.iter().map(Vec::len).sum();
        assert_eq!(tally.trials(), records as u64);
        String::from_utf8(output).unwrap()
    }

    fn two_small_cases() -> Vec<Vec<Record>> {
        [("1", 0.98), ("64", 0.5)]
            .into_iter()
            .map(|(connections, share)| {
                let mut records: Vec<Record> = (0..3)
                    .flat_map(|trial| {
                        let drift = 1.0 + f64::from(trial) * 0.02;
                        [
                            sample::ok("tokio/multi-thread/epoll", trial, 90_000.0 * drift, 30),
                            sample::ok(
                                "smol/multi-thread/epoll",
                                trial,
                                90_000.0 * drift * share,
                                31,
                            ),
                        ]
                    })
                    .collect();
                let reason = Some("io_uring is disabled here");
                for id in ["glommio/per-core/io_uring", "monoio/per-core/io_uring"] {
                    records.push(sample::no_figures(id, 0, Status::Unsupported, reason));
                }
                for record in &mut records {
                    record.case[0].value = connections.into();
                }
                records
            })
            .collect()
    }

    #[test]
    fn tables_end_with_a_summary_and_a_legend() {
        insta::assert_snapshot!(report(Format::Table, &two_small_cases()));
    }

    #[test]
    fn pages_end_with_a_summary_and_a_legend() {
        insta::assert_snapshot!(report(Format::Markdown, &two_small_cases()));
    }

    #[test]
    fn a_table_of_80_columns_names_what_it_leaves_out() {
        let style = Style { color: false, width: 80 };
        let cases = [sample::everything()];
        insta::assert_snapshot!(viewed(Format::Table, style, View::default(), &cases));
    }

    #[test]
    fn columns_and_rows_as_chosen() {
        let columns = vec!["p99", "rate", "backend"];
        let view = View { columns, sort: Some("p99"), ..View::default() };
        insta::assert_snapshot!(viewed(Format::Table, Style::PLAIN, view, &two_small_cases()));
    }

    #[test]
    fn rows_are_of_the_axis_asked_for_where_there_is_one() {
        let cases = |rows_axis: Option<&str>| {
            let mut cases = two_small_cases();
            for record in cases.iter_mut().flatten() {
                record.rows_axis = rows_axis.map(str::to_owned);
            }
            cases
        };
        let heading = |written: Option<&str>, asked: Option<&str>| {
            let view = View { rows: asked.map(str::to_owned), ..View::default() };
            let text = viewed(Format::Table, Style::PLAIN, view, &cases(written));
            let second = text.lines().find(|line| line.contains("in flight")).unwrap();
            let names = text.lines().skip_while(|line| *line != second).nth(1).unwrap();
            (names.split_whitespace().next().unwrap().to_owned(), text.contains("\nsummary"))
        };
        let of_subjects = ("subject".to_owned(), true);
        let of_values = ("connections".to_owned(), false);
        assert_eq!(heading(None, None), of_subjects);
        assert_eq!(heading(Some("connections"), None), of_values);
        assert_eq!(heading(None, Some("connections")), of_values);
        assert_eq!(heading(Some("connections"), Some("size")), of_values);
        assert_eq!(heading(Some("size"), Some("how")), of_subjects);
    }

    #[test]
    fn crossovers_need_a_question_about_backends() {
        let case = |connections: &str, ids: &[&str], is_asked: bool| -> Vec<Record> {
            let mut records: Vec<Record> =
                ids.iter().map(|id| sample::ok(id, 0, 10.0, 5)).collect();
            for record in &mut records {
                record.case[0].value = connections.into();
                record.crossovers = is_asked;
            }
            records
        };
        let has_crossovers = |ids: &[&str], is_asked, crossovers| {
            let cases = ["1", "64"].map(|value| case(value, ids, is_asked));
            let view = View { crossovers, ..View::default() };
            viewed(Format::Table, Style::PLAIN, view, &cases).contains("\ncrossovers ")
        };
        let alike = ["a/b/epoll", "a/b/poll"];
        let unlike = ["a/b/epoll", "a/b/poll", "c/d/epoll"];
        assert!(has_crossovers(&alike, false, false));
        assert!(!has_crossovers(&unlike, false, false));
        assert!(has_crossovers(&unlike, true, false) && has_crossovers(&unlike, false, true));
    }

    #[test]
    fn json_of_two_records() {
        let records = vec![
            sample::no_figures("a/b/c", 0, Status::Crashed, Some("killed by signal 9")),
            sample::no_figures("d/e/f", 0, Status::Unsupported, None),
        ];
        insta::assert_snapshot!(report(Format::Json, &[records]));
    }

    #[test]
    fn json_is_an_array_of_all_records() {
        for cases in
            [vec![], vec![sample::open_loop()], vec![sample::open_loop(), sample::everything()]]
        {
            let read: Vec<Record> = serde_json::from_str(&report(Format::Json, &cases)).unwrap();
            assert_eq!(read, cases.concat());
        }
    }

    #[test]
    fn a_line_or_a_row_for_each_record() {
        let cases = [sample::open_loop(), sample::everything()];
        let records = cases.concat().len();
        assert_eq!(report(Format::Jsonl, &cases).lines().count(), records);
        assert_eq!(report(Format::Csv, &cases).lines().count(), records + 1);
        assert_eq!(report(Format::Csv, &[]).lines().count(), 1);
        assert_eq!(report(Format::Jsonl, &[]), "");
    }

    #[test]
    fn no_case_no_text() {
        assert_eq!(report(Format::Table, &[]), "");
        assert_eq!(report(Format::Markdown, &[]), "");
    }
}
