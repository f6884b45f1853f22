//! How the number of threads went up and down over the window.
//!
//! It keeps changes only, and never more of them than a picture can show: past that, neighbours
//! in time become one, of which the highest is kept.

/// What a record may hold of it.
const POINTS_MAX: usize = 256;

#[derive(Debug, Default)]
pub struct ThreadTimeline {
    /// Milliseconds since the window opened, and the number from then on.
    points: Vec<(u64, u64)>,
    /// Points of the same so many milliseconds are one; doubles when there is no more room.
    grain_ms: u64,
}

impl ThreadTimeline {
    pub fn note(&mut self, ms: u64, count: u64) {
        match self.points.last_mut() {
            Some(last) if last.1 == count => return,
            Some(last) if self.grain_ms > 0 && last.0 / self.grain_ms == ms / self.grain_ms => {
                last.1 = last.1.max(count);
                return;
            }
            _ => self.points.push((ms, count)),
        }
        while self.points.len() > POINTS_MAX {
            self.grain_ms = (self.grain_ms * 2).max(1);
            self.thin_out();
        }
    }

    fn thin_out(&mut self) {
        let mut kept: Vec<(u64, u64)> = Vec::with_capacity(POINTS_MAX);
        for &(ms, count) in &self.points {
            match kept.last_mut() {
                Some(last) if last.0 / self.grain_ms == ms / self.grain_ms => {
                    last.1 = last.1.max(count);
                }
                Some(last) if last.1 == count => {}
                _ => kept.push((ms, count)),
            }
        }
        self.points = kept;
    }

    pub fn points(&self) -> Vec<(u64, u64)> {
        self.points.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(samples: impl IntoIterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
        let mut timeline = ThreadTimeline::default();
        samples.into_iter().for_each(|(ms, count)| timeline.note(ms, count));
        timeline.points()
    }

    #[test]
    fn only_changes_are_kept() {
        assert_eq!(timeline([]), []);
        let samples = [(0, 3), (10, 3), (20, 5), (30, 5), (40, 3), (50, 3)];
        assert_eq!(timeline(samples), [(0, 3), (20, 5), (40, 3)]);
    }

    #[test]
    fn a_restless_subject_fills_no_record_and_keeps_its_peak() {
        for length in [257, 1_000, 100_000] {
            let points = timeline((0..length).map(|i| (i * 10, if i == 77 { 99 } else { i % 2 })));
            assert!(points.len() <= POINTS_MAX, "{}", points.len());
            assert_eq!(points.iter().map(|point| point.1).max(), Some(99), "{length}");
            assert!(points.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}
