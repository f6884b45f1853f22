//! Whether there are CPUs enough, and whether they are what they seem.
//!
//! Never pins anything; it foretells how a run would divide them.

use super::finding::Finding;
use crate::system::cgroup;
use crate::system::cpus::{self, Division};

pub fn findings() -> Vec<Finding> {
    let cpus = cpus::allowed();
    let quota = judge_quota(cgroup::cpu_quota(), cpus.len());
    vec![judge_count(&cpus), judge_cores(&cpus, cpus::siblings), quota]
}

fn judge_count(cpus: &[usize]) -> Finding {
    const ABOUT: &str = "CPUs";
    match cpus {
        [] | [_] => Finding::warning(
            ABOUT,
            "there is one CPU, and a subject shares it with the driver that loads it",
            "each measures the other as well: figures of servers say little",
            "run where there are 2 CPUs or more; 4 to see several workers scale",
        ),
        [subject, driver] => Finding::warning(
            ABOUT,
            format!(
                "there are 2 CPUs: under load the driver has CPU {driver}, the subject only CPU \
                 {subject}"
            ),
            "several workers can gain nothing from each other in servers",
            "run where there are 4 CPUs or more, if that is your question",
        ),
        [.., driver] => Finding::ok(
            ABOUT,
            format!(
                "there are {} CPUs: under load the driver has CPU {driver}, the subject all others",
                cpus.len()
            ),
        ),
    }
}

/// Two CPUs that are one core slow each other, which nobody's figures should depend on.
fn judge_cores(cpus: &[usize], siblings: impl Fn(usize) -> Vec<usize>) -> Finding {
    const ABOUT: &str = "cores";
    let division = Division::of(cpus, true);
    let shared = division
        .driver
        .iter()
        .filter(|_| division.driver != division.subject)
        .flat_map(|cpu| siblings(*cpu))
        .find(|cpu| division.subject.contains(cpu));
    let Some(shared) = shared else {
        return Finding::ok(ABOUT, "subject and driver share no core");
    };
    let one_each: Vec<String> = cpus
        .iter()
        .filter(|cpu| siblings(**cpu).iter().all(|other| other >= *cpu || !cpus.contains(other)))
        .map(usize::to_string)
        .collect();
    let driver = division.driver.first().copied().unwrap_or_default();
    Finding::warning(
        ABOUT,
        format!("the driver's CPU {driver} and the subject's CPU {shared} are one core"),
        "each slows the other, by up to half",
        format!("taskset -c {} quadrant run …", one_each.join(",")),
    )
}

fn judge_quota(quota: Option<f64>, cpus: usize) -> Finding {
    const ABOUT: &str = "CPU quota";
    match quota.filter(|quota| *quota < cpus as f64) {
        None => Finding::ok(ABOUT, "no control group limits the CPU time"),
        Some(quota) => Finding::warning(
            ABOUT,
            format!("a control group allows {quota:.1} of {cpus} CPUs"),
            "all threads are frozen for the rest of every 100 ms once that is used up: stalls and \
             p99 that no runtime has caused",
            "give whole CPUs instead of a share: docker run --cpuset-cpus=0,1 without --cpus",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Ok, Warning};
    use super::*;

    #[test]
    fn counts() {
        for (cpus, level) in [(&[3][..], Warning), (&[0, 1], Warning), (&[0, 1, 2], Ok)] {
            assert_eq!(judge_count(cpus).level, level, "{cpus:?}");
        }
        assert!(
            judge_count(&[4, 9]).says.ends_with("the driver has CPU 9, the subject only CPU 4")
        );
    }

    #[test]
    fn siblings_are_found_and_avoided() {
        let pairs = |cpu: usize| vec![cpu % 2, cpu % 2 + 2];
        let finding = judge_cores(&[0, 1, 2, 3], pairs);
        assert_eq!(finding.level, Warning);
        assert_eq!(finding.says, "the driver's CPU 3 and the subject's CPU 1 are one core");
        assert_eq!(finding.remedy.as_deref(), Some("taskset -c 0,1 quadrant run …"));
        assert_eq!(judge_cores(&[0, 1, 2, 3], |cpu| vec![cpu]).level, Ok);
        assert_eq!(judge_cores(&[0, 1], pairs).level, Ok);
        // On one CPU there is nothing to be said that its number does not say.
        assert_eq!(judge_cores(&[0], pairs).level, Ok);
    }

    #[test]
    fn quotas() {
        assert_eq!(judge_quota(None, 4).level, Ok);
        assert_eq!(judge_quota(Some(4.0), 4).level, Ok);
        let finding = judge_quota(Some(1.5), 4);
        assert_eq!(
            (finding.level, finding.says.as_str()),
            (Warning, "a control group allows 1.5 of 4 CPUs")
        );
    }
}
