//! What a scenario expects of a case's figures: `stalls.count: 0`, `latency.p99: "<= 5ms"`.
//!
//! Never judges a figure; it reads what is expected and checks that there is such a figure.

use quadrant_reports::expectation::{Comparison, Expectation, Unit, metric_names, metric_unit};

use super::document::Expect;
use super::error::Problem;
use super::nearest;
use super::quantity::{Kind, quoted};
use super::scalar::Scalar;
use super::scenario::Expected;
use super::values::{Complaint, Values};

/// The names that a case gives to figures.
pub(super) struct Named<'a> {
    pub(super) rows: &'a [String],
    /// Those with figures of their own: not the first group when there is no server.
    pub(super) groups: &'a [String],
    /// The group that the figures without a name are about.
    pub(super) operation: Option<&'a str>,
}

/// Appends what `expect` demands of this case; nothing if its `when` means other cases.
pub(super) fn read(
    expect: &Expect,
    values: &mut Values<'_>,
    named: &Named<'_>,
    expected: &mut Vec<Expected>,
) -> Result<(), Problem> {
    if let Some(subjects) = &expect.subjects {
        check_glob(subjects)?;
    }
    if !matches(expect, values)? {
        return Ok(());
    }
    for (metric, value) in &expect.metrics {
        let unit = unit(metric, named)?;
        let (comparison, number) = comparison(value);
        let usage = format!("what is expected of `{}`", metric.text);
        let value = values.read(&number, &usage, |text| amount(text, unit))?;
        expected.push(Expected {
            subjects: expect.subjects.as_ref().map(|glob| glob.text.clone()),
            expectation: Expectation { metric: metric.text.clone(), comparison, value },
        });
    }
    Ok(())
}

pub(super) fn check_glob(subjects: &Scalar) -> Result<(), Problem> {
    match globset::Glob::new(&subjects.text) {
        Ok(_) if !subjects.text.is_empty() => Ok(()),
        _ => Err(Problem::new(
            subjects.at,
            format!("{} is no pattern of subjects", quoted(&subjects.text)),
        )
        .help("write it like `tokio`, `*/per-core/*` or `smol/**`".to_owned())),
    }
}

/// Whether every axis in `when` has one of the values given there.
fn matches(expect: &Expect, values: &Values<'_>) -> Result<bool, Problem> {
    let axes = values.axes();
    let mut all = true;
    for (name, wanted) in &expect.when.0 {
        let Some(axis) = axes.find(&name.text) else {
            let names = axes.all().iter().map(|axis| axis.name.as_str());
            return Err(Problem::new(name.at, format!("there is no axis {}", quoted(&name.text)))
                .help(nearest::advice(&name.text, names)));
        };
        let possible = &axes.all()[axis].values;
        if let Some(wrong) = wanted.0.iter().find(|wanted| !possible.contains(&wanted.text)) {
            return Err(Problem::new(
                wrong.at,
                format!("{} is no value of the axis `{}`", quoted(&wrong.text), name.text),
            )
            .help(nearest::advice(&wrong.text, possible.iter().map(String::as_str))));
        }
        all &= wanted.0.iter().any(|wanted| wanted.text == values.value(axis));
    }
    Ok(all)
}

