//! When a trial was too unsteady for one figure to stand for it, and in which words.
//!
//! Never reads a clock or the board: it judges what was recorded.

use quadrant_reports::noise::{UNSTEADY, UNSTEADY_MIN};

/// Halves closer than this are steady enough: the trials of one cell differ by as much on an
/// ordinary machine. The ratio alone says little, though. On two CPUs shared with compilers, nine
/// of ten ratios of 195 trials of steady subjects lay in 0.81…1.23, and 24 were beyond this; the
/// rule of [`REVERSED_MAX`] let two of them pass, whose halves were a factor of two apart.
const RATIO_MIN: f64 = 1.0 - UNSTEADY_MIN;
/// So many pieces a half at least.
const PIECES_MIN: usize = 4;
/// And so much done in the window: a handful of requests comes in no even stream.
const DONE_MIN: u64 = 100;
/// Of all pairs of a piece of one half and a piece of the other, so many may stand the other way
/// round than the halves do. By chance alone (any order of the pieces as likely as any other)
/// that happens to three trials in a hundred with five pieces a half, and with ten to one in five
/// hundred. A single long pause makes a half slow and its other pieces not, and is a stall, not a trend.
const REVERSED_MAX: f64 = 0.08;

/// What to say of a trial by its progress: nanoseconds since its window opened, and what was done
/// until then.
pub fn warning(progress: &[(u64, u64)]) -> Option<String> {
    let ratio = ratio_of_halves(progress)?;
    if (RATIO_MIN..=1.0 / RATIO_MIN).contains(&ratio) {
        return None;
    }
    Some(match ratio.is_finite() {
        true => {
            format!("{UNSTEADY}: its second half ran at {ratio:.2}× of its first")
        }
        false => format!("{UNSTEADY}: nothing was done in its first half"),
    })
}

/// The second half's rate by the first's, if all of the one and of the other agree on which is
/// the slower.
fn ratio_of_halves(progress: &[(u64, u64)]) -> Option<f64> {
    let (end_ns, done) = *progress.last()?;
    let middle = progress.partition_point(|(ns, _)| *ns <= end_ns / 2);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let mut last = (0, 0);
    for (index, &(ns, done)) in progress.iter().enumerate() {
        let half = if index < middle { &mut first } else { &mut second };
        half.push((ns.saturating_sub(last.0), done.saturating_sub(last.1)));
        last = (ns, done);
    }
    if first.len().min(second.len()) < PIECES_MIN || done < DONE_MIN {
        return None;
    }
    let ratio = rate(&whole(&second)) / rate(&whole(&first));
    let (slow, fast) = if ratio < 1.0 { (&second, &first) } else { (&first, &second) };
    let pairs = slow.iter().flat_map(|slow| fast.iter().map(move |fast| (slow, fast)));
    let reversed = pairs.filter(|(slow, fast)| rate(slow) >= rate(fast)).count();
    (reversed as f64 <= REVERSED_MAX * (slow.len() * fast.len()) as f64).then_some(ratio)
}

/// Pieces as one.
fn whole(pieces: &[(u64, u64)]) -> (u64, u64) {
    pieces.iter().fold((0, 0), |sum, piece| (sum.0 + piece.0, sum.1 + piece.1))
}

fn rate((ns, done): &(u64, u64)) -> f64 {
    *done as f64 / (*ns).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces of 10 ms with so many requests each.
    fn progress(pieces: &[u64]) -> Vec<(u64, u64)> {
        let mut done = 0;
        let moments = (1..).map(|piece| piece * 10_000_000);
        moments
            .zip(pieces)
            .map(|(ns, piece)| {
                done += piece;
                (ns, done)
            })
            .collect()
    }

    #[track_caller]
    fn check(pieces: &[u64], ratio: Option<&str>) {
        let expected = ratio.map(|ratio| {
            format!("the trial was not steady: its second half ran at {ratio}× of its first")
        });
        assert_eq!(warning(&progress(pieces)), expected, "{pieces:?}");
    }

    #[test]
    fn a_trial_that_changes_half_way_is_told() {
        check(&[100, 98, 103, 99, 100, 71, 70, 73, 69, 72], Some("0.71"));
        check(&[50, 49, 51, 50, 50, 100, 99, 101, 100, 100], Some("2.00"));
        // It stops altogether.
        check(&[100, 98, 103, 99, 100, 0, 0, 0, 0, 0], Some("0.00"));
        // Somewhat ragged, and still clear.
        check(&[100, 80, 120, 95, 105, 60, 85, 50, 65, 70], Some("0.66"));
        assert!(warning(&progress(&[0, 0, 0, 0, 0, 90, 91, 92, 93, 94])).is_some());
        // It fades away.
        check(&[100, 95, 90, 85, 80, 75, 70, 65, 60, 55], Some("0.72"));
    }

    #[test]
    fn a_steady_one_is_not() {
        check(&[100; 20], None);
        check(&[100, 104, 97, 101, 99, 98, 102, 95, 103, 100], None);
        // Slower by less than a neighbour may make it.
        check(&[100, 100, 100, 100, 100, 90, 90, 90, 90, 90], None);
        // Waves, and one long pause.
        check(&[100, 0, 100, 0, 100, 0, 100, 0, 100, 0], None);
        check(&[100, 100, 100, 100, 100, 100, 0, 0, 100, 100], None);
    }

    #[test]
    fn of_too_little_nothing_is_said() {
        check(&[], None);
        check(&[1_000, 100], None);
        check(&[1_000, 1_000, 1_000, 100, 100, 100], None);
        check(&[9, 9, 9, 9, 9, 5, 5, 5, 5, 5], None);
        assert_eq!(warning(&[(0, 0), (0, 0)]), None);
    }

    #[test]
    fn uneven_looks_and_a_clock_that_steps_back_do_no_harm() {
        let uneven = [5, 22, 31, 44, 52, 60, 75, 81, 99, 100].map(|ms| (ms * 1_000_000, ms * 40));
        assert_eq!(warning(&uneven), None);
        let back = [(9, 500), (3, 600), (8, 400), (2, 900), (7, 100), (1, 0), (6, 950), (5, 1)];
        let _ = warning(&back);
    }

    /// The pieces of a steady trial in any order, with much more noise than there is.
    #[test]
    fn noise_alone_is_rarely_taken_for_a_trend() {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % 1_000
        };
        let told = (0..2_000)
            .filter(|_| {
                let pieces: Vec<u64> = (0..20).map(|_| 500 + random()).collect();
                warning(&progress(&pieces)).is_some()
            })
            .count();
        assert!(told <= 20, "{told} of 2000");
    }
}
