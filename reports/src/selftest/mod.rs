//! How truly a machine measures: ground truth beside what the instruments said, judged.
//!
//! Pure like the rest of this room: truths and logs come in, rows with a verdict go out. No row
//! is reached by having nothing to judge: where there is no figure there is a reason.

pub mod alarms;
pub mod cases;
pub mod freeze;
pub mod impact;
pub mod injections;
pub mod position;
pub mod power;
pub mod report;
pub mod row;
pub mod sightings;
mod table;

/// The value that the share `quantile` of all values does not exceed; `None` of nothing.
pub fn quantile(values: &[f64], quantile: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = ((sorted.len() as f64 * quantile.clamp(0.0, 1.0)).ceil() as usize).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!(quantile(&values, 0.95), Some(19.0));
        assert_eq!(quantile(&values, 0.96), Some(20.0));
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
