//! A run in a few lines: who leads where, by the figure that decides there.
//!
//! Never takes a mean over cases, which are unlike each other, and never keeps a case.

use std::collections::BTreeMap;

use crate::case_table::CaseTable;
use crate::number;
use crate::prose::plural;
use crate::ranking::Standing;
use crate::record::Status;
use crate::series::Figure;

/// Grows with the subjects and scenarios of a run, not with its cases.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    cases: u64,
    subjects: BTreeMap<String, Counts>,
    /// By scenario and by what decides.
    scenarios: BTreeMap<String, BTreeMap<Figure, Led>>,
}

/// Cases that one figure decides.
#[derive(Debug, Default)]
struct Led {
    cases: u64,
    /// In how many of them each subject is in the leading group.
    leaders: BTreeMap<String, u64>,
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Counts {
    best: u64,
    /// In a leading group with others.
    among_the_best: u64,
    behind: u64,
    /// Measured, and not compared with anything.
    not_compared: u64,
    unsupported: u64,
    without_figures: u64,
}

impl Summary {
    pub(crate) fn add(&mut self, table: &CaseTable) {
        self.cases += 1;
        let led = self.scenarios.entry(table.scenario.clone()).or_default();
        let led = led.entry(table.by).or_default();
        led.cases += 1;
        for subject in &table.subjects {
            let standing = subject.compared.map(|compared| compared.standing);
            if standing == Some(Standing::Reference) {
                continue;
            }
            let counts = self.subjects.entry(subject.id.clone()).or_default();
            match standing {
                None | Some(Standing::Reference) => counts.not_compared += 1,
                Some(Standing::Best) => counts.best += 1,
                Some(Standing::JointBest | Standing::Same { .. } | Standing::MayBeBest) => {
                    counts.among_the_best += 1;
                }
                Some(Standing::Behind) => counts.behind += 1,
            }
            if standing.is_some_and(Standing::is_leading) {
                *led.leaders.entry(subject.id.clone()).or_default() += 1;
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

    /// Each scenario, and who leads in how many of its cases by what.
    pub(crate) fn leaders(&self) -> Vec<(String, String)> {
        let of_scenario = |(scenario, all): (&String, &BTreeMap<Figure, Led>)| {
            let each: Vec<String> = all.iter().map(|(by, led)| leaders(*by, led)).collect();
            (scenario.clone(), each.join("; "))
        };
        self.scenarios.iter().map(of_scenario).collect()
    }

    pub(crate) const HEADINGS: [&str; 7] = [
        "subject",
        "best",
        "among the best",
        "behind",
        "not compared",
        "unsupported",
        "no figures",
    ];

    /// Most often in the leading group first.
    pub(crate) fn rows(&self) -> Vec<[String; 7]> {
        let mut subjects: Vec<(&String, &Counts)> = self.subjects.iter().collect();
        subjects.sort_by_key(|(_, counts)| {
            std::cmp::Reverse((counts.best + counts.among_the_best, counts.best))
        });
        let blank = |count: u64| {
            if count == 0 { number::NONE.to_owned() } else { number::count(count) }
        };
        let row = |(id, counts): (&String, &Counts)| {
            [
                id.clone(),
                blank(counts.best),
                blank(counts.among_the_best),
                blank(counts.behind),
                blank(counts.not_compared),
                blank(counts.unsupported),
                blank(counts.without_figures),
            ]
        };
        subjects.into_iter().map(row).collect()
    }
}

/// `by throughput: a = b 3 of 4, c 1 of 4`.
fn leaders(by: Figure, Led { cases, leaders }: &Led) -> String {
    let by = match by {
        Figure::Throughput => "by throughput",
        Figure::Cpu => "by CPU per operation",
        Figure::P99 => "by p99",
    };
    let mut groups: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for (id, count) in leaders {
        groups.entry(*count).or_default().push(id);
    }
    let group = |(count, ids): (u64, Vec<&str>)| {
        let share = if *cases == 1 { String::new() } else { format!(" {count} of {cases}") };
        format!("{}{share}", ids.join(" = "))
    };
    let groups: Vec<String> = groups.into_iter().rev().map(group).collect();
    if groups.is_empty() {
        return format!("{by}: nothing to compare");
    }
    format!("{by}: {}", groups.join(", "))
}

/// What the summary's words mean.
pub(crate) const EXPLANATION: &str = "Counted are cases. best: ahead of all others. among the best: \
in the leading group, none of whose members is shown to be behind. a = b: both lead in as many \
cases. Choose by the scenario that resembles your program";
