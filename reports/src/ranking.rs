//! The order of the subjects of a case: by which figure, which ones lead, and by how much.
//!
//! Never leaves a case without a leading group: the best one, and all that are not shown to be
//! different from it.

use std::cmp::Ordering;

use crate::effect::{Effect, Rule, Verdict};
use crate::figures::{Cell, Figures};
use crate::number;
use crate::record::driver_limit::BUSY_MAX;
use crate::record::{Pass, Record};
use crate::series::{Figure, Merits};
use crate::speeds::two_speeds;

/// With fewer starts or trials an interval may be narrow by chance, and is no reason to stop.
const PIECES_MIN: usize = 4;

/// How one subject stands to the best one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Compared {
    /// Under a rate that not all keep, those that do not are compared by what they achieved, or by CPU
    /// time where the load driver may have been what did not keep it.
    pub by: Figure,
    pub standing: Standing,
    /// The ratio of its figure to that of the best.
    pub effect: Effect,
    /// The ratio of its CPU time per operation to that of the best, where throughput is the same
    /// and CPU time is not.
    pub cpu: Option<Effect>,
    /// Two speeds, as ratios to the best.
    pub speeds: Option<[f64; 2]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Standing {
    /// Ahead of all others.
    Best,
    /// The best of a leading group.
    JointBest,
    /// In the leading group: it differs little from the best.
    Same,
    /// In the leading group, because it is not known to be behind.
    MayBeBest,
    Behind,
    /// Only there for others to be compared with: neither ahead nor behind.
    Reference,
}

impl Standing {
    pub(crate) fn is_leading(self) -> bool {
        !matches!(self, Standing::Behind | Standing::Reference)
    }
}

/// A case's order.
pub(crate) struct Ranking {
    pub by: Figure,
    /// Why it is not throughput, in a sentence.
    pub why: Option<String>,
    /// One for each cell; `None` for a cell that is not compared.
    pub compared: Vec<Option<Compared>>,
    /// Best first, as indices of the cells; those without figures are not among them.
    pub order: Vec<usize>,
}

/// One subject that has figures.
struct Entry<'c> {
    cell: usize,
    id: &'c str,
    figures: &'c Figures,
    is_ranked: bool,
    against: Against,
}

/// How the ratio of two of them is estimated.
type Against = fn(&Merits, &Merits, Figure) -> Option<Effect>;

impl Ranking {
    /// The cells must be all of one case.
    pub(crate) fn new(cells: &[Cell]) -> Self {
        Self::by(cells, Merits::against)
    }

    /// The cells must be of one subject, and of a case each.
    pub(crate) fn of_cases(cells: &[Cell]) -> Self {
        Self::by(cells, Merits::against_other_case)
    }

    fn by(cells: &[Cell], against: Against) -> Self {
        let entries = entries(cells, against);
        let mut ranked: Vec<&Entry> = entries.iter().filter(|entry| entry.is_ranked).collect();
        let (by, why) = decide(&ranked);
        let mut compared = vec![None; cells.len()];
        // Latencies compare only among subjects that keep the rate.
        let keeps = |entry: &Entry| entry.figures.keeps_rate() != Some(false);
        if by == Figure::P99 {
            ranked.retain(|entry| keeps(entry));
        }
        let leader = leader(&ranked, by);
        if let Some(leader) = leader {
            let others = entries
                .iter()
                .filter(|entry| entry.cell != leader.cell && entry.figures.starving().is_none());
            for entry in others {
                let by = match by {
                    Figure::P99 if !keeps(entry) && is_limited(entry) => Figure::Cpu,
                    Figure::P99 if !keeps(entry) => Figure::Throughput,
                    by => by,
                };
                compared[entry.cell] = beside(entry, leader, by).map(|compared| {
                    let standing =
                        if entry.is_ranked { compared.standing } else { Standing::Reference };
                    Compared { standing, ..compared }
                });
            }
            if compared.iter().any(Option::is_some) {
                let has_company = ranked
                    .iter()
                    .filter_map(|entry| compared[entry.cell])
                    .any(|other| other.standing.is_leading());
                let standing = if has_company { Standing::JointBest } else { Standing::Best };
                compared[leader.cell] = beside(leader, leader, by)
                    .map(|with_itself| Compared { standing, ..with_itself });
            }
        }
        Self { by, why, order: order(&entries, by, &compared), compared }
    }
}

