//! The verdicts of several claims on a page: the subjects of each, by verdict.
//!
//! Never repeats a long list of names: the verdict that most subjects have counts them.

use std::collections::BTreeMap;

use super::ClaimAnswer;
use super::verdict::Verdict;
use crate::prose::clean;
use crate::table::{Cell, Table};

/// More subjects with the same verdict may be counted.
const NAMED_MAX: usize = 4;

pub(super) fn subjects(answers: &[ClaimAnswer]) -> Table {
    let mut table = Table::new(&["claim", "holds", "does not hold", "cannot tell"]);
    for ClaimAnswer { sentence, verdicts, .. } in answers {
        // By column, and where the verdict counts.
        let mut groups: BTreeMap<(usize, Option<&str>), Vec<&str>> = BTreeMap::new();
        for (subject, verdict) in verdicts {
            let column = match verdict {
                Verdict::Holds | Verdict::InPart(_) => 0,
                Verdict::DoesNotHold(_) => 1,
                Verdict::CannotTell => 2,
            };
            groups.entry((column, verdict.place())).or_default().push(subject);
        }
        let largest = groups.iter().max_by_key(|(_, names)| names.len());
        let counted = largest.filter(|(_, names)| names.len() > NAMED_MAX).map(|(group, _)| *group);
        let text = |group: (usize, Option<&str>), names: &[&str]| {
            let subjects = match counted {
                Some(it) if it == group && groups.len() == 1 => format!("all {}", names.len()),
                Some(it) if it == group => format!("all {} others", names.len()),
                _ => names.join(", "),
            };
            group.1.map_or_else(|| subjects.clone(), |place| format!("{subjects} ({place})"))
        };
        let cells = [0, 1, 2].map(|column| {
            let mut of_column: Vec<_> =
                groups.iter().filter(|((it, _), _)| *it == column).collect();
            // What is counted comes last.
            of_column.sort_by_key(|(group, _)| Some(**group) == counted);
            let texts = of_column.iter().map(|(group, names)| text(**group, names));
            Cell::words(clean(&texts.collect::<Vec<_>>().join("; ")))
        });
        table.push(clean(sentence).as_str(), cells);
    }
    table
}