fn unit(metric: &Scalar, named: &Named<'_>) -> Result<Unit, Problem> {
    let text = metric.text.as_str();
    let Some(unit) = metric_unit(text) else {
        let problem = Problem::new(metric.at, format!("there is no figure {}", quoted(text)));
        return Err(problem.help(if text.starts_with("steps.") {
            Some("a step's figures are written like `steps.db.p99`".to_owned())
        } else if text.starts_with("groups.") {
            Some("a group's figures are written like `groups.hasher.ops`, `groups.hasher.latency.p99`".to_owned())
        } else {
            nearest::advice(text, metric_names().iter().copied())
        }));
    };
    let parts: Vec<&str> = text.split('.').collect();
    match parts.as_slice() {
        ["steps", step, ..] if !named.rows.iter().any(|row| row == step) => {
            Err(Problem::new(metric.at, format!("no step of this case is named {}", quoted(step)))
                .help(nearest::advice(step, named.rows.iter().map(String::as_str))))
        }
        ["groups", group, ..] if named.operation == Some(group) => Err(Problem::new(
            metric.at,
            format!("`{group}` is the first group, whose figures have no prefix"),
        )
        .help(format!("write `{}`", parts[2..].join(".")))),
        ["groups", group, ..] if !named.groups.iter().any(|known| known == group) => {
            Err(Problem::new(metric.at, format!("no tasks are named {}", quoted(group)))
                .help(nearest::advice(group, named.groups.iter().map(String::as_str))))
        }
        _ => Ok(unit),
    }
}

/// `<= 5` becomes "at most" and `5`; without a sign it has to be equal.
fn comparison(value: &Scalar) -> (Comparison, Scalar) {
    let text = value.text.trim();
    // Longest first: `<=` begins with `<`.
    let mut signs = Comparison::ALL;
    signs.sort_by_key(|comparison| std::cmp::Reverse(comparison.symbol().len()));
    let found = signs.into_iter().find_map(|comparison| {
        let rest = text.strip_prefix(comparison.symbol())?;
        Some((comparison, rest.trim_start()))
    });
    let (comparison, text) = found.unwrap_or((Comparison::Equal, text));
    let text = text.to_owned();
    (comparison, Scalar { text, at: value.at })
}

fn amount(text: &str, unit: Unit) -> Result<f64, Complaint> {
    let whole = |kind: Kind| match text {
        "0" => Ok(0.0),
        _ => Ok(kind.read(text)? as f64),
    };
    match unit {
        Unit::Nanoseconds => whole(Kind::Duration),
        Unit::Bytes => whole(Kind::Size),
        Unit::Count => number(text),
        Unit::PerSecond => number(text.strip_suffix("/s").unwrap_or(text)),
    }
}

fn number(text: &str) -> Result<f64, Complaint> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    match text.parse::<f64>() {
        Ok(value) if plain && value.is_finite() => Ok(value),
        _ => Err(Complaint {
            message: format!("{} is nothing a figure can be compared with", quoted(text)),
            help: Some(
                "write a number, or a comparison in quotes: \"<= 5\", \">= 10\", \"< 3\", \"> 2\""
                    .to_owned(),
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::error::Place;

    #[test]
    fn reads_comparisons() {
        for (text, comparison, rest) in [
            ("0", Comparison::Equal, "0"),
            ("= 0", Comparison::Equal, "0"),
            ("<= 5", Comparison::AtMost, "5"),
            ("<5ms", Comparison::Below, "5ms"),
            (">= $n", Comparison::AtLeast, "$n"),
            ("> 2", Comparison::Above, "2"),
        ] {
            let at = Place::default();
            let text = text.to_owned();
            let (seen, value) = super::comparison(&Scalar { text, at });
            assert_eq!((seen, value.text.as_str()), (comparison, rest));
        }
    }

    #[test]
    fn reads_amounts_in_their_unit() {
        let read = |text, unit| amount(text, unit).ok();
        assert_eq!(read("5ms", Unit::Nanoseconds), Some(5e6));
        assert_eq!(read("0", Unit::Nanoseconds), Some(0.0));
        assert_eq!(read("5", Unit::Nanoseconds), None);
        assert_eq!(read("4KiB", Unit::Bytes), Some(4096.0));
        assert_eq!(read("1.5", Unit::Count), Some(1.5));
        assert_eq!(read("2000/s", Unit::PerSecond), Some(2000.0));
        assert_eq!(read("2000", Unit::PerSecond), Some(2000.0));
        for wrong in ["", "-1", "nan", "inf", "1e3", "<", "many"] {
            assert_eq!(read(wrong, Unit::Count), None, "{wrong}");
        }
    }
}