/// The widest range among the differences that a case's order stands on, as a share: 0.02 where
/// every subject is known to 2 % of its ratio to the best. `None` as long as one of them has too
/// few starts or trials to have a range.
pub fn widest_interval(records: &[Record]) -> Option<f64> {
    let cells = Cell::all_of(records);
    let ranking = Ranking::new(&cells);
    let enough = |cell: &&Cell| {
        let pieces = |pass| cell.of_pass(pass).filter(|record| record.has_figures()).count();
        pieces(Pass::Alone).max(pieces(Pass::Turns)) >= PIECES_MIN
    };
    let measured = || cells.iter().filter(|cell| cell.figures().is_some());
    if !measured().all(|cell| enough(&cell)) {
        return None;
    }
    let compared: Vec<&Compared> = ranking.compared.iter().flatten().collect();
    if compared.is_empty() {
        let own = entries(&cells, Merits::against).into_iter().next()?;
        return own.figures.merits.series(ranking.by).alone()?.uncertainty();
    }
    let apart = compared
        .iter()
        .filter(|compared| !matches!(compared.standing, Standing::Best | Standing::JointBest));
    apart
        .map(|compared| compared.effect.uncertainty())
        .try_fold(0.0_f64, |widest, uncertainty| Some(widest.max(uncertainty?)))
}

fn entries<'c>(cells: &'c [Cell], against: Against) -> Vec<Entry<'c>> {
    let measured =
        || cells.iter().enumerate().filter_map(|(at, cell)| Some((at, cell, cell.figures()?)));
    let wanted = measured().filter(|(_, cell, _)| !cell.is_only_reference()).count();
    let entry = |(at, cell, figures): (usize, &'c Cell, &'c Figures)| Entry {
        cell: at,
        id: &cell.subject.id,
        figures,
        // A single other subject can be compared with nothing but the reference.
        is_ranked: figures.starving().is_none() && (wanted < 2 || !cell.is_only_reference()),
        against,
    };
    measured().map(entry).collect()
}

impl Entry<'_> {
    fn against(&self, other: &Entry, figure: Figure) -> Option<Effect> {
        (self.against)(&self.figures.merits, &other.figures.merits, figure)
    }
}

fn decide(ranked: &[&Entry]) -> (Figure, Option<String>) {
    let asked: Vec<bool> = ranked.iter().filter_map(|entry| entry.figures.keeps_rate()).collect();
    let kept = asked.iter().filter(|kept| **kept).count();
    let mut why = None;
    match asked.len() {
        0 => {}
        all if kept == all => {
            let why = "ranked by p99 latency: all of them keep the rate that was asked for";
            return (Figure::P99, Some(why.to_owned()));
        }
        _ if kept == 0 => {
            let none = "ranked by the rate achieved: none keeps the rate that was asked for";
            why = Some(none.to_owned());
        }
        all => {
            let why = format!(
                "ranked by p99 latency; {} of {all} do not keep the rate that was asked for and \
                 stand beneath, by the rate they achieved",
                all - kept
            );
            return (Figure::P99, Some(why));
        }
    }
    let Some(leader) = leader(ranked, Figure::Throughput) else {
        return (Figure::Throughput, why);
    };
    // A subject that is clearly slower was not limited by its driver, however busy that was.
    let leads = |entry: &&&Entry| {
        entry.cell == leader.cell
            || beside(entry, leader, Figure::Throughput)
                .is_some_and(|compared| compared.standing.is_leading())
    };
    let busiest = ranked
        .iter()
        .filter(leads)
        .max_by(|a, b| a.figures.driver_busy.total_cmp(&b.figures.driver_busy));
    match busiest.filter(|entry| is_limited(entry)) {
        Some(entry) => {
            let why = format!(
                "ranked by CPU time per operation: with {} the load driver was busy {:.0} % of \
                 the time, so throughput may be the driver's",
                entry.id,
                (entry.figures.driver_busy * 100.0).min(100.0)
            );
            (Figure::Cpu, Some(why))
        }
        None => (Figure::Throughput, why),
    }
}

