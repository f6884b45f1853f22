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
    DoesNotHold,
    CannotTell,
}

impl Verdict {
    /// `places` are in the order of their axis, if they have only one.
    pub(super) fn of(places: &[(Place, Answer)]) -> Self {
        let is_yes = |(_, answer): &(Place, Answer)| *answer == Answer::Yes;
        let first_and_last = places.iter().position(is_yes).zip(places.iter().rposition(is_yes));
        let Some((first, last)) = first_and_last else {
            let is_no = |(_, answer): &(Place, Answer)| *answer == Answer::No;
            return if places.iter().any(is_no) { Self::DoesNotHold } else { Self::CannotTell };
        };
        let is_all_yes = places[first..=last].iter().all(is_yes);
        let (from_first, to_last) = (first == 0, last + 1 == places.len());
        if is_all_yes && from_first && to_last {
            return Self::Holds;
        }
        let is_one_side = single_scale(places.iter().map(|(place, _)| place)).is_some()
            && is_all_yes
            && (from_first || to_last);
        let at = |index: usize| &places[index].0.axes[0].value;
        Self::InPart(is_one_side.then(|| match to_last {
            true => format!("from {} on", at(first)),
            false => format!("up to {}", at(last)),
        }))
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Holds => "holds".to_owned(),
            Self::InPart(_) => format!("holds {}", self.place()),
            Self::DoesNotHold => "does not hold".to_owned(),
            Self::CannotTell => "cannot tell".to_owned(),
        }
    }

    /// Where it holds, if not everywhere.
    pub(super) fn place(&self) -> &str {
        match self {
            Self::InPart(place) => place.as_deref().unwrap_or("in part"),
            _ => "",
        }
    }

    pub(super) fn tint(&self) -> Tint {
        match self {
            Self::Holds => Tint::Good,
            Self::InPart(_) | Self::CannotTell => Tint::Doubtful,
            Self::DoesNotHold => Tint::Bad,
        }
    }
}
