//! How many workers a case asks for, and what to say where it gets others, or more than CPUs.
//!
//! Never decides how many an executor has; the subject knows whether it can have several.

use super::cells::PlannedCase;
use super::options::CellOptions;
use crate::adapters::subject::Subject;
use crate::counted::counted;
use crate::selection::Selected;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;

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
