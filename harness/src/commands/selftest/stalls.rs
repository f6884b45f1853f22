//! Injected stalls: whether they are found, with the right length and cause, seen from outside
//! while they last, and felt by a ping.
//!
//! In three conditions: beside tasks that do little, beside hogs (processes that want the same
//! CPUs), and in a server under load. Never trusts the instruments for the truth: the task that
//! stalls reads its thread's clocks itself.

use std::time::Duration;

use quadrant_reports::selftest::cases::Cases;
use quadrant_reports::selftest::injections::{
    Glance, Injections, call_named, late_pings, seen_in_progress, shown_by_pings,
};
use quadrant_suite::description::Workers;
use quadrant_suite::plan::Injection;
use quadrant_suite::plan::{Action, How, Pace};

use super::bench::{Bench, Interrupted, Rows, Trial, Unmeasured, group, step};
use super::{hog, injections};
use crate::adapters::subject::Subject;
use crate::driver::pacer::LONGEST_GAP;
use crate::trial::Measured;

/// Pings are judged by stalls at least this long.
const FELT_NS: u64 = 5_000_000;
/// A subject is sampled every 10 ms: a stall that lasts half as long again must have been seen.
const VISIBLE_NS: u64 = 15_000_000;
const CONNECTIONS: u32 = 64;

/// The same trial on every subject.
struct Round {
    threshold_ms: u64,
    /// How many stalls are long enough to have to be found.
    long: [u32; 2],
    workers: usize,
    /// On each CPU of the subject.
    hogs: usize,
    /// Whether it is a server under load, in which the driver sends the pings.
    loaded: bool,
    rows: &'static [(What, &'static str)],
}

/// What a row is about.
#[derive(Clone, Copy)]
enum What {
    Found,
    Length,
    Cause,
    InProgress,
    Call,
    Felt,
    FeltLength,
}
use What::*;

const PLAIN: Round =
    Round { threshold_ms: 5, long: [200, 30], workers: 2, hogs: 0, loaded: false, rows: &[] };

const AT_REST: &[Round] = &[
    Round {
        threshold_ms: 1,
        long: [200, 100],
        rows: &[
            (Found, "stalls.found.1ms"),
            (Length, "stalls.length.1ms"),
            (Cause, "stalls.cause.0_hogs"),
        ],
        ..PLAIN
    },
    Round {
        rows: &[
            (Found, "stalls.found.5ms"),
            (Length, "stalls.length.5ms"),
            (Cause, "stalls.cause.0_hogs"),
        ],
        ..PLAIN
    },
    Round {
        threshold_ms: 10,
        long: [200, 20],
        // What a ping must feel is known only where one loop does everything.
        workers: 1,
        rows: &[
            (Found, "stalls.found.10ms"),
            (Length, "stalls.length.10ms"),
            (Cause, "stalls.cause.0_hogs"),
            (InProgress, "stalls.in_progress"),
            (Call, "stalls.call"),
            (Felt, "impact.found"),
            (FeltLength, "impact.length"),
        ],
        ..PLAIN
    },
];

const BESIDE_HOGS: &[Round] = &[
    Round { long: [60, 18], hogs: 1, rows: &[(Cause, "stalls.cause.1_hogs")], ..PLAIN },
    Round { long: [60, 18], hogs: 3, rows: &[(Cause, "stalls.cause.3_hogs")], ..PLAIN },
];

/// One worker, so that the stalls have one loop and nothing else runs on its CPU.
const UNDER_LOAD: &[Round] = &[
    Round {
        threshold_ms: 1,
        long: [120, 60],
        workers: 1,
        loaded: true,
        // No cause: too large a share of a short stall passes after its thread's times were read.
        rows: &[(Found, "load.stalls.found.1ms"), (Length, "load.stalls.length.1ms")],
        ..PLAIN
    },
    Round {
        threshold_ms: 10,
        long: [60, 12],
        workers: 1,
        loaded: true,
        rows: &[
            (Found, "load.stalls.found.10ms"),
            (Length, "load.stalls.length.10ms"),
            (Cause, "load.stalls.cause"),
            (Felt, "load.impact.found"),
        ],
        ..PLAIN
    },
];

/// Over all rounds and subjects, what the figures have to be read with.
#[derive(Default)]
struct Circumstances {
    stalls: u64,
    /// Stalls that had to wait for a CPU.
    crowded: u64,
    others_cpu_ns: u64,
    capacity_ns: u64,
    pings: u64,
    late_pings: u64,
}

pub fn at_rest(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    let circumstances = measure(bench, rows, AT_REST)?;
    let Circumstances { stalls, crowded, others_cpu_ns, capacity_ns, pings, late_pings } =
        circumstances;
    rows.row("stalls.found.1ms").note(
        "made in turn by computing, by sleeping and by a blocking read, each for 0.3 to 4 times \
         the threshold, beside tasks that do little",
    );
    rows.row("stalls.length.1ms").note(format!(
        "other processes used {:.0} % of the CPUs in these trials, and {crowded} of {stalls} \
         stalls had to wait for a CPU: if that happens between the end of a stall and the end of \
         its poll, it counts as an error here although the instruments are right",
        100.0 * others_cpu_ns as f64 / capacity_ns.max(1) as f64
    ));
    let causes = rows.row("stalls.cause.0_hogs");
    causes.note("for each subject the worst of the three thresholds");
    causes.keep_worst();
    rows.row("impact.found").note("with one worker, where an executor can have several");
    rows.row("impact.length").note(format!(
        "the demand is the longest time between two pings; {late_pings} of {pings} came later, \
         because this process did not get a CPU in time"
    ));
    Ok(())
}

