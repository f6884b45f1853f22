//! Warnings about a trial: what may have distorted its figures.
//!
//! Never reads the machine: the same measurements give the same warnings everywhere. The words of a
//! warning stay the same and its numbers vary, so that a table prints each once.

use quadrant_reports::number::counted;
use quadrant_reports::record::noise::{GOVERNOR, OTHERS, STEAL, UNSTEADY, UNSTEADY_MIN, WAITED};
use quadrant_reports::record::{Metrics, Noise};
use quadrant_suite::board::LOOPS_MAX;

use super::options::CellOptions;
use super::planned_case::PlannedCase;
use super::{load_checks, responder_checks};
use crate::adapters::subject::Subject;
use crate::commands::selection::Selected;
use crate::driver::order::Load;
use crate::trial::Measured;

/// A window that was longer than asked by this factor was delayed by the machine.
const WINDOW_EXCESS_MAX: f64 = 1.2;
/// The least share of cold reads that has to come from the device.
const COLD_SHARE_MIN: f64 = 0.95;
/// Waiting for a CPU, as a share of the CPU time that the subject got.
const WAITING_MAX: f64 = 0.10;
/// Halves closer than this are steady enough: the trials of one cell differ by as much on an
/// ordinary machine. The ratio alone is a weak sign, though. On two CPUs shared with compilers, nine
/// of ten ratios of 195 trials of steady subjects lay in 0.81…1.23, and 24 were beyond this; the
/// rule of [`REVERSED_MAX`] let two of them pass, whose halves were a factor of two apart.
const RATIO_MIN: f64 = 1.0 - UNSTEADY_MIN;
/// The least number of pieces in each half.
const PIECES_MIN: usize = 4;
/// The least number of requests in the window: a handful never comes evenly.
const DONE_MIN: u64 = 100;
/// The largest share of all pairs of a piece of each half that may be ordered contrary to the
/// halves. By chance alone (any order of the pieces as likely as any other) a trial passes in three
/// of a hundred cases with five pieces a half, and in one of five hundred with ten. A single long
/// pause makes a half slow but not its other pieces: it is a stall, not a trend.
const REVERSED_MAX: f64 = 0.08;
/// The share of its time that a loop computes or stands still when it leaves work for another.
const BUSY_MIN: f64 = 0.9;
/// Operations in flight for each announced worker, as a mean. With fewer, chance may give all of
/// them to one worker of an executor that shares nothing.
const IN_FLIGHT_MIN: f64 = 8.0;

/// All that a trial's own measurements show.
pub fn of_trial(measured: &Measured, case: &PlannedCase) -> Vec<String> {
    let mut warnings = measured.load.as_ref().map(load_checks::warnings).unwrap_or_default();
    warnings.extend(measured.answers.iter().flat_map(responder_checks::warnings));
    if measured.findings.strangers > 0 {
        warnings.push(format!(
            "{} to the subject's ports came from other processes; none was served",
            counted(measured.findings.strangers, "connection")
        ));
    }
    let asked_ns = case.measure.as_nanos() as u64;
    if measured.window_ns as f64 > asked_ns as f64 * WINDOW_EXCESS_MAX {
        warnings.push(format!(
            "the window lasted {} ms instead of {} ms: this machine stood still meanwhile",
            measured.window_ns / 1_000_000,
            asked_ns / 1_000_000
        ));
    }
    // A ramp asks for that.
    if measured.load.iter().flat_map(Load::parts).all(|load| load.ramp.is_empty()) {
        warnings.extend(unsteady(&measured.progress));
    }
    if measured.loops_unmetered > 0 {
        warnings.push(format!(
            "{} not metered, because the board has room for {LOOPS_MAX}: stalls there are not \
             counted; ask for fewer tasks at once",
            counted(measured.loops_unmetered, "thread")
        ));
    }
    let done_ns = measured.findings.finished_after_ns;
    let is_done = done_ns.is_some_and(|done_ns| done_ns <= measured.window_ns);
    if !is_done && case.has_fixed_work() {
        warnings.push(format!(
            "the work was not done within {} ms, and the figures are of the finished part; {}",
            asked_ns / 1_000_000,
            case.advice_on_time()
        ));
    }
    if let Some(share) = measured.cold_share.filter(|share| *share < COLD_SHARE_MIN) {
        warnings.push(format!(
            "only {} of what was read of cold files came from the device: with more files \
             (`files: {{count: …}}`) there is more time to make each cold again",
            percent(share)
        ));
    }
    warnings.extend(noise(measured.noise.as_ref(), measured.observation.cpu_ns()));
    warnings
}

