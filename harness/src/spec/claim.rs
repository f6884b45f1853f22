//! What a scenario says of its cases together: `claim`, and the entries `ratio` of `expect`.
//!
//! Never judges a ratio; it checks that there are such cases and such a figure.

use quadrant_reports::record::AxisValue;
use quadrant_reports::record::claim::{Claim, PARTS, Ratio};
use quadrant_reports::record::expectation::{Comparison, Expectation, metric_names, metric_unit};

use super::axes::{Axis, CaseValues};
use super::error::{SpecError, error};
use super::expect::{comparison, number};
use super::fields::Fields;
use super::mistakes::Mistakes;
use super::names;
use super::yaml::Node;
use crate::terminal::nearest::{hint, quoted};

/// Whether an entry of `expect` is about several cases.
pub(super) fn is_ratio(entry: &Node) -> bool {
    entry.find("ratio").is_some()
}

/// `axes` may be nothing, if there is a mistake in them.
pub(super) fn read(
    scenario: &Fields<'_>,
    axes: Option<&[Axis]>,
    mistakes: &mut Mistakes,
) -> Option<Claim> {
    let sentence = scenario.get("claim").map(|claim| {
        let text = claim.node.text()?;
        names::check_claim(text).map(|()| text.text.trim_end().to_owned())
    });
    let sentence = sentence.and_then(|sentence| mistakes.keep(sentence));
    let entries = scenario.items("expect").unwrap_or_default();
    let mut ratios = Vec::new();
    for entry in entries.iter().filter(|entry| is_ratio(entry)) {
        let read = axes.map(|axes| read_ratio(entry, axes, mistakes)).transpose();
        ratios.extend(mistakes.keep(read).flatten());
    }
    if let (Some(claim), true) = (scenario.get("claim"), entries.is_empty()) {
        mistakes.add(
            error!(claim.node.at, "nothing shows whether this claim holds")
                .help(
                    "add to `expect` an entry like `threads.peak: \"<= 4\"`, or \
                     `ratio: { of: …, to: …, figure: …, is: … }`",
                )
                .consequence_if(!mistakes.is_empty()),
        );
    }
    let is_any = sentence.is_some() || !ratios.is_empty();
    is_any.then_some(Claim { sentence, ratios })
}

fn read_ratio(entry: &Node, axes: &[Axis], mistakes: &mut Mistakes) -> Result<Ratio, SpecError> {
    let entry = Fields::of(entry, "expect", "ratio", mistakes)?;
    let fields = Fields::of(entry.need("ratio")?.node, "ratio", "of to figure is", mistakes)?;
    let of = values(fields.need("of")?.node, axes)?;
    let to = match fields.get("to") {
        Some(to) => other_side(to.node, &of, axes)?,
        None if names(&of).eq(PARTS) => Vec::new(),
        None => {
            return Err(error!(fields.at, "the key `to` is missing here").help(
                "without it, `of` names one subject to compare with each other: `{ runtime: …, \
                 executor: …, backend: … }`",
            ));
        }
    };
    let figure = fields.need("figure")?.node.text()?;
    if metric_unit(&figure.text).is_none() {
        return Err(error!(figure.at, "there is no figure {}", quoted(&figure.text))
            .help_if(hint(&figure.text, metric_names())));
    }
    let is = fields.need("is")?.node.text()?;
    let (comparison, value) = comparison(&is.text);
    if comparison == Comparison::Equal {
        return Err(error!(is.at, "a measured ratio is never exactly a number")
            .help("write a comparison in quotes: \"<= 0.5\", \">= 2\""));
    }
    let value = number(value).map_err(|error| error.moved(is.at, ""))?;
    let is = Expectation { metric: figure.text.clone(), comparison, value }.to_string();
    Ok(Ratio { of, to, is })
}

fn names(values: &[AxisValue]) -> impl Iterator<Item = &str> {
    values.iter().map(|value| value.axis.as_str())
}

fn other_side(node: &Node, of: &[AxisValue], axes: &[Axis]) -> Result<Vec<AxisValue>, SpecError> {
    let to = values(node, axes)?;
    if !names(of).eq(names(&to)) || of == to {
        let problem = "`of` and `to` have to name the same axes, with different values";
        return Err(error!(node.at, "{problem}"));
    }
    Ok(to)
}

/// One value for each of some axes and parts of subjects' names, in the axes' order.
fn values(node: &Node, axes: &[Axis]) -> Result<Vec<AxisValue>, SpecError> {
    let case = CaseValues::of(axes, 0);
    let mut values = Vec::new();
    for (name, value) in node.map()? {
        let value = value.text()?;
        let part = PARTS.iter().position(|part| *part == name.text);
        let is_axis = axes.iter().any(|axis| axis.name == name.text);
        let place = match part {
            Some(_) if is_axis => {
                let (name, at) = (&name.text, name.at);
                let part =
                    error!(at, "`{name}` is an axis here, and a part of each subject's name");
                return Err(part.help("give the axis another name"));
            }
            // Only subjects know the values.
            Some(part) => axes.len() + part,
            None => {
                let axis = case.find("", &name.text, name.at)?;
                case.check_value(axis, value)?;
                axis
            }
        };
        values.push((place, AxisValue { axis: name.text.clone(), value: value.text.clone() }));
    }
    if values.is_empty() {
        return Err(error!(
            node.at,
            "this names no case: `of` and `to` hold an axis each at least"
        ));
    }
    values.sort();
    Ok(values.into_iter().map(|(_, value)| value).collect())
}
