//! A run in a few lines: who was best where, before any single rank.
//!
//! Never hides how many cases a mean stands on, and never keeps a case.

use std::collections::BTreeMap;

use crate::case_table::CaseTable;
use crate::number;
use crate::prose::plural;
use crate::record::Status;
use crate::standing::Standing;
use crate::statistics::GeometricMean;

/// Grows with the subjects and scenarios of a run, not with its cases.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    cases: u64,
    subjects: BTreeMap<String, Counts>,
    /// Per scenario: its cases, and how many of them each subject won.
    scenarios: BTreeMap<String, (u64, BTreeMap<String, u64>)>,
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Counts {
    best: u64,
    same: u64,
    slower: u64,
    unclear: u64,
    /// Measured, with nobody to compare it to.
    alone: u64,
    unsupported: u64,
    without_figures: u64,
    ratios: GeometricMean,
}

impl Summary {
    pub(crate) fn add(&mut self, table: &CaseTable) {
        self.cases += 1;
        let (cases, wins) = self.scenarios.entry(table.scenario.clone()).or_default();
        *cases += 1;
        for subject in &table.subjects {
            let counts = self.subjects.entry(subject.id.clone()).or_default();
            let Some(compared) = subject.compared else {
                counts.alone += 1;
                continue;
            };
            counts.ratios.add(compared.ratio);
            match compared.standing {
                Standing::Best => {
                    counts.best += 1;
                    *wins.entry(subject.id.clone()).or_default() += 1;
                }
                Standing::Same => counts.same += 1,
                Standing::Slower => counts.slower += 1,
                Standing::Unclear => counts.unclear += 1,
            }
        }
        for told in &table.without_figures {
            let counts = self.subjects.entry(told.id.clone()).or_default();
            match told.status {
                Status::Unsupported => counts.unsupported += 1,
                _ => counts.without_figures += 1,
            }
        }
    }

    /// Nothing to sum up in a single case: its table says it all.
    pub(crate) fn is_worth_saying(&self) -> bool {
        self.cases > 1
    }

    pub(crate) fn title(&self) -> String {
        let scenarios = plural(self.scenarios.len() as u64, "scenario", "scenarios");
        format!("{} of {scenarios}", plural(self.cases, "case", "cases"))
    }

    /// Each scenario and who was best in how many of its cases.
    pub(crate) fn winners(&self) -> Vec<(String, String)> {
        self.scenarios
            .iter()
            .map(|(scenario, (cases, wins))| (scenario.clone(), winners(*cases, wins)))
            .collect()
    }

    pub(crate) const HEADINGS: [&str; 9] = [
        "subject",
        "best",
        "same",
        "slower",
        "unclear",
        "unsupported",
        "no figures",
        "ratio to the best",
        "over",
    ];

    /// Most often best or as good as the best first; then by the ratio.
    pub(crate) fn rows(&self) -> Vec<[String; 9]> {
        let mut subjects: Vec<(&String, &Counts)> = self.subjects.iter().collect();
        let ratio = |counts: &Counts| counts.ratios.value().unwrap_or(-1.0);
        subjects.sort_by(|(_, a), (_, b)| {
            (b.best + b.same, b.best)
                .cmp(&(a.best + a.same, a.best))
                .then_with(|| ratio(b).total_cmp(&ratio(a)))
        });
        let blank = |count: u64| {
            if count == 0 { number::NONE.to_owned() } else { number::count(count) }
        };
        subjects
            .into_iter()
            .map(|(id, counts)| {
                [
                    id.clone(),
                    blank(counts.best),
                    blank(counts.same),
                    blank(counts.slower),
                    blank(counts.unclear),
                    blank(counts.unsupported),
                    blank(counts.without_figures),
                    counts.ratios.value().map_or_else(|| number::NONE.to_owned(), number::ratio),
                    plural(counts.ratios.count(), "case", "cases"),
                ]
            })
            .collect()
    }
}

fn winners(cases: u64, wins: &BTreeMap<String, u64>) -> String {
    let mut wins: Vec<(&String, u64)> = wins.iter().map(|(id, count)| (id, *count)).collect();
    wins.sort_by(|(a_id, a), (b_id, b)| b.cmp(a).then_with(|| a_id.cmp(b_id)));
    let level = cases - wins.iter().map(|(_, count)| count).sum::<u64>();
    let mut said: Vec<String> =
        wins.iter().map(|(id, count)| format!("{id} {count} of {cases}")).collect();
    if level > 0 {
        said.push(format!("nobody {level} of {cases}"));
    }
    said.join(", ")
}

/// What the summary's words mean.
pub(crate) const EXPLANATION: &str = "best, same, slower and unclear count cases, by throughput; \
where nobody won, no lead was beyond doubt. The ratio is the geometric mean of a subject's throughput \
relative to each case's best, over the cases it has figures in: compare two such means only if \
they stand on the same cases";