/// What else the machine did during the trial.
pub fn noise(noise: Option<&Noise>, subject_cpu_ns: u64) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(noise) = noise else { return warnings };
    if let Some(steal) = noise.steal() {
        warnings.push(format!(
            "{STEAL} {} of the CPU time for others (steal): figures are too low",
            percent(steal)
        ));
    }
    if let Some(others) = noise.others() {
        warnings.push(format!("{OTHERS} {} of the CPUs: figures are too low", percent(others)));
        // A subject's own threads wait for each other, too: that is noise only beside others.
        let waiting = noise.run_queue_ns as f64 / subject_cpu_ns.max(1) as f64;
        if waiting > WAITING_MAX {
            let wanted = (noise.run_queue_ns + subject_cpu_ns) as f64;
            warnings.push(format!(
                "{WAITED} {} of the time it wanted one: latencies and stalls are too long",
                percent(noise.run_queue_ns as f64 / wanted)
            ));
        }
    }
    if let Some(governor) = noise.governor.as_deref().filter(|name| *name != "performance") {
        warnings.push(format!("{GOVERNOR} {governor}: speed changes with load and heat"));
    }
    warnings
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Warns of a trial whose rate changed half way. `progress` has nanoseconds since the window opened
/// and the operations done until then.
fn unsteady(progress: &[(u64, u64)]) -> Option<String> {
    let ratio = ratio_of_halves(progress)?;
    if (RATIO_MIN..=1.0 / RATIO_MIN).contains(&ratio) {
        return None;
    }
    Some(match ratio.is_finite() {
        true => format!("{UNSTEADY}: its second half ran at {ratio:.2}× of its first"),
        false => format!("{UNSTEADY}: nothing was done in its first half"),
    })
}

/// The second half's rate divided by the first's, if their pieces agree on which is slower.
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

/// All pieces added up.
fn whole(pieces: &[(u64, u64)]) -> (u64, u64) {
    pieces.iter().fold((0, 0), |sum, piece| (sum.0 + piece.0, sum.1 + piece.1))
}

fn rate((ns, done): &(u64, u64)) -> f64 {
    *done as f64 / (*ns).max(1) as f64
}

/// Warns of each scenario whose `workers` the command line overrides.
pub fn overridden(options: &CellOptions, scenarios: &[Selected]) -> Vec<String> {
    let Some(workers) = options.workers else { return Vec::new() };
    scenarios
        .iter()
        .filter_map(|selected| {
            let written = selected.scenario.workers_written()?;
            let axis = written.strip_prefix('$');
            let instead = axis.map_or_else(String::new, |axis| {
                format!(
                    ", so the values of its axis `{axis}` make no difference; \
                     `--axis {axis}=…` chooses among them"
                )
            });
            (written != workers.to_string()).then(|| {
                format!(
                    "{}: --workers {workers} overrides its `workers: {written}`{instead}",
                    selected.name
                )
            })
        })
        .collect()
}

/// What the number of workers does to the figures of a subject.
pub fn workers(case: &PlannedCase, subject: &Subject) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(asked) = case.workers_asked else { return warnings };
    if let Some(written) = case.case.work.workers.filter(|written| *written != asked) {
        warnings.push(format!("--workers {asked} overrides this case's {written}"));
    }
    let (workers, cpus) = (subject.workers(asked), case.division.subject.len());
    if workers as usize > cpus {
        warnings.push(format!(
            "{} share {}: they cannot all run at once",
            counted(workers.into(), "worker"),
            counted(cpus as u64, "CPU"),
        ));
    }
    warnings
}

