//! What a scenario expects of a case's figures: `stalls.count: 0`, `latency.p99: "<= 5ms"`.
//!
//! Never judges a figure; it reads what is expected and checks that there is such a figure.

use quadrant_reports::record::AxisValue;
use quadrant_reports::record::expectation::{
    Comparison, Expectation, Unit, metric_names, metric_unit,
};

use super::axes::CaseValues;
use super::case::Expected;
use super::error::{SpecError, error};
use super::quantity::{DURATION, SIZE};
use super::yaml::{Node, Scalar};
use crate::terminal::nearest::{hint, quoted};

/// The names that a case gives to figures.
pub(super) struct Named<'a> {
    pub(super) rows: &'a [String],
    /// Those with figures of their own: not the first group when there is no server.
    pub(super) groups: &'a [&'a str],
    /// The group that the figures without a name are about.
    pub(super) operation: Option<&'a str>,
    /// Whether these are all: none is missing because of a mistake.
    pub(super) is_whole: bool,
}

/// The pattern of subjects that an entry names.
pub(super) fn subjects(node: &Node) -> Result<Option<&Scalar>, SpecError> {
    node.find("subjects").map(Node::text).transpose()
}

/// What an entry expects of this case; nothing if its `when` excludes the case.
pub(super) fn read(
    node: &Node,
    values: &mut CaseValues<'_>,
    named: &Named<'_>,
) -> Result<Vec<Expected>, SpecError> {
    let subjects = subjects(node)?;
    let is_metric = |key: &Scalar| key.text != "when" && key.text != "subjects";
    if !node.map()?.iter().any(|(key, _)| is_metric(key)) {
        return Err(error!(node.at, "this expects nothing")
            .help("name a figure, for example `stalls.count: 0`"));
    }
    let mut included = Some(Vec::new());
    let mut metrics = Vec::new();
    for (key, value) in node.map()? {
        match key.text.as_str() {
            "when" => {
                let read = includes(value, values);
                included = values.mistakes.keep(read).unwrap_or_else(|| Some(Vec::new()));
            }
            "subjects" => {}
            _ => metrics.push((key, value)),
        }
    }
    let Some(when) = included else { return Ok(Vec::new()) };
    let mut expected = Vec::new();
    for (metric, value) in metrics {
        let read = read_metric(metric, value, values, named);
        let read = values.mistakes.keep(read);
        let subjects = subjects.map(|glob| glob.text.clone());
        let when = when.clone();
        expected.extend(read.map(|expectation| Expected { subjects, when, expectation }));
        if values.mistakes.is_full() {
            break;
        }
    }
    Ok(expected)
}

fn read_metric(
    metric: &Scalar,
    value: &Node,
    values: &mut CaseValues<'_>,
    named: &Named<'_>,
) -> Result<Expectation, SpecError> {
    let unit = unit(metric, named)?;
    let value = value.text()?;
    let (comparison, number) = comparison(&value.text);
    let usage = || format!("what is expected of `{}`", metric.text);
    let value = values.read_text(number, value.at, usage, |text| amount(text, unit))?;
    Ok(Expectation { metric: metric.text.clone(), comparison, value })
}

/// The axes that have one value in `when`; nothing if another axis, or one of these, has another.
fn includes(when: &Node, values: &CaseValues<'_>) -> Result<Option<Vec<AxisValue>>, SpecError> {
    let mut all = true;
    let mut single = Vec::new();
    for (name, wanted) in when.map()? {
        let axis = values.find("", &name.text, name.at)?;
        let wanted = wanted.texts()?;
        wanted.iter().try_for_each(|value| values.check_value(axis, value))?;
        all &= wanted.iter().any(|value| value.text == values.value(axis));
        if let [only] = wanted.as_slice() {
            single.push(AxisValue { axis: name.text.clone(), value: only.text.clone() });
        }
    }
    Ok(all.then_some(single))
}

fn unit(metric: &Scalar, named: &Named<'_>) -> Result<Unit, SpecError> {
    let text = metric.text.as_str();
    let error = |message: String, help| Err(SpecError::new(metric.at, message).help_if(help));
    // It may be the name of a step or group that has a mistake itself.
    let missing =
        |message, help| error(message, help).map_err(|error| error.consequence_if(!named.is_whole));
    let Some(unit) = metric_unit(text) else {
        let help = if text.starts_with("steps.") {
            Some("a step's figures are written like `steps.db.p99`".to_owned())
        } else if text.starts_with("groups.") {
            Some("a group's figures are written like `groups.hasher.ops`, `groups.hasher.latency.p99`".to_owned())
        } else {
            hint(text, metric_names().iter().copied())
        };
        return error(format!("there is no figure {}", quoted(text)), help);
    };
    let parts: Vec<&str> = text.split('.').collect();
    match parts.as_slice() {
        ["steps", step, ..] if !named.rows.iter().any(|row| row == step) => missing(
            format!("no step of this case is named {}", quoted(step)),
            hint(step, named.rows.iter().map(String::as_str)),
        ),
        ["groups", group, ..] if named.operation == Some(group) => missing(
            format!("`{group}` is the first group, whose figures have no prefix"),
            Some(format!("write `{}`", parts[2..].join("."))),
        ),
        ["groups", group, ..] if !named.groups.contains(group) => missing(
            format!("no tasks are named {}", quoted(group)),
            hint(group, named.groups.iter().copied()),
        ),
        _ => Ok(unit),
    }
}

/// `<= 5` becomes "at most" and `5`; without a sign it has to be equal.
pub(super) fn comparison(text: &str) -> (Comparison, &str) {
    let text = text.trim();
    // Longest first: `<=` begins with `<`.
    let mut signs = Comparison::ALL;
    signs.sort_by_key(|comparison| std::cmp::Reverse(comparison.symbol().len()));
    let found = signs.into_iter().find_map(|comparison| {
        let rest = text.strip_prefix(comparison.symbol())?;
        Some((comparison, rest.trim_start()))
    });
    found.unwrap_or((Comparison::Equal, text))
}

fn amount(text: &str, unit: Unit) -> Result<f64, SpecError> {
    match unit {
        Unit::Nanoseconds | Unit::Bytes if text == "0" => Ok(0.0),
        Unit::Nanoseconds => Ok(DURATION.read(text)? as f64),
        Unit::Bytes => Ok(SIZE.read(text)? as f64),
        Unit::Count => number(text),
        Unit::PerSecond => number(text.strip_suffix("/s").unwrap_or(text)),
    }
}

pub(super) fn number(text: &str) -> Result<f64, SpecError> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    match text.parse::<f64>() {
        Ok(value) if plain && value.is_finite() => Ok(value),
        _ => Err(SpecError::from(format!("{} cannot be compared with a figure", quoted(text)))
            .help(
                "write a number, or a comparison in quotes: \"<= 5\", \">= 10\", \"< 3\", \"> 2\""
                    .to_owned(),
            )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_comparisons() {
        for (text, expected, rest) in [
            ("0", Comparison::Equal, "0"),
            ("= 0", Comparison::Equal, "0"),
            ("<= 5", Comparison::AtMost, "5"),
            ("<5ms", Comparison::Below, "5ms"),
            (">= $n", Comparison::AtLeast, "$n"),
            ("> 2", Comparison::Above, "2"),
        ] {
            assert_eq!(comparison(text), (expected, rest));
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
