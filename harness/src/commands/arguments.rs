//! Values on the command line that several commands take.
//!
//! Never guesses: what is not possible is refused with what is.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PathBufValueParser, PossibleValuesParser, TypedValueParser};
use quadrant_reports::format::Format;
use quadrant_reports::view::{BY_IMPORTANCE, SORTABLE, View};

use crate::commands::failure::Failure;

/// A percentage: `2`, `0.5` or `2%`.
pub fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').trim_end().parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("a number of per cent between 0 and 100 is possible, such as 2 or 0.5".to_owned()),
    }
}

/// A pattern of subjects. Their names have no comma, so one outside of braces separates patterns.
pub fn pattern(text: &str) -> Result<String, String> {
    if !text.contains(',') || text.contains(['{', '[']) {
        return Ok(text.to_owned());
    }
    let each = |option: &str| format!("{option} {}", text.replace(',', &format!(" {option} ")));
    Err(format!(
        "give the option once for each pattern, as in {} or {}, or write '{{{text}}}'",
        each("-r"),
        each("-x")
    ))
}

/// What tables of cases show.
#[derive(Debug, Clone, Default, Args)]
pub struct TableOptions {
    /// These columns in this order, however wide they are [default: all that fit the terminal, the
    /// most important first]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = one_of(&BY_IMPORTANCE))]
    columns: Vec<&'static str>,
    /// Sort the rows by this column [default: by `best`]
    #[arg(long, value_name = "NAME", value_parser = one_of(&SORTABLE))]
    sort: Option<&'static str>,
    /// Print what the columns mean
    #[arg(long)]
    legend: bool,
    /// Print where one backend overtakes another along every axis of numbers, not only for
    /// scenarios and subjects that differ by backends
    #[arg(long)]
    crossovers: bool,
    /// One table for each subject, with the values of this axis as rows, of scenarios that have it
    /// [default: the scenario's `table: { rows: … }`, else the subjects of each case]
    #[arg(long, value_name = "AXIS")]
    rows: Option<String>,
}

impl TableOptions {
    pub fn view(&self, format: Format) -> Result<View, Failure> {
        let is_table = matches!(format, Format::Table | Format::Markdown);
        if !is_table && (!self.columns.is_empty() || self.sort.is_some() || self.rows.is_some()) {
            return Err(Failure::usage(format!(
                "--columns, --sort and --rows are for tables, and --format {} prints none",
                format.name()
            )));
        }
        Ok(View {
            columns: self.columns.clone(),
            sort: self.sort,
            legend: self.legend,
            crossovers: self.crossovers,
            rows: self.rows.clone(),
        })
    }

    /// An error if `--rows` names none of these axes.
    pub fn check_rows<'a>(&self, axes: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
        self.rows.as_deref().map_or(Ok(()), |axis| check_axis(axis, axes))
    }
}

/// An error if an axis is none of these.
pub fn check_axis<'a>(axis: &str, axes: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let names = unique(axes);
    if names.contains(&axis) {
        return Ok(());
    }
    Err(Failure::usage(match names.as_slice() {
        [] => format!("there is no axis `{axis}`: these scenarios have none"),
        _ => format!("there is no axis `{axis}`; there is {}", names.join(", ")),
    }))
}

/// In the order of their first appearance.
pub fn unique<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut unique = Vec::new();
    for one in all {
        if !unique.contains(&one) {
            unique.push(one);
        }
    }
    unique
}

fn one_of(names: &'static [&'static str]) -> impl TypedValueParser<Value = &'static str> {
    PossibleValuesParser::new(names).map(|word| {
        let name = names.iter().find(|name| **name == word);
        *name.expect("clap lets only these names pass")
    })
}

/// The formats of a command that lists things.
pub const TABLE_OR_JSON: &[Format] = &[Format::Table, Format::Json];

/// The formats of a command that has no records to export.
pub const READABLE: &[Format] = &[Format::Table, Format::Json, Format::Markdown];

/// The formats of tests.
pub const TESTS: &[Format] = &[Format::Table, Format::Json, Format::Markdown, Format::Junit];

/// One of the formats that a command has.
pub fn format(possible: &'static [Format]) -> impl TypedValueParser<Value = Format> {
    let words = PossibleValuesParser::new(possible.iter().map(|format| format.name()));
    words.map(|word| {
        let format = possible.iter().find(|format| format.name() == word);
        *format.expect("clap lets only the names of these formats pass")
    })
}

/// A folder of results, or the file of records in it.
pub fn results_folder() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().map(|given| match given.parent() {
        Some(folder) if given.ends_with("records.jsonl") && !given.is_dir() => {
            if folder == Path::new("") { PathBuf::from(".") } else { folder.to_owned() }
        }
        _ => given,
    })
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    #[test]
    fn formats_go_by_their_names() {
        let command = || Command::new("x").arg(Arg::new("format").value_parser(format(READABLE)));
        for expected in READABLE {
            let read = command().try_get_matches_from(["x", expected.name()]).unwrap();
            assert_eq!(read.get_one::<Format>("format"), Some(expected));
        }
        let error = command().try_get_matches_from(["x", "csv"]).unwrap_err().to_string();
        assert!(error.contains("'csv'") && error.contains("table, json, markdown"), "{error}");
    }

    #[test]
    fn a_list_of_patterns_gets_advice() {
        let advice = pattern("tokio,smol").unwrap_err();
        assert!(advice.contains("-r tokio -r smol or ") && advice.contains("'{tokio,smol}'"));
        for sound in ["tokio", "{tokio,smol}/*/epoll", "[a,b]*"] {
            assert_eq!(pattern(sound).as_deref(), Ok(sound));
        }
    }

    #[test]
    fn percentages_may_have_their_sign() {
        assert_eq!(percent("2"), Ok(2.0));
        assert_eq!(percent("0.5 %"), Ok(0.5));
        assert!(percent("101%").is_err() && percent("few").is_err());
    }
}