/// Whether its throughput may be the load driver's.
fn is_limited(entry: &Entry) -> bool {
    entry.figures.driver_busy >= BUSY_MAX
}

/// The one that is ahead of each of the others on average.
fn leader<'e>(ranked: &[&'e Entry<'e>], by: Figure) -> Option<&'e Entry<'e>> {
    let is_something = |entry: &&&Entry| entry.figures.merits.value(by) > 0.0;
    ranked.iter().filter(is_something).copied().reduce(|leader, entry| {
        match entry.against(leader, by) {
            Some(effect) if is_better(effect, by) => entry,
            _ => leader,
        }
    })
}

fn is_better(effect: Effect, by: Figure) -> bool {
    if by.is_better_more() { effect.ratio() > 1.0 } else { effect.ratio() < 1.0 }
}

fn beside(entry: &Entry, leader: &Entry, by: Figure) -> Option<Compared> {
    let effect = entry.against(leader, by)?;
    let standing = match effect.hint(by.rule()) {
        Verdict::Same => Standing::Same,
        Verdict::CannotTell => Standing::MayBeBest,
        Verdict::More | Verdict::Less => Standing::Behind,
    };
    let cpu = (by == Figure::Throughput && standing.is_leading())
        .then(|| entry.against(leader, Figure::Cpu))
        .flatten()
        .filter(|cpu| matches!(cpu.verdict(Rule::TABLE), Verdict::More | Verdict::Less));
    let series = entry.figures.merits.series(by);
    let speeds = two_speeds(&series.in_turns())
        .zip(series.mean_in_turns())
        .map(|(speeds, mean)| speeds.map(|speed| effect.ratio() * (speed - mean).exp()));
    Some(Compared { by, standing, effect, cpu, speeds })
}

/// Best first; then those that do not keep the rate, those that leave connections without an
/// answer, and at the end a reference that is not ranked.
fn order(entries: &[Entry], by: Figure, compared: &[Option<Compared>]) -> Vec<usize> {
    let place = |entry: &Entry| {
        let is_reference = !entry.is_ranked && entry.figures.starving().is_none();
        let is_late = by == Figure::P99 && entry.figures.keeps_rate() == Some(false);
        (is_reference, entry.figures.starving().is_some(), is_late)
    };
    let merit = |entry: &Entry| {
        let compared = compared[entry.cell];
        let by = compared.map_or(by, |compared| compared.by);
        let ratio = compared
            .map_or_else(|| entry.figures.merits.value(by), |compared| compared.effect.ratio());
        if by.is_better_more() { ratio } else { -ratio }
    };
    let leads = |entry: &Entry| {
        compared[entry.cell].is_some_and(|compared| {
            matches!(compared.standing, Standing::Best | Standing::JointBest)
        })
    };
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|a, b| {
        place(a)
            .cmp(&place(b))
            .then_with(|| leads(b).cmp(&leads(a)))
            .then_with(|| merit(b).partial_cmp(&merit(a)).unwrap_or(Ordering::Equal))
            .then_with(|| a.id.cmp(b.id))
    });
    sorted.into_iter().map(|entry| entry.cell).collect()
}

