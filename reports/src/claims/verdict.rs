//! What the answers at several places say together.
//!
//! Never hides a place: the findings stand beneath.

use super::judge::Answer;
use super::place::{Place, single_scale};
use crate::table::Tint;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    /// At some places. Where these are, if they are the upper or lower ones along one axis.
    InPart(Option<String>),
    /// Nowhere, as far as can be told. Where this is certain, if it cannot be told elsewhere.
    DoesNotHold(Option<String>),
    CannotTell,
}

impl Verdict {
    /// `places` are in the order of their axis, if they have only one.
    pub(super) fn of(places: &[(Place, Answer)]) -> Self {
        match (side(places, Answer::Yes), side(places, Answer::No)) {
            (Side::All, _) => Self::Holds,
            (Side::Part(place), _) => Self::InPart(place),
            (Side::None, Side::All) => Self::DoesNotHold(None),
            (Side::None, Side::Part(place)) => Self::DoesNotHold(place),
            (Side::None, Side::None) => Self::CannotTell,
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Holds => "holds".to_owned(),
            Self::InPart(place) => format!("holds {}", place.as_deref().unwrap_or("in part")),
            Self::DoesNotHold(None) => "does not hold".to_owned(),
            Self::DoesNotHold(Some(place)) => format!("does not hold {place}"),
            Self::CannotTell => "cannot tell".to_owned(),
        }
    }

    /// Where it is so, if not everywhere.
    pub(super) fn place(&self) -> Option<&str> {
        match self {
            Self::InPart(place) => Some(place.as_deref().unwrap_or("in part")),
            Self::DoesNotHold(place) => place.as_deref(),
            Self::Holds | Self::CannotTell => None,
        }
    }

    pub(super) fn tint(&self) -> Tint {
        match self {
            Self::Holds => Tint::Good,
            Self::InPart(_) | Self::CannotTell => Tint::Doubtful,
            Self::DoesNotHold(_) => Tint::Bad,
        }
    }
}

/// The places that have one answer.
enum Side {
    All,
    /// `from connections=64 on`, if they are the upper or lower ones along one axis.
    Part(Option<String>),
    None,
}

fn side(places: &[(Place, Answer)], wanted: Answer) -> Side {
    let is_so = |(_, answer): &(Place, Answer)| *answer == wanted;
    let first_and_last = places.iter().position(is_so).zip(places.iter().rposition(is_so));
    let Some((first, last)) = first_and_last else { return Side::None };
    let is_unbroken = places[first..=last].iter().all(is_so);
    let (from_first, to_last) = (first == 0, last + 1 == places.len());
    if is_unbroken && from_first && to_last {
        return Side::All;
    }
    let is_one_side = single_scale(places.iter().map(|(place, _)| place)).is_some()
        && is_unbroken
        && (from_first || to_last);
    let at = |index: usize| &places[index].0.axes[0];
    Side::Part(is_one_side.then(|| match to_last {
        true => format!("from {} on", at(first)),
        false => format!("up to {}", at(last)),
    }))
}
