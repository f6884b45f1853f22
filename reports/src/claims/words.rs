//! Verdicts in words: a heading, and a line for each finding.
//!
//! Never judges.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::judge::Answer;
use super::place::{self, Place};
use super::verdict::Verdict;
use super::{Condition, Finding, Row};
use crate::expectation_text::symbol;
use crate::number;
use crate::prose::clean;
use crate::record::AxisValue;
use crate::record::claim::{Claim, PARTS, Ratio};
use crate::record::expectation::Expectation;
use crate::table::{Heading, Item, Part};

/// A heading, and a verdict for each row with the findings beneath.
pub(super) fn parts(
    scenario: &str,
    claim: &Claim,
    conditions: &[Condition],
    rows: &[Row],
    verdicts: &[Verdict],
) -> Vec<Part> {
    let items = rows.iter().zip(verdicts).map(|((name, places), verdict)| {
        let (text, tint) = (verdict.text(), verdict.tint());
        match details(conditions, places).as_slice() {
            [(only, _)] if conditions.len() == 1 => {
                Item::new(tint, clean(name), clean(&format!("{text}: {only}")))
            }
            all => Item {
                details: all.iter().map(|(_, detail)| clean(detail)).collect(),
                ..Item::new(tint, clean(name), text)
            },
        }
    });
    let facts = match conditions {
        [only] => vec![clean(&only.text)],
        // They stand with the findings.
        _ => Vec::new(),
    };
    let heading = Heading {
        labels: vec![clean(scenario)],
        facts,
        text: claim.sentence.as_deref().map(clean).unwrap_or_default(),
        ..Heading::new(if claim.sentence.is_some() { "claim" } else { "ratios" })
    };
    vec![Part::Heading(heading), Part::List(items.collect())]
}

/// `holds: 3 subjects, holds in part: 1 subject`; a row for several subjects counts as one.
pub(super) fn counts(verdicts: &[(String, Verdict)]) -> String {
    let count = |is: fn(&Verdict) -> bool| verdicts.iter().filter(|(_, it)| is(it)).count() as u64;
    let counts = [
        ("holds", count(|it| *it == Verdict::Holds)),
        ("holds in part", count(|it| matches!(it, Verdict::InPart(_)))),
        ("does not hold", count(|it| matches!(it, Verdict::DoesNotHold(_)))),
        ("cannot tell", count(|it| *it == Verdict::CannotTell)),
    ];
    let counted = counts.iter().filter(|(_, count)| *count > 0);
    let counted: Vec<String> = counted
        .map(|(what, count)| format!("{what}: {}", number::counted(*count, "subject")))
        .collect();
    counted.join(", ")
}

/// The findings that count at some of these places: where and what, and with the condition.
fn details(conditions: &[Condition], places: &[(Place, Answer)]) -> Vec<(String, String)> {
    let counts = |it: &&Finding| places.iter().any(|(place, _)| place.is_within(&it.place));
    let mut details = Vec::new();
    for condition in conditions {
        let mut findings: Vec<&Finding> = condition.findings.iter().filter(counts).collect();
        place::sort(&mut findings, |finding| &finding.place);
        for Finding { place, answer, text } in findings {
            let at = list(&place.axes);
            let short = if at.is_empty() { text.clone() } else { format!("{at}: {text}") };
            let what = match (conditions.len(), at.is_empty()) {
                (1, _) => String::new(),
                (_, true) => format!("{}: ", condition.text),
                (_, false) => format!("{} at ", condition.text),
            };
            let detail = format!("{}: {what}{short}", answer.word());
            details.push((short, detail));
        }
    }
    details
}

/// The findings that count at some of these places, for other programs.
pub(super) fn conditions_json(conditions: &[Condition], places: &[(Place, Answer)]) -> Vec<Value> {
    let all = conditions
        .iter()
        .flat_map(|condition| condition.findings.iter().map(move |finding| (condition, finding)));
    let counted = all.filter(|(_, it)| places.iter().any(|(place, _)| place.is_within(&it.place)));
    let json = |(condition, Finding { place, answer, text }): (&Condition, &Finding)| {
        let case: BTreeMap<&str, &str> =
            place.axes.iter().map(|it| (it.axis.as_str(), it.value.as_str())).collect();
        json!({"condition": condition.text, "case": case, "answer": answer.word(), "figure": text})
    };
    counted.map(json).collect()
}

/// `ops_per_sec of how=await by that of how=blocking ≥ 2 with tasks=64`
pub(super) fn ratio(ratio: &Ratio, expected: &Expectation) -> String {
    let Expectation { metric, comparison, value } = expected;
    let (both, of): (Vec<_>, Vec<_>) =
        ratio.of.iter().cloned().partition(|value| ratio.to.contains(value));
    let is_other = |value: &&AxisValue| !both.contains(value);
    let to: Vec<AxisValue> = ratio.to.iter().filter(is_other).cloned().collect();
    format!(
        "{metric} of {} by that of {} {} {value}{}",
        side(&of),
        if to.is_empty() { "this subject".to_owned() } else { side(&to) },
        symbol(*comparison),
        with(&both)
    )
}

/// Why a ratio between subjects has no pairs of them.
pub(super) fn no_pairs(ratio: &Ratio) -> String {
    match ratio.to.as_slice() {
        [] => format!("there is no subject to compare {} with", side(&ratio.of)),
        to => {
            format!("no two of the subjects differ by {} and {} alone", list(&ratio.of), list(to))
        }
    }
}

/// `how=await`; `tokio/local/epoll` where it is one subject.
pub(super) fn side(values: &[AxisValue]) -> String {
    let is_part = |value: &AxisValue| PARTS.contains(&value.axis.as_str());
    let (parts, axes): (Vec<_>, Vec<_>) = values.iter().cloned().partition(is_part);
    if parts.len() < PARTS.len() {
        return list(values);
    }
    let subject =
        PARTS.map(|part| parts.iter().find(|it| it.axis == part).map(|it| it.value.clone()));
    subject.into_iter().flatten().collect::<Vec<_>>().join("/") + &with(&axes)
}

/// ` with how=await`, or nothing.
pub(super) fn with(values: &[AxisValue]) -> String {
    if values.is_empty() { String::new() } else { format!(" with {}", list(values)) }
}

/// `connections=64, how=await`
fn list(values: &[AxisValue]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
