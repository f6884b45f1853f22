//! Sweeps as parts of a report.
//!
//! Never shortens a sentence.

use super::{Sentence, Sweep};
use crate::table::{Heading, Item, Part, Tint};

const UNSURE: &str = "~: one trial only, so nothing is sure; use more of them (--trials)";
const UNCLEAR: &str =
    "cannot tell: the ranges are too wide; measure for a longer time (`--until 2%`)";

pub(crate) fn parts(sweep: &Sweep) -> Vec<Part> {
    let along = format!("along {}: {}", sweep.axis, sweep.values.join(", "));
    let by = format!("by {}", sweep.by);
    let heading = Heading {
        labels: vec![sweep.scenario.clone()],
        facts: [along].into_iter().chain(sweep.held.iter().cloned()).chain([by]).collect(),
        ..Heading::new("crossovers")
    };
    let mut items: Vec<Item> = Vec::new();
    let mut last = "";
    for Sentence { whom, headline, details } in &sweep.sentences {
        let name = if whom == last { "" } else { whom };
        let details = details.clone();
        items.push(Item { details, ..Item::new(Tint::Bold, name, headline) });
        last = whom;
    }
    let footnotes = [(sweep.is_unsure, UNSURE), (sweep.is_unclear, UNCLEAR)];
    let footnotes = footnotes.into_iter().filter(|(is_due, _)| *is_due);
    let mut parts = vec![Part::Heading(heading), Part::List(items)];
    parts.extend(footnotes.map(|(_, text)| Part::Text(Tint::Dim, text.to_owned())));
    parts
}
