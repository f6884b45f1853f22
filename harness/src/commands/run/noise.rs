//! When the weather of a trial is worth a warning, and in which words.
//!
//! Never reads the machine: it judges what was recorded, so the same record is warned of alike
//! everywhere. Words stay the same and numbers vary, so that a table says each once.

use quadrant_reports::record::Noise;

/// As a share of the CPU time that the subject got.
const WAITING_MAX: f64 = 0.10;

pub fn warnings(noise: &Noise, subject_cpu_ns: u64) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(steal) = noise.steal() {
        warnings.push(format!(
            "the host took {} of the CPU time for others (steal): figures are too low",
            percent(steal)
        ));
    }
    if let Some(others) = noise.others() {
        warnings.push(format!(
            "other processes used {} of the CPUs: figures are too low",
            percent(others)
        ));
        // A subject's own threads wait for each other, too: only with others it is their doing.
        let waiting = noise.run_queue_ns as f64 / subject_cpu_ns.max(1) as f64;
        if waiting > WAITING_MAX {
            let wanted = (noise.run_queue_ns + subject_cpu_ns) as f64;
            warnings.push(format!(
                "waited for a CPU {} of the time it wanted one: latencies and stalls are too long",
                percent(noise.run_queue_ns as f64 / wanted)
            ));
        }
    }
    if let Some(governor) = noise.governor.as_deref().filter(|name| *name != "performance") {
        warnings.push(format!(
            "the CPU frequency governor is {governor}: speed changes with load and heat"
        ));
    }
    warnings
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Noise = Noise {
        capacity_ns: 2_000_000_000,
        steal_ns: 20_000_000,
        others_cpu_ns: 100_000_000,
        run_queue_ns: 0,
        load_milli: 400,
        governor: None,
    };

    #[track_caller]
    fn check(noise: &Noise, expected: &[&str]) {
        assert_eq!(warnings(noise, 1_000_000_000), expected);
    }

    #[test]
    fn what_is_usual_is_not_told() {
        check(&QUIET, &[]);
        check(&Noise { governor: Some("performance".into()), ..QUIET }, &[]);
        // Its own threads waited for each other.
        check(&Noise { run_queue_ns: 5_000_000_000, ..QUIET }, &[]);
    }

    #[test]
    fn what_spoils_is_told() {
        let steal = "the host took 3 % of the CPU time for others (steal): figures are too low";
        check(&Noise { steal_ns: 60_000_000, ..QUIET }, &[steal]);
        let others = "other processes used 12 % of the CPUs: figures are too low";
        check(&Noise { others_cpu_ns: 240_000_000, ..QUIET }, &[others]);
        let waited =
            "waited for a CPU 25 % of the time it wanted one: latencies and stalls are too long";
        let crowded = Noise { others_cpu_ns: 240_000_000, run_queue_ns: 340_000_000, ..QUIET };
        check(&crowded, &[others, waited]);
        let governor = "the CPU frequency governor is powersave: speed changes with load and heat";
        check(&Noise { governor: Some("powersave".into()), ..QUIET }, &[governor]);
    }

    #[test]
    fn a_few_ticks_of_a_short_window_are_not_told() {
        let short = Noise { capacity_ns: 400_000_000, steal_ns: 0, ..QUIET };
        check(&Noise { others_cpu_ns: 40_000_000, ..short.clone() }, &[]);
        assert_eq!(warnings(&Noise { others_cpu_ns: 60_000_000, ..short }, 0).len(), 1);
    }
}