/// Warns of an executor that announces more workers than ever ran a task, though there was work
/// for all.
pub fn idle_workers(metrics: &Metrics, announced: u32) -> Option<String> {
    let loops = metrics.threads.loops;
    let busy_ns = metrics.cpu_ns + metrics.stalls.blocked_ns;
    let busy = busy_ns as f64 / metrics.elapsed_ns.max(1) as f64;
    has_idle_workers(announced, loops, busy, metrics.concurrency.mean).then(|| {
        format!(
            "announces {} and ran tasks on {} only, though there was work for all",
            counted(announced.into(), "worker"),
            counted(loops, "thread"),
        )
    })
}

/// `busy` is the mean number of threads that computed or stood still. Where loops were mostly idle,
/// or few operations in flight, one loop may have been enough.
fn has_idle_workers(announced: u32, loops: u64, busy: f64, in_flight: f64) -> bool {
    loops < u64::from(announced)
        && busy >= BUSY_MIN * loops as f64
        && in_flight >= IN_FLIGHT_MIN * f64::from(announced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;

    const QUIET: Noise = Noise {
        capacity_ns: 2_000_000_000,
        steal_ns: 20_000_000,
        others_cpu_ns: 100_000_000,
        run_queue_ns: 0,
        load_milli: 400,
        governor: None,
    };

    #[track_caller]
    fn check_noise(noise: &Noise, expected: &[&str]) {
        assert_eq!(super::noise(Some(noise), 1_000_000_000), expected);
    }

    #[test]
    fn usual_noise_gives_no_warning() {
        check_noise(&QUIET, &[]);
        check_noise(&Noise { governor: Some("performance".into()), ..QUIET }, &[]);
        // Its own threads waited for each other.
        check_noise(&Noise { run_queue_ns: 5_000_000_000, ..QUIET }, &[]);
    }

    #[test]
    fn distorting_noise_gives_a_warning() {
        let steal = "the host took 3 % of the CPU time for others (steal): figures are too low";
        check_noise(&Noise { steal_ns: 60_000_000, ..QUIET }, &[steal]);
        let others = "other processes used 12 % of the CPUs: figures are too low";
        check_noise(&Noise { others_cpu_ns: 240_000_000, ..QUIET }, &[others]);
        let waited =
            "waited for a CPU 25 % of the time it wanted one: latencies and stalls are too long";
        let crowded = Noise { others_cpu_ns: 240_000_000, run_queue_ns: 340_000_000, ..QUIET };
        check_noise(&crowded, &[others, waited]);
        let governor = "the CPU frequency governor is powersave: speed changes with load and heat";
        check_noise(&Noise { governor: Some("powersave".into()), ..QUIET }, &[governor]);
    }

    #[test]
    fn a_few_ticks_give_no_warning() {
        let short = Noise { capacity_ns: 400_000_000, steal_ns: 0, ..QUIET };
        check_noise(&Noise { others_cpu_ns: 40_000_000, ..short.clone() }, &[]);
        let more = Noise { others_cpu_ns: 60_000_000, ..short };
        assert_eq!(noise(Some(&more), 0).len(), 1);
    }

    /// Pieces of 10 ms with these numbers of requests.
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
    fn check_halves(pieces: &[u64], ratio: Option<&str>) {
        let expected = ratio.map(|ratio| {
            format!("the trial was not steady: its second half ran at {ratio}× of its first")
        });
        assert_eq!(unsteady(&progress(pieces)), expected, "{pieces:?}");
    }

    #[test]
    fn a_trial_that_changes_half_way_is_unsteady() {
        check_halves(&[100, 98, 103, 99, 100, 71, 70, 73, 69, 72], Some("0.71"));
        check_halves(&[50, 49, 51, 50, 50, 100, 99, 101, 100, 100], Some("2.00"));
        // It stops altogether.
        check_halves(&[100, 98, 103, 99, 100, 0, 0, 0, 0, 0], Some("0.00"));
        // Somewhat ragged, and still clear.
        check_halves(&[100, 80, 120, 95, 105, 60, 85, 50, 65, 70], Some("0.66"));
        assert!(unsteady(&progress(&[0, 0, 0, 0, 0, 90, 91, 92, 93, 94])).is_some());
        // It fades away.
        check_halves(&[100, 95, 90, 85, 80, 75, 70, 65, 60, 55], Some("0.72"));
    }

    #[test]
    fn a_steady_trial_gives_no_warning() {
        check_halves(&[100; 20], None);
        check_halves(&[100, 104, 97, 101, 99, 98, 102, 95, 103, 100], None);
        // Slower by less than a neighbour may make it.
        check_halves(&[100, 100, 100, 100, 100, 90, 90, 90, 90, 90], None);
        // Waves, and one long pause.
        check_halves(&[100, 0, 100, 0, 100, 0, 100, 0, 100, 0], None);
        check_halves(&[100, 100, 100, 100, 100, 100, 0, 0, 100, 100], None);
    }

    #[test]
    fn too_few_requests_give_no_warning() {
        check_halves(&[], None);
        check_halves(&[1_000, 100], None);
        check_halves(&[1_000, 1_000, 1_000, 100, 100, 100], None);
        check_halves(&[9, 9, 9, 9, 9, 5, 5, 5, 5, 5], None);
        assert_eq!(unsteady(&[(0, 0), (0, 0)]), None);
    }

    #[test]
    fn uneven_samples_and_clock_steps_are_harmless() {
        let uneven = [5, 22, 31, 44, 52, 60, 75, 81, 99, 100].map(|ms| (ms * 1_000_000, ms * 40));
        assert_eq!(unsteady(&uneven), None);
        let back = [(9, 500), (3, 600), (8, 400), (2, 900), (7, 100), (1, 0), (6, 950), (5, 1)];
        let _ = unsteady(&back);
    }

    /// The pieces of a steady trial in any order, with much more noise than there is.
    #[test]
    fn noise_alone_is_rarely_a_trend() {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % 1_000
        };
        let warned = (0..2_000)
            .filter(|_| {
                let pieces: Vec<u64> = (0..20).map(|_| 500 + random()).collect();
                unsteady(&progress(&pieces)).is_some()
            })
            .count();
        assert!(warned <= 20, "{warned} of 2000");
    }

    #[test]
    fn workers_that_never_ran_are_missing() {
        assert!(has_idle_workers(2, 1, 0.95, 64.0));
        assert!(has_idle_workers(4, 2, 1.9, 64.0));
        // All of them ran, or there is nothing to announce: a thread for each task.
        assert!(!has_idle_workers(2, 2, 0.95, 64.0));
        assert!(!has_idle_workers(0, 64, 0.95, 64.0));
        // One was enough.
        assert!(!has_idle_workers(2, 1, 0.8, 64.0));
        assert!(!has_idle_workers(4, 2, 0.95, 64.0));
        assert!(!has_idle_workers(2, 1, 0.95, 15.0));
    }

    #[track_caller]
    fn check_workers(written: &str, given: Option<u32>, expected: &[&str]) {
        let axes = if written.contains('$') { "axes: { loops: [1, 2] }\n" } else { "" };
        let text = format!(
            "name: x\nquestion: q?\n{axes}{written}\ntasks: [{{ name: t, steps: [yield] }}]\n"
        );
        let scenario = spec::parse("x.yaml", &text).unwrap();
        let selected = Selected { name: "some/x".to_owned(), scenario, cases: vec![0] };
        let options = CellOptions { workers: given, ..CellOptions::default() };
        assert_eq!(overridden(&options, &[selected]), expected);
    }

    #[test]
    fn the_command_line_overrides_the_scenario() {
        check_workers("workers: 2", None, &[]);
        check_workers("", Some(4), &[]);
        check_workers("workers: 4", Some(4), &[]);
        check_workers("workers: 2", Some(4), &["some/x: --workers 4 overrides its `workers: 2`"]);
        check_workers(
            "workers: $loops",
            Some(4),
            &["some/x: --workers 4 overrides its `workers: $loops`, so the values of its \
               axis `loops` make no difference; `--axis loops=…` chooses among them"],
        );
    }
}
