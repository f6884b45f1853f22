//! How many workers a case asks for, and what to say where it gets others, more than CPUs, or
//! fewer than the executor announces.
//!
//! Never decides how many an executor has; the subject knows whether it can have several.

use quadrant_reports::record::Metrics;

use super::cells::PlannedCase;
use super::options::CellOptions;
use crate::adapters::subject::Subject;
use crate::commands::selection::Selected;
use quadrant_reports::number::counted;

/// The share of its time that a loop computes or stands still when it leaves work for another.
const BUSY_MIN: f64 = 0.9;
/// Operations in flight for each worker announced, as a mean. With fewer, chance may deal all of
/// them to one worker of an executor that shares nothing.
const IN_FLIGHT_MIN: f64 = 8.0;

/// A sentence for each scenario whose `workers` the command line takes the place of.
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
                    "{}: --workers {workers} takes the place of its `workers: {written}`{instead}",
                    selected.name
                )
            })
        })
        .collect()
}

/// What the number of workers does to the figures of a subject.
pub fn warnings(case: &PlannedCase, subject: &Subject) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(asked) = case.workers_asked else { return warnings };
    if let Some(written) = case.case.work.workers.filter(|written| *written != asked) {
        warnings.push(format!("--workers {asked} was in the place of this case's {written}"));
    }
    let (workers, cpus) = (subject.workers(asked), case.division.subject.len());
    if workers as usize > cpus {
        warnings.push(format!(
            "{} share {}: they can gain nothing from each other but turns",
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
    lacks_workers(announced, loops, busy, metrics.concurrency.mean).then(|| {
        format!(
            "announces {} and ran tasks on {} only, though there was work for all",
            counted(announced.into(), "worker"),
            counted(loops, "thread"),
        )
    })
}

/// `busy` is how many threads computed or stood still, as a mean. Where loops mostly rested, or
/// few operations were in flight, one loop may have been enough.
fn lacks_workers(announced: u32, loops: u64, busy: f64, in_flight: f64) -> bool {
    loops < u64::from(announced)
        && busy >= BUSY_MIN * loops as f64
        && in_flight >= IN_FLIGHT_MIN * f64::from(announced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;

    #[test]
    fn workers_that_never_run_beside_a_busy_one_are_lacking() {
        assert!(lacks_workers(2, 1, 0.95, 64.0));
        assert!(lacks_workers(4, 2, 1.9, 64.0));
        // All of them ran, or there is nothing to announce: a thread for each task.
        assert!(!lacks_workers(2, 2, 0.95, 64.0));
        assert!(!lacks_workers(0, 64, 0.95, 64.0));
        // One was enough.
        assert!(!lacks_workers(2, 1, 0.8, 64.0));
        assert!(!lacks_workers(4, 2, 0.95, 64.0));
        assert!(!lacks_workers(2, 1, 0.95, 15.0));
    }

    #[track_caller]
    fn check(written: &str, given: Option<u32>, expected: &[&str]) {
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
    fn the_command_line_goes_before_the_scenario_and_says_so() {
        check("workers: 2", None, &[]);
        check("", Some(4), &[]);
        check("workers: 4", Some(4), &[]);
        check("workers: 2", Some(4), &["some/x: --workers 4 takes the place of its `workers: 2`"]);
        check(
            "workers: $loops",
            Some(4),
            &[
                "some/x: --workers 4 takes the place of its `workers: $loops`, so the values of its \
               axis `loops` make no difference; `--axis loops=…` chooses among them",
            ],
        );
    }
}
