//! `quadrant selftest`: how truly this machine measures, through the real adapters.
//!
//! Each part makes something whose truth is known, lets it be measured as any trial is, and
//! hands both to the reports, which judge. Never takes the instruments' word for the truth.

mod alarms;
mod attendant;
mod bench;
mod big_reads;
mod causes;
mod comparisons;
mod copies;
mod draw;
mod evidence;
mod extent;
mod freezes;
pub mod hog;
mod instruments;
mod nested;
mod options;
mod overhead;
mod stalls;
mod stalls_under_load;
mod threads;
mod timers;
mod turns;
pub mod watcher;
mod watching;
mod wrapper_cost;

use std::time::{Duration, Instant};

use quadrant_reports::selftest::report::SelfTest;
use quadrant_reports::selftest::row::{Missing, Row};

use crate::adapters::subject::{State, Subject};
use crate::commands::failure::Failure;
use crate::system::interrupt;
use crate::system::{cgroup, cpus, limits, noise, orphans};
use crate::terminal::color::Color;
use crate::terminal::progress::Progress;
use crate::terminal::standard_error::say;
use crate::terminal::standard_output;
use crate::trial::Limits;
use bench::{Bench, Interrupted};
use extent::Extent;
pub use options::SelfTestOptions;
use quadrant_reports::number::counted;

/// What is measured together, and hands in rows.
struct Part {
    /// Said while it runs.
    name: &'static str,
    /// How long it takes, for so many subjects; for the estimate only.
    takes: fn(&Extent, subjects: u32) -> Duration,
    measure: fn(&mut Bench) -> Result<Vec<Row>, Interrupted>,
}

/// The table of numbers to reach, in the order of its rows. A part is a file of its own with a
/// `PART`; one that is added stands here and nowhere else.
const PARTS: &[Part] = &[
    stalls::PART,
    stalls_under_load::PART,
    causes::PART,
    nested::PART,
    big_reads::PART,
    alarms::PART,
    threads::PART,
    freezes::PART,
    timers::PART,
    evidence::PART,
    wrapper_cost::PART,
    watching::PART,
    instruments::PART,
    copies::PART,
    comparisons::PART,
    // Last: it looks at the trials of all others.
    overhead::PART,
];

/// Measures, tells, and answers with the exit code.
pub fn selftest(options: &SelfTestOptions, color: Color) -> Result<u8, Failure> {
    let parts = wanted_parts(options)?;
    interrupt::listen();
    limits::raise();
    orphans::adopt();
    cgroup::sweep();
    let progress = Progress::new();
    let found = options.subjects.find(Limits::USUAL, &progress)?;
    let (subjects, broken): (Vec<Subject>, Vec<Subject>) =
        found.into_iter().partition(|subject| matches!(subject.state, State::Loadable { .. }));
    if subjects.is_empty() && broken.is_empty() && !interrupt::requested() {
        progress.end();
        say!("no subject matches; `quadrant list subjects` shows what there is");
        return Ok(4);
    }
    let test = measure(options, &parts, subjects, &broken, progress)?;
    standard_output::write(&test.write(options.format, standard_output::style(color)))?;
    if test.interrupted {
        say!("\nInterrupted");
    }
    Ok(test.exit_code())
}

fn wanted_parts(options: &SelfTestOptions) -> Result<Vec<&'static Part>, Failure> {
    let wanted = options.part.as_deref().unwrap_or_default();
    let parts: Vec<&Part> = PARTS.iter().filter(|part| part.name.contains(wanted)).collect();
    if parts.is_empty() {
        let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        return Err(Failure::usage(format!(
            "no part has `{wanted}` in its name; there are: {}",
            names.join(", ")
        )));
    }
    Ok(parts)
}

fn measure(
    options: &SelfTestOptions,
    parts: &[&Part],
    subjects: Vec<Subject>,
    broken: &[Subject],
    progress: Progress,
) -> Result<SelfTest, Failure> {
    let began = Instant::now();
    let cpus = cpus::allowed();
    let before = noise::read_times(&cpus);
    let mut bench = Bench::new(options, subjects, progress)?;
    announce(&bench, parts);
    let mut test = SelfTest {
        subjects: bench.subjects.iter().map(|subject| subject.id.clone()).collect(),
        broken: broken.iter().map(unasked).collect(),
        seed: bench.seed(),
        quick: options.quick,
        interrupted: interrupt::requested(),
        ..SelfTest::default()
    };
    for part in parts {
        if test.interrupted {
            break;
        }
        bench.begin_part(part.name);
        match (part.measure)(&mut bench) {
            Ok(rows) => test.rows.extend(rows),
            Err(Interrupted) => test.interrupted = true,
        }
    }
    bench.end();
    test.took_ns = began.elapsed().as_nanos() as u64;
    let capacity_ns = test.took_ns as f64 * cpus.len() as f64;
    test.steal = before.zip(noise::read_times(&cpus)).map(|(before, after)| {
        noise::ticks_to_ns(after.steal.saturating_sub(before.steal)) as f64 / capacity_ns.max(1.0)
    });
    Ok(test)
}

fn unasked(subject: &Subject) -> Missing {
    let reason = match &subject.state {
        State::Broken { reason } => reason.clone(),
        State::Loadable { .. } => String::new(),
    };
    Missing { subject: Some(subject.id.clone()), reason, is_failure: true }
}

/// How much there is to do, before it is begun.
fn announce(bench: &Bench, parts: &[&Part]) {
    let subjects = bench.subjects.len() as u32;
    let time: Duration = parts.iter().map(|part| (part.takes)(&bench.extent, subjects)).sum();
    bench.progress.warn(format!(
        "{} in {}, some {} s",
        counted(u64::from(subjects), "subject"),
        counted(parts.len() as u64, "part"),
        time.as_secs().max(1)
    ));
    bench.progress.milliseconds(time.as_millis() as u64);
}
