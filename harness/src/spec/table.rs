//! What the tables of a scenario look like: `table: { rows: how }`.
//!
//! Never changes what is measured of a case.

use super::axes::{Axis, CaseValues};
use super::fields::Fields;
use super::mistakes::Mistakes;

/// The axis whose values are the rows. `axes` may be nothing, if there is a mistake in them.
pub(super) fn read_rows(
    scenario: &Fields<'_>,
    axes: Option<&[Axis]>,
    mistakes: &mut Mistakes,
) -> Option<String> {
    let table = scenario.get("table")?;
    let fields = Fields::of(table.node, "table", "rows", mistakes);
    let rows = fields.and_then(|fields| fields.need("rows")?.node.text());
    let rows = mistakes.keep(rows)?;
    let axes = axes?;
    let axis = CaseValues::of(axes, 0).find("", &rows.text, rows.at);
    mistakes.keep(axis).map(|axis| axes[axis].name.clone())
}
