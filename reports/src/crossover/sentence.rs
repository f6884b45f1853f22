//! The comparison of two rivals along an axis in words: the change, then value by value.
//!
//! Never leaves a value of the axis out: where nothing can be told, the text says so.

use std::collections::BTreeSet;

use super::course::{Course, Lead, State, Stop};
use crate::number;
use crate::prose::clean;
use crate::scale::Scale;
use crate::table::{Item, Tint};

pub(super) fn item(name: &str, course: &Course, names: [&str; 2], scale: &Scale) -> Item {
    let unsure = if course.is_unsure() { "~" } else { "" };
    let headline = format!("{unsure}{}", headline(course, names, scale));
    let values = (!is_uniform(course)).then(|| value_by_value(course, names));
    let details = values.into_iter().chain(bests(course, names));
    Item {
        details: details.map(|text| clean(&text)).collect(),
        ..Item::new(Tint::Bold, clean(name), clean(&headline))
    }
}

fn headline(course: &Course, names: [&str; 2], scale: &Scale) -> String {
    let crossings = course.crossings();
    let leads: Vec<(usize, Lead)> = course.leads().collect();
    let changes: Vec<String> = crossings
        .iter()
        .map(|&crossing| {
            let [before, after] = [crossing.before, crossing.after].map(|at| &course.stops[at]);
            let place = course
                .level_at(crossing)
                .and_then(|place| scale.place_between(before.position, after.position, place))
                .map_or_else(String::new, |place| format!(", at about {place}"));
            format!("between {} and {}{place}", before.value, after.value)
        })
        .collect();
    let new = |crossing: usize| {
        let State::Ahead(lead) = course.stops[crossings[crossing].after].state else { return "" };
        names[lead.side]
    };
    match (changes.as_slice(), leads.as_slice()) {
        ([], []) => without_a_leader(course, names),
        ([], [(_, lead), ..]) => {
            let (ahead, behind) = (names[lead.side], names[1 - lead.side]);
            match is_uniform(course) {
                true => format!(
                    "{ahead} is ahead of {behind} everywhere{}",
                    by(leads.iter().map(|(_, lead)| *lead))
                ),
                false if is_mostly_known(course) => {
                    format!("{behind} is not seen to overtake {ahead}")
                }
                false => format!("cannot tell whether {behind} overtakes {ahead}"),
            }
        }
        ([change], _) => {
            let old = if new(0) == names[0] { names[1] } else { names[0] };
            let overtakes = if crossings[0].is_backed { "overtakes" } else { "seems to overtake" };
            format!("{} {overtakes} {old} {change}", new(0))
        }
        // Most of the changes are probably chance.
        _ if course.is_unsure() => format!("cannot tell {} from {}", names[0], names[1]),
        (changes, _) => {
            let each = changes.iter().enumerate();
            let each: Vec<String> =
                each.map(|(index, change)| format!("{} goes ahead {change}", new(index))).collect();
            let [first, second] = names;
            let is_backed = crossings.iter().all(|crossing| crossing.is_backed);
            let change = if is_backed { "change" } else { "seem to change" };
            format!(
                "{first} and {second} {change} places {} times ({})",
                changes.len(),
                each.join("; ")
            )
        }
    }
}

fn without_a_leader(course: &Course, [first, second]: [&str; 2]) -> String {
    let all = |state: fn(&State) -> bool| course.stops.iter().all(|stop| state(&stop.state));
    if all(|state| matches!(state, State::Same)) {
        return format!("{first} and {second} are the same everywhere");
    }
    format!("cannot tell {first} from {second}")
}

/// Whether the state is clear at half of the values or more.
fn is_mostly_known(course: &Course) -> bool {
    let known = |stop: &&Stop| matches!(stop.state, State::Ahead(_) | State::Same);
    course.stops.iter().filter(known).count() * 2 >= course.stops.len()
}

/// Whether the headline describes every value.
fn is_uniform(course: &Course) -> bool {
    course.stops.windows(2).all(|pair| alike(&pair[0], &pair[1]))
        && !matches!(course.stops.first().map(|stop| stop.state), Some(State::Absent(_)))
}

/// `epoll ahead at 1…16 (1.03×…1.12×), the same at 64`.
fn value_by_value(course: &Course, names: [&str; 2]) -> String {
    let runs = course.stops.chunk_by(alike).map(|run| {
        let at = at(run.iter());
        match run[0].state {
            State::Ahead(lead) => {
                let leads = run.iter().filter_map(|stop| match stop.state {
                    State::Ahead(lead) => Some(lead),
                    _ => None,
                });
                format!("{} ahead at {at}{}", names[lead.side], by(leads))
            }
            State::Same => format!("the same at {at}"),
            State::Unclear => format!("cannot tell at {at}"),
            State::Absent(side) => {
                let absent = run[0].rivals[side].as_ref().and_then(|rival| rival.absent);
                format!("nothing of {} at {at} ({})", names[side], absent.unwrap_or("not measured"))
            }
        }
    });
    runs.collect::<Vec<_>>().join(", ")
}

fn alike(a: &Stop, b: &Stop) -> bool {
    match (a.state, b.state) {
        (State::Ahead(a), State::Ahead(b)) => a.side == b.side,
        (State::Absent(a_side), State::Absent(b_side)) => {
            let absent = |stop: &Stop, side: usize| stop.rivals[side].as_ref().map(|r| r.absent);
            a_side == b_side && absent(a, a_side) == absent(b, b_side)
        }
        (a, b) => a == b,
    }
}

/// `1…16`, or the only value.
fn at<'a>(mut stops: impl Iterator<Item = &'a Stop>) -> String {
    let first = stops.next().map_or("", |stop| &stop.value);
    stops.last().map_or_else(|| first.to_owned(), |last| format!("{first}…{}", last.value))
}

/// ` (1.03×…1.12×)`: from the shortest lead to the longest.
fn by(leads: impl Iterator<Item = Lead> + Clone) -> String {
    let ratios = leads.clone().map(|lead| lead.ratio);
    let low = number::ratio(ratios.clone().fold(f64::INFINITY, f64::min));
    let high = number::ratio(ratios.fold(0.0, f64::max));
    match low == high {
        true => format!(" ({low})"),
        false => format!(" ({low}…{high})"),
    }
}

/// The best of each side, unless both were of one family all the time. `None` as long as neither
/// is ahead.
fn bests(course: &Course, names: [&str; 2]) -> Option<String> {
    if course.is_within_one_family() || course.leads().next().is_none() {
        return None;
    }
    let best = |side: usize| {
        let family = |stop: &Stop| stop.rivals[side].as_ref().map(|rival| rival.family.clone());
        let is_measured =
            |stop: &&Stop| stop.rivals[side].as_ref().is_some_and(|rival| rival.absent.is_none());
        let stops: Vec<&Stop> = course.stops.iter().filter(is_measured).collect();
        let runs: Vec<(String, String)> = stops
            .chunk_by(|a, b| family(a) == family(b))
            .map(|run| (family(run[0]).unwrap_or_default(), at(run.iter().copied())))
            .collect();
        let bests: Vec<String> = match runs.as_slice() {
            [(family, _)] => vec![family.clone()],
            // A best that changes this often is hardly better than the others.
            [_, _, _, ..] => {
                let families: BTreeSet<&str> = runs.iter().map(|(family, _)| &**family).collect();
                vec![Vec::from_iter(families).join(" and ") + " by turns"]
            }
            runs => runs.iter().map(|(family, at)| format!("{family} at {at}")).collect(),
        };
        format!("{}: {}", names[side], bests.join(", "))
    };
    Some(format!("{}; {}", best(0), best(1)))
}
