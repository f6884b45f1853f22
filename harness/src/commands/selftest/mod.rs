//! `quadrant selftest`: how accurately this machine measures, through the real adapters.
//!
//! Each part makes something whose truth is known, has it measured as any trial is, and gives both
//! to the reports, which judge. Never takes the truth from the instruments under test.

mod bench;
mod comparisons;
mod costs;
mod delays;
mod evidence;
mod false_stalls;
mod helper_process;
pub mod hog;
mod injections;
mod options;
mod parts;
mod stalls;
mod threads;
mod turns;
pub mod watcher;

use std::time::{Duration, Instant};

use quadrant_reports::number::counted;
use quadrant_reports::selftest::outcome::SelfTest;
use quadrant_reports::selftest::report;
use quadrant_reports::selftest::row::Missing;

use crate::adapters::discovery::Purpose;
use crate::adapters::subject::{State, Subject};
use crate::commands::failure::Failure;
use crate::system::interrupt;
use crate::system::{cgroup, limits, noise};
use crate::terminal::color::Color;
use crate::terminal::progress::Progress;
use crate::terminal::standard_error::say;
use crate::terminal::standard_output;
use crate::trial::Limits;
use bench::{Bench, Interrupted};
pub use options::SelfTestOptions;
use parts::{PARTS, Part};

/// Measures, prints the table, and returns the exit code.
pub fn selftest(options: &SelfTestOptions, color: Color) -> Result<u8, Failure> {
    let parts = wanted_parts(options.part.as_deref().unwrap_or_default())?;
    limits::raise();
    cgroup::sweep();
    let progress = Progress::new();
    let found = options.subjects.find(Purpose::Subjects, Limits::USUAL, &progress)?;
    if found.is_empty() && !interrupt::requested() {
        progress.end();
        say!("no subject matches; `quadrant list subjects` shows what there is");
        return Ok(4);
    }
    let (mut subjects, mut broken) = (Vec::new(), Vec::new());
    for subject in found {
        match subject.state {
            State::Loadable { .. } => subjects.push(subject),
            State::Broken { reason } => {
                broken.push(Missing { subject: Some(subject.id), reason, is_failure: true });
            }
        }
    }
    let mut test = measure(options, &parts, subjects, progress)?;
    test.broken = broken;
    let style = standard_output::style(color);
    standard_output::write(&report::write(&test, options.format, style))?;
    if test.interrupted {
        say!("\nInterrupted");
    }
    Ok(test.exit_code())
}

pub(super) fn wanted_parts(wanted: &str) -> Result<Vec<&'static Part>, Failure> {
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
    progress: Progress,
) -> Result<SelfTest, Failure> {
    let began = Instant::now();
    let mut bench = Bench::new(options, subjects, progress)?;
    let before = noise::read_times(&bench.cpus);
    announce(&bench, parts);
    let mut test = SelfTest {
        subjects: bench.subjects.iter().map(|subject| subject.id.clone()).collect(),
        seed: bench.seed,
        quick: options.quick,
        interrupted: interrupt::requested(),
        ..SelfTest::default()
    };
    for part in parts {
        if test.interrupted {
            break;
        }
        bench.begin_part(part.name);
        let mut rows = part.rows();
        match (part.measure)(&bench, &mut rows) {
            Ok(()) => test.rows.extend(rows.0),
            Err(Interrupted) => test.interrupted = true,
        }
    }
    bench.progress.end();
    test.took_ns = began.elapsed().as_nanos() as u64;
    let capacity_ns = test.took_ns as f64 * bench.cpus.len() as f64;
    test.steal = before.zip(noise::read_times(&bench.cpus)).map(|(before, after)| {
        noise::ticks_to_ns(after.steal.saturating_sub(before.steal)) as f64 / capacity_ns.max(1.0)
    });
    Ok(test)
}

/// Prints how much there is to do, and about how long it takes.
fn announce(bench: &Bench, parts: &[&Part]) {
    let time: Duration = parts.iter().map(|part| part.takes(bench)).sum();
    bench.progress.warn(format!(
        "{} in {}, some {} s",
        counted(bench.subjects.len() as u64, "subject"),
        counted(parts.len() as u64, "part"),
        time.as_secs().max(1)
    ));
    bench.progress.milliseconds(time.as_millis() as u64);
}
