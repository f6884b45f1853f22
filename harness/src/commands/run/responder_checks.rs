//! Checks of a trial's backends: a responder that was too busy, or late with its answers, and
//! connections of other processes.
//!
//! Reads what the responder counted; never reads the machine.

use quadrant_reports::number::counted;
use quadrant_reports::record::driver_limit;

use crate::responder::order::Answers;

/// From here on there is a warning: as a share of the mean latency asked for …
const LATE_SHARE: f64 = 0.1;
/// … and in nanoseconds: a process never wakes at once.
const LATE_MIN_NS: u64 = 250_000;

pub fn warnings(answers: &Answers) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(share) = driver_limit::is_limited(answers.busy_ns, answers.window_ns) {
        warnings.push(format!(
            "the responder was busy {:.0} % of the time: latencies of queries contain the wait for it",
            (share * 100.0).min(100.0)
        ));
    }
    let mut delay = quadrant_suite::histogram::Histogram::default();
    answers.backends.iter().for_each(|backend| delay.merge(&backend.delay));
    let late_ns = answers.lateness.quantile(0.99);
    if late_ns > LATE_MIN_NS && late_ns as f64 > delay.mean() as f64 * LATE_SHARE {
        warnings.push(format!(
            "the responder sent 1 % of its answers or more at least {} µs late, with a mean latency of \
             {} µs asked for: latencies of queries contain that",
            late_ns / 1_000,
            delay.mean() / 1_000
        ));
    }
    if answers.strangers > 0 {
        warnings.push(format!(
            "{} to the responder's port came from other processes; none was answered",
            counted(answers.strangers, "connection")
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responder::order::BackendAnswers;
    use quadrant_suite::histogram::Histogram;

    const MS: u64 = 1_000_000;

    fn answers(delay_ns: u64, late_ns: u64) -> Answers {
        let (mut delay, mut lateness) = (Histogram::default(), Histogram::default());
        for number in 0..1_000 {
            delay.record(delay_ns);
            lateness.record(if number % 20 == 0 { late_ns } else { 0 });
        }
        let backends = vec![BackendAnswers { delay, ..BackendAnswers::default() }];
        Answers { backends, lateness, window_ns: 100 * MS, ..Answers::default() }
    }

    #[test]
    fn a_punctual_idle_responder_has_no_warning() {
        assert_eq!(warnings(&Answers::default()), Vec::<String>::new());
        assert_eq!(warnings(&answers(10 * MS, MS / 2)), Vec::<String>::new());
        // A wake-up takes its time, however short the latency is.
        assert_eq!(warnings(&answers(0, MS / 10)), Vec::<String>::new());
    }

    #[test]
    fn a_late_or_busy_responder_is_reported() {
        let late = warnings(&answers(10 * MS, 2 * MS)).join("\n");
        assert!(late.starts_with("the responder sent 1 % of its answers"), "{late}");
        let busy = warnings(&Answers { busy_ns: 95 * MS, ..answers(10 * MS, 0) }).join("\n");
        assert!(busy.starts_with("the responder was busy 95 % of the time"), "{busy}");
        let strangers = warnings(&Answers { strangers: 2, ..answers(10 * MS, 0) });
        assert_eq!(strangers.len(), 1);
    }
}
