//! Whether two runs were made alike enough for their figures to be held against each other.
//!
//! It looks at what the runs wrote down of themselves only, never at this machine.

use super::run_file::{RunFile, SpecDigest};

/// What is unlike, one sentence each, with both values. Nothing: they may be compared.
///
/// The versions of the runtimes and of quadrant are no obstacle: they are what is compared.
pub fn differences(base: &RunFile, new: &RunFile) -> Vec<String> {
    let facts = |run: &RunFile| {
        let machine = &run.machine;
        [
            ("system", machine.system.clone()),
            ("architecture", machine.architecture.clone()),
            ("cpu model", machine.cpu_model.clone()),
            ("kernel", machine.kernel.clone()),
            ("cpus", listed(&run.cpus)),
            ("governor", machine.governor.clone().unwrap_or_else(|| "none".to_owned())),
            ("workers", run.options.workers.map_or("by the CPUs".to_owned(), |n| n.to_string())),
            ("forbidden", run.options.forbid.map_or("nothing".to_owned(), |what| what.to_string())),
            (
                "allocator",
                run.options.allocator.map_or("by the scenario".to_owned(), |how| how.to_string()),
            ),
            ("quick", if run.options.quick { "yes" } else { "no" }.to_owned()),
        ]
    };
    let mut differences: Vec<String> = facts(base)
        .into_iter()
        .zip(facts(new))
        .filter(|((_, base), (_, new))| base != new)
        .map(|((name, base), (_, new))| format!("{name}: {base} in BASE, {new} in NEW"))
        .collect();
    differences.extend(changed_specs(&base.specs, &new.specs));
    differences
}

/// Scenarios that only one run has are no difference: their cells find no partner.
fn changed_specs<'a>(
    base: &'a [SpecDigest],
    new: &'a [SpecDigest],
) -> impl Iterator<Item = String> + 'a {
    base.iter().filter_map(|spec| {
        let other = new.iter().find(|other| other.name == spec.name)?;
        (other.digest != spec.digest)
            .then(|| format!("scenario {}: its text is not the same (spec digest)", spec.name))
    })
}

fn listed(cpus: &[usize]) -> String {
    let numbers: Vec<String> = cpus.iter().map(usize::to_string).collect();
    numbers.join(",")
}