pub fn beside_hogs(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    measure(bench, rows, BESIDE_HOGS)?;
    rows.row("stalls.cause.1_hogs").note("p95; a hog is a process that uses a CPU all the time");
    Ok(())
}

pub fn under_load(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    measure(bench, rows, UNDER_LOAD)?;
    rows.row("load.stalls.found.1ms").note(format!(
        "in a closed loop over {CONNECTIONS} connections, made in turn by computing, by sleeping \
         and by a blocking read, each for 0.3 to 4 times the threshold"
    ));
    Ok(())
}

fn measure(bench: &Bench, rows: &mut Rows, rounds: &[Round]) -> Result<Circumstances, Interrupted> {
    let mut circumstances = Circumstances::default();
    for round in rounds {
        let keys: Vec<&str> = round.rows.iter().map(|(_, key)| *key).collect();
        let trial = trial(bench, round);
        let cpus = &trial.cpus.subject;
        let longest = trial.measure + Duration::from_secs(30);
        bench.for_each_subject(rows, &keys, |rows, subject| {
            // Only for this trial: between two trials nothing should have to wait for a CPU.
            let _hogs =
                hog::start(&bench.executable, cpus, round.hogs, longest).map_err(|error| {
                    Unmeasured::Failed(format!("the hogs could not be started: {error}"))
                })?;
            let measured = bench.run(subject, &trial)?;
            add(bench, rows, subject, round, &measured, &mut circumstances);
            Ok(())
        })?;
    }
    Ok(circumstances)
}

/// One task that makes the stalls, beside a load or tasks that do little: a loop that runs nothing
/// but stalls would be too easy to measure.
fn trial(bench: &Bench, round: &Round) -> Trial {
    let threshold = Duration::from_millis(round.threshold_ms);
    let mut injections: Vec<Injection> =
        injections::draw(bench.seed, round.rows[0].1, threshold, bench.extent(round.long));
    if round.loaded {
        // Long enough for the load to regain its pace.
        injections.iter_mut().for_each(|injection| injection.after_ns *= 5);
    }
    let time_limit = injections::time_limit(&injections, round.hogs as u64 + 1);
    let mut trial = if round.loaded {
        bench.echo(CONNECTIONS, None, time_limit)
    } else {
        let beside = vec![
            step(Action::Sleep { ns: 500_000, how: How::Await }),
            step(Action::Cpu { ns: 30_000, how: How::Await }),
        ];
        bench.tasks(vec![beside], vec![group("beside", 4, 0, Pace::BackToBack)], time_limit)
    };
    trial.plan.groups.push(group("staller", 1, 1, Pace::Repeat { times: 1 }));
    trial.plan.programs.push(vec![step(Action::Inject { injections })]);
    trial.threshold(threshold).workers(round.workers)
}

fn add(
    bench: &Bench,
    rows: &mut Rows,
    subject: &Subject,
    round: &Round,
    measured: &Measured,
    circumstances: &mut Circumstances,
) {
    let (id, clock) = (&subject.id, bench.instrument_clock);
    let threshold_ns = round.threshold_ms * 1_000_000;
    let (injected, pings) = (&measured.findings.injected, &measured.findings.pings);
    let pairs = Injections::new(injected, &measured.stall_log, clock, threshold_ns);
    let shown = shown_by_pings(injected, pings, clock, FELT_NS);
    let glances: Vec<Glance> = measured
        .sightings
        .iter()
        .map(|one| Glance { begun: one.begun, ended: one.ended, seen: &one.seen })
        .collect();
    circumstances.stalls += pairs.count();
    circumstances.crowded += pairs.crowded();
    if let Some(noise) = &measured.noise {
        circumstances.others_cpu_ns += noise.others_cpu_ns;
        circumstances.capacity_ns += noise.capacity_ns;
    }
    for (what, key) in round.rows {
        let row = rows.row(key);
        let cases = match what {
            Found => pairs.found(),
            Length => Cases::quantile(pairs.length_errors(), 0.95),
            Cause => Cases::quantile(pairs.cause_errors(), 0.95),
            InProgress => {
                seen_in_progress(injected, &glances, bench.clock, threshold_ns, VISIBLE_NS)
            }
            Call => {
                let (cases, wrong) = call_named(injected, &glances, bench.clock);
                if let Some(wrong) = wrong {
                    row.note(format!("a wrong one on {id}: {wrong}"));
                }
                cases
            }
            Felt | FeltLength if subject.has_workers(Workers::PerTask) => {
                row.exclude(id, "a thread of its own reads the pings, so no stall delays them");
                continue;
            }
            Felt => Cases::share(shown.errors_ns.len() as u64, shown.stalls),
            FeltLength => {
                let (late, of) = late_pings(pings, clock, LONGEST_GAP.as_nanos() as u64);
                circumstances.late_pings += late;
                circumstances.pings += of;
                Cases::quantile(shown.errors_ns.clone(), 0.99)
            }
        };
        row.add(id, cases);
    }
}