/// `0.79× (0.61…0.85)`; with a `~` where there is no range.
pub(crate) fn with_range(effect: Effect) -> String {
    match effect.interval() {
        Some(range) => number::ratio_and_range(effect.ratio(), range.low, range.high),
        None => format!("~{}", number::ratio(effect.ratio())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Status;
    use crate::tests::sample::{self, InTurns};

    const A: &str = "a/b/epoll";
    const B: &str = "b/b/epoll";
    const C: &str = "c/b/epoll";
    const R: &str = "r/b/epoll";

    fn deciding_figure(records: &[Record]) -> Figure {
        Ranking::new(&Cell::all_of(records)).by
    }

    /// The subjects in their order, each with its standing.
    fn standings(records: &[Record]) -> Vec<(String, Standing)> {
        let cells = Cell::all_of(records);
        let ranking = Ranking::new(&cells);
        let with = |index: &usize| {
            (cells[*index].subject.id.clone(), ranking.compared[*index].unwrap().standing)
        };
        ranking.order.iter().map(with).collect()
    }

    fn of(records: &[Record], id: &str) -> Compared {
        let cells = Cell::all_of(records);
        let index = cells.iter().position(|cell| cell.subject.id == id).unwrap();
        Ranking::new(&cells).compared[index].unwrap()
    }

    fn in_turns() -> InTurns<'static> {
        InTurns::new(10)
    }

    #[test]
    fn the_best_its_equals_and_those_behind() {
        let records = in_turns().records(&[(C, 80.0e3), (A, 100.0e3), (B, 100.4e3)]);
        let standings = standings(&records);
        assert_eq!(standings[0].1, Standing::JointBest);
        assert_eq!(standings[1].1, Standing::Same, "{standings:?}");
        let below = of(&records, &standings[1].0).effect.below().unwrap();
        assert!(below < 0.06, "{below}");
        assert_eq!(standings[2], (C.to_owned(), Standing::Behind));
        let alone = in_turns().records(&[(C, 80.0e3), (A, 100.0e3)]);
        assert_eq!(of(&alone, A).standing, Standing::Best);
    }

    #[test]
    fn what_varies_too_much_may_be_best() {
        let noisy = InTurns { noise: 0.2, ..in_turns() };
        let records = noisy.records(&[(A, 100.0e3), (B, 95.0e3)]);
        let other = standings(&records).remove(1);
        assert_eq!(other.1, Standing::MayBeBest);
        assert!(of(&records, &other.0).effect.interval().is_some());
    }

    #[test]
    fn a_busy_driver_lets_cpu_time_decide() {
        let subjects = [(A, 100.0e3, 5_000.0), (B, 101.0e3, 6_000.0)];
        let of_busy = |driver_busy| InTurns { driver_busy, ..in_turns() }.with_cpu(&subjects);
        let idle = of_busy(0.7);
        assert_eq!(deciding_figure(&idle), Figure::Throughput);
        let busy = of_busy(0.97);
        let ranking = Ranking::new(&Cell::all_of(&busy));
        assert_eq!(ranking.by, Figure::Cpu);
        assert!(ranking.why.unwrap().contains("busy 97 % of the time"));
        assert_eq!(standings(&busy)[0], (A.to_owned(), Standing::Best));
        assert!((of(&busy, B).effect.ratio() - 1.2).abs() < 0.02);
        // The driver of one that is clearly slower limits nothing.
        let mut slower = InTurns::new(10).with_cpu(&[(A, 100.0e3, 5_000.0), (C, 60.0e3, 6_000.0)]);
        sample::edit_turns(&mut slower, C, |_, turn| {
            turn.thawed.driver_cpu_ns = turn.thawed.elapsed_ns;
        });
        assert_eq!(deciding_figure(&slower), Figure::Throughput);
    }

    #[test]
    fn cpu_time_is_shown_where_throughput_is_the_same() {
        let records = in_turns().with_cpu(&[(A, 100.0e3, 5_000.0), (B, 100.0e3, 5_600.0)]);
        let cpu = [A, B].map(|id| of(&records, id).cpu).into_iter().flatten().next().unwrap();
        assert!((cpu.ratio().ln().abs() - 1.12_f64.ln()).abs() < 0.01, "{cpu:?}");
        // Where throughput tells them apart it is enough.
        let apart = in_turns().with_cpu(&[(A, 100.0e3, 5_000.0), (B, 80.0e3, 5_600.0)]);
        assert_eq!(of(&apart, B).cpu, None);
    }

    fn at_rate(id: &str, achieved: f64, latency_us: u64) -> Vec<Record> {
        let trial = |trial| {
            let record = sample::ok(id, trial, achieved, latency_us + u64::from(trial));
            sample::edit(record, |metrics| metrics.load = Some(sample::load(4, 4, Some(2_000))))
        };
        (0..6).map(trial).collect()
    }

    #[test]
    fn under_a_rate_that_all_keep_p99_decides() {
        let records = [at_rate(A, 2_000.0, 900), at_rate(B, 1_999.0, 700)].concat();
        assert_eq!(deciding_figure(&records), Figure::P99);
        assert_eq!(standings(&records)[0], (B.to_owned(), Standing::Best));
        assert!((of(&records, A).effect.ratio() - 9.0 / 7.0).abs() < 0.02);
    }

    #[test]
    fn subjects_that_miss_the_rate_stand_beneath() {
        let records =
            [at_rate(A, 2_000.0, 900), at_rate(B, 1_200.0, 500), at_rate(C, 2_000.0, 1_200)];
        let records = records.concat();
        let order: Vec<String> = standings(&records).into_iter().map(|(id, _)| id).collect();
        assert_eq!(order, [A, C, B]);
        assert_eq!((of(&records, C).by, of(&records, B).by), (Figure::P99, Figure::Throughput));
        assert!((of(&records, B).effect.ratio() - 0.6 / 0.98).abs() < 0.01);
        let none = [at_rate(A, 1_500.0, 900), at_rate(B, 1_200.0, 500)].concat();
        assert_eq!(standings(&none)[0].0, A);
        assert_eq!(deciding_figure(&none), Figure::Throughput);
    }

    /// A driver of nine tenths never lets throughput decide, under a rate or without one.
    #[test]
    fn a_busy_driver_takes_throughput_out_of_rates() {
        let busy = |records: Vec<Record>, share: f64, cpu_ns: u64| -> Vec<Record> {
            let limit = |record| {
                sample::edit(record, |metrics| {
                    metrics.cpu_ns = metrics.ops * cpu_ns;
                    let busy_ns = (metrics.elapsed_ns as f64 * share) as u64;
                    metrics.load.as_mut().unwrap().busy_ns = busy_ns;
                })
            };
            records.into_iter().map(limit).collect()
        };
        for (share, by) in [(0.89, Figure::Throughput), (0.95, Figure::Cpu)] {
            let slow = busy(at_rate(B, 1_200.0, 500), share, 4_000);
            let none = [busy(at_rate(A, 1_250.0, 900), share, 5_000), slow.clone()].concat();
            let best = if by == Figure::Cpu { B } else { A };
            assert_eq!((deciding_figure(&none), &*standings(&none)[0].0), (by, best));
            let some = [at_rate(A, 2_000.0, 900), slow].concat();
            assert_eq!((deciding_figure(&some), of(&some, B).by), (Figure::P99, by));
        }
    }

    #[test]
    fn an_unasked_reference_is_not_ranked() {
        let case = InTurns { reference: Some(R), ..in_turns() };
        let alone = |id: &str| sample::ok(id, 0, 1.0, 100);
        let mut records = case.records(&[(R, 200.0e3), (A, 100.0e3), (B, 80.0e3)]);
        records.extend([alone(A), alone(B)]);
        let standings_of = |records: &[Record]| {
            standings(records).into_iter().map(|(_, standing)| standing).collect::<Vec<_>>()
        };
        let expected = [Standing::Best, Standing::Behind, Standing::Reference];
        assert_eq!(standings_of(&records), expected);
        assert!((of(&records, R).effect.ratio() - 2.0).abs() < 0.1);
        records.push(alone(R));
        assert_eq!(standings_of(&records), [Standing::Best, Standing::Behind, Standing::Behind]);
        // A single subject has nothing else to be compared with.
        let mut single = case.records(&[(R, 200.0e3), (A, 100.0e3)]);
        single.push(alone(A));
        assert_eq!(standings_of(&single), [Standing::Best, Standing::Behind]);
    }

    #[test]
    fn groups_are_ranked_in_one_order() {
        let group = |group, machine| InTurns { group, machine, reference: Some(R), ..in_turns() };
        let records = [
            group(0, 1.0).records(&[(R, 90.0e3), (A, 100.0e3)]),
            group(1, 0.7).records(&[(R, 90.0e3), (B, 110.0e3), (C, 80.0e3)]),
        ]
        .concat();
        let mut selected = records.clone();
        selected.extend([A, B, C].map(|id| sample::ok(id, 0, 1.0, 100)));
        let order: Vec<String> = standings(&selected).into_iter().map(|(id, _)| id).collect();
        assert_eq!(order, [B, A, C, R]);
        assert!((of(&selected, A).effect.ratio() - 100.0 / 110.0).abs() < 0.04);
    }

    #[test]
    fn two_speeds_are_named() {
        let mut records =
            InTurns { noise: 0.003, ..in_turns() }.records(&[(A, 100.0e3), (B, 80.0e3)]);
        sample::edit_turns(&mut records, B, |start, turn| {
            if start % 3 == 0 {
                turn.operations = (turn.operations as f64 * 1.125) as u64;
            }
        });
        let [low, high] = of(&records, B).speeds.unwrap();
        assert!((low - 0.8).abs() < 0.01 && (high - 0.9).abs() < 0.01, "{low} {high}");
        assert_eq!(of(&records, A).speeds, None);
    }

    #[test]
    fn without_turns_trials_alone_decide() {
        let trials = |count| {
            (0..count).flat_map(|trial| {
                let speed = 1.0 + 0.1 * f64::from(trial);
                [sample::ok(A, trial, 100.0 * speed, 9), sample::ok(B, trial, 90.0 * speed, 9)]
            })
        };
        let records: Vec<Record> = trials(3).collect();
        assert_eq!(of(&records, B).standing, Standing::Behind);
        let single: Vec<Record> = trials(1).collect();
        assert_eq!(of(&single, B).effect.interval(), None);
        assert_eq!(of(&single, B).standing, Standing::Behind);
        assert_eq!(of(&single, A).standing, Standing::Best);
    }

    #[test]
    fn what_did_nothing_stands_at_zero() {
        let records = [sample::ok(A, 0, 100.0, 9), sample::ok(B, 0, 0.0, 9)];
        assert_eq!(of(&records, B).effect.ratio(), 0.0);
        assert_eq!(of(&records, B).standing, Standing::Behind);
    }

    #[test]
    fn nothing_to_compare() {
        for records in [vec![], vec![sample::ok(A, 0, 5.0, 9)]] {
            let ranking = Ranking::new(&Cell::all_of(&records));
            assert!(ranking.compared.iter().all(Option::is_none));
            assert_eq!(ranking.order.len(), records.len());
        }
    }

    #[test]
    fn the_widest_interval_shrinks_with_the_starts() {
        let subjects = [(A, 100.0e3), (B, 90.0e3), (C, 80.0e3)];
        let widest = |starts| widest_interval(&InTurns::new(starts).records(&subjects));
        assert_eq!(widest(3), None);
        let (few, many) = (widest(6).unwrap(), widest(60).unwrap());
        assert!(few > 0.02 && many < 0.015, "{few} {many}");
        let crashed = sample::no_figures(R, 0, Status::Crashed, None);
        let mut records = InTurns::new(60).records(&subjects);
        records.push(crashed);
        assert_eq!(widest_interval(&records), Some(many));
        let single = (0..6).map(|trial| sample::ok(A, trial, 100.0 + f64::from(trial), 9));
        assert!(widest_interval(&single.collect::<Vec<_>>()).unwrap() < 0.04);
    }

    /// Copies of one subject among others, in two groups.
    #[test]
    fn copies_seldom_differ() {
        let mut flagged = 0;
        for seed in 0..150 {
            let group = |group| InTurns { group, seed, reference: Some(R), ..in_turns() };
            let mut records = group(0).records(&[(R, 90.0e3), (A, 100.0e3), (B, 100.0e3)]);
            records.extend(group(1).records(&[(R, 90.0e3), (C, 100.0e3)]));
            records.extend([A, B, C].map(|id| sample::ok(id, 0, 1.0, 100)));
            flagged +=
                [A, B, C].iter().filter(|id| of(&records, id).standing == Standing::Behind).count();
        }
        // Of 300 comparisons with the best of three, which is best by chance.
        assert!(flagged <= 5, "{flagged}");
    }
}
