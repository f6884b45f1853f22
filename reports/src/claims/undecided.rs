//! For which subjects more trials could decide what a scenario says of its cases.
//!
//! Never counts what has no figures: another trial would have none either.

use std::collections::{BTreeMap, BTreeSet};

use super::judge::Answer;
use super::place::Place;
use super::{Claims, rows};
use crate::record::Record;

/// The names of these subjects. Each part of `cases` is one case of the same scenario.
pub fn undecided(cases: &[Vec<Record>]) -> BTreeSet<String> {
    let mut claims = Claims::default();
    cases.iter().for_each(|records| claims.add(records));
    let mut has_figures: BTreeMap<Place, (&str, bool)> = BTreeMap::new();
    for record in cases.iter().flatten() {
        let place = Place::of(&record.subject, &record.case);
        let (_, has) = has_figures.entry(place).or_insert((&record.subject.id, false));
        *has |= record.valid_metrics().is_some();
    }
    let mut undecided: BTreeSet<&str> = BTreeSet::new();
    for kept in claims.open.values() {
        let places = rows(&kept.conditions()).into_iter().flat_map(|(_, places)| places);
        for (place, _) in places.filter(|(_, answer)| *answer == Answer::CannotTell) {
            let within = || has_figures.iter().filter(|(cell, _)| cell.is_within(&place));
            if within().all(|(_, (_, has))| *has) {
                undecided.extend(within().map(|(_, (subject, _))| subject));
            }
        }
        // The one that all others are compared with.
        for ratio in kept.claim.ratios.iter().filter(|ratio| ratio.to.is_empty()) {
            let of = has_figures.iter().filter(|(cell, _)| cell.has(&ratio.of));
            if !undecided.is_empty() {
                undecided.extend(of.map(|(_, (subject, _))| subject));
            }
        }
    }
    undecided.into_iter().map(str::to_owned).collect()
}
