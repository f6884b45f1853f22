//! One subject in two versions: what each run has of it is one cell of the comparison.
//!
//! Never guesses: where a run has several versions that the other has not, they stay apart.

use std::collections::HashMap;

use super::side::{CellKey, Side, Version};

/// Gives both versions of a subject one name, if each run has one that the other has not.
pub(super) fn pair(base: &mut Side, new: &mut Side) {
    let (only_base, only_new) = (only_in(base, new), only_in(new, base));
    for (place, index) in only_base {
        let (Some(index), Some(Some(other))) = (index, only_new.get(&place)) else { continue };
        let [from, to] = [&base.cells[index].1.version, &new.cells[*other].1.version];
        let name = format!("{}@{}→{}{}", from.runtime, from.version, to.version, from.rest);
        base.rename(index, &name);
        new.rename(*other, &name);
    }
}

/// Cells of subjects that the other run has not, by their name without a version; `None` if that
/// stands for several.
fn only_in(side: &Side, other: &Side) -> HashMap<CellKey, Option<usize>> {
    let mut found = HashMap::new();
    for (index, (key, cell)) in side.cells.iter().enumerate() {
        if other.cell(key).is_none() {
            let Version { runtime, rest, .. } = &cell.version;
            let place = CellKey { subject: format!("{runtime}{rest}"), ..key.clone() };
            found.entry(place).and_modify(|index| *index = None).or_insert(Some(index));
        }
    }
    found
}
