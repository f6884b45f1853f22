//! A run in a few lines: the leaders of each scenario, by the figure that decides there.
//!
//! Never takes a mean over cases, which are unlike each other, and never keeps a case.

use std::collections::BTreeMap;

use crate::case_table::CaseTable;
use crate::figures::status_tint;
use crate::number::counted;
use crate::ranged::Ranged;
use crate::ranking::Standing;
use crate::record::Status;
use crate::series::Figure;
use crate::table::{Cell, Heading, Item, Part, Table, Tint};

/// Grows with the subjects and scenarios of a run, not with its cases.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    cases: u64,
    subjects: BTreeMap<String, Counts>,
    /// By scenario and by what decides.
    scenarios: BTreeMap<String, BTreeMap<Figure, Led>>,
    /// Why cells have no figures, and how many.
    reasons: Vec<(Ranged, u64, Status)>,
}

/// Cases that one figure decides.
#[derive(Debug, Default)]
struct Led {
    cases: u64,
    /// In how many of them each subject is in the leading group.
    leaders: BTreeMap<String, u64>,
}

/// What is counted of each subject. `not compared`: measured, with nothing to compare it with.
const HEADINGS: [&str; 7] =
    ["subject", "best", "among the best", "behind", "not compared", "unsupported", "no figures"];

/// The cases of a subject, one count for each heading after the first.
type Counts = [u64; HEADINGS.len() - 1];

impl Summary {
    pub(crate) fn add(&mut self, table: &CaseTable) {
        self.cases += 1;
        let led = self.scenarios.entry(table.scenario.clone()).or_default();
        let led = led.entry(table.by).or_default();
        led.cases += 1;
        for (id, standing) in &table.standings {
            if *standing == Some(Standing::Reference) {
                continue;
            }
            let place = match standing {
                Some(Standing::Best) => 0,
                Some(Standing::JointBest | Standing::Same | Standing::MayBeBest) => 1,
                Some(Standing::Behind) => 2,
                None | Some(Standing::Reference) => 3,
            };
            self.subjects.entry(id.clone()).or_default()[place] += 1;
            if standing.is_some_and(Standing::is_leading) {
                *led.leaders.entry(id.clone()).or_default() += 1;
            }
        }
        for (id, status, reason) in &table.without_figures {
            let place = if *status == Status::Unsupported { 4 } else { 5 };
            self.subjects.entry(id.clone()).or_default()[place] += 1;
            let reason = Ranged::of(reason);
            match self.reasons.iter_mut().find(|(known, ..)| known.words == reason.words) {
                Some((known, cells, _)) => {
                    known.widen(&reason);
                    *cells += 1;
                }
                None => self.reasons.push((reason, 1, *status)),
            }
        }
    }

    /// A single case needs none: its table shows everything.
    pub(crate) fn is_needed(&self) -> bool {
        self.cases > 1
    }

    pub(crate) fn parts(&self) -> Vec<Part> {
        let scenarios = counted(self.scenarios.len() as u64, "scenario");
        let cases = format!("{} of {scenarios}", counted(self.cases, "case"));
        let mut parts = vec![
            Part::Heading(Heading { facts: vec![cases], ..Heading::new("summary") }),
            Part::Table(self.leaders()),
            Part::Table(self.standings()),
        ];
        if !self.reasons.is_empty() {
            let mut reasons: Vec<_> = self.reasons.iter().collect();
            reasons.sort_by_key(|(_, cells, _)| std::cmp::Reverse(*cells));
            let item = |(reason, cells, status): &(Ranged, u64, Status)| {
                Item::new(status_tint(*status), counted(*cells, "cell"), reason.text())
            };
            parts.push(Part::List(reasons.into_iter().map(item).collect()));
        }
        parts
    }

    /// The leaders of each scenario, and in how many of its cases they lead by what.
    fn leaders(&self) -> Table {
        let of_scenario = |(scenario, all): (&String, &BTreeMap<Figure, Led>)| {
            let each: Vec<String> = all.iter().map(|(by, led)| leaders(*by, led)).collect();
            Item::new(Tint::Plain, scenario, each.join("; "))
        };
        Table {
            sentences: self.scenarios.iter().map(of_scenario).collect(),
            sentences_heading: "leaders".to_owned(),
            ..Table::new(&["scenario"])
        }
    }

    /// Most often in the leading group first.
    fn standings(&self) -> Table {
        let mut table = Table::new(&HEADINGS);
        let mut subjects: Vec<(&String, &Counts)> = self.subjects.iter().collect();
        subjects.sort_by_key(|(_, [best, among_the_best, ..])| {
            std::cmp::Reverse((best + among_the_best, *best))
        });
        for (id, counts) in subjects {
            table.push(id, counts.map(Cell::count));
        }
        // What no subject has is left out.
        table.columns.retain(|column| column.cells.iter().any(|cell| *cell != Cell::none()));
        table
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
