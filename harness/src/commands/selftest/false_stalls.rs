//! Stalls that must not be reported: where nothing stalls, more of them than time has passed, or
//! where a pool does the work.
//!
//! Alarms that happened while the whole machine stood still are counted apart and never left out;
//! a watcher process beside the subject records those times.

use std::time::Duration;

use quadrant_reports::selftest::alarms::{Alarms, count};
use quadrant_reports::selftest::cases::Cases;
use quadrant_suite::board::Stall;
use quadrant_suite::hash::{Function, Hash};
use quadrant_suite::plan::{Action, FileChoice, How, Pace};

use super::bench::{Bench, Interrupted, Rows, Trial, Unmeasured, group, step};
use super::watcher;
use crate::fixtures::FixtureStore;
use crate::system::interrupt;

const MS: u64 = 1_000_000;
/// More watchers would themselves be a load.
const WATCHED_CPUS_MAX: usize = 8;

/// Echo at a low rate, and as fast as it can.
pub fn alarms(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    let window = bench.window([1_500, 500]);
    let quiet = bench.echo(8, Some(1_000), window);
    alarms_in(bench, rows, &quiet, ["alarms.1ms", "alarms.10ms"], Alarms::false_alarms)?;
    // One worker, because two would wait for each other. Its CPU is never idle, so any other
    // process there makes a poll wait, which is no error.
    let busy = bench.echo(64, None, window).workers(1);
    let keys = ["load.alarms.1ms", "load.alarms.10ms"];
    alarms_in(bench, rows, &busy, keys, |alarms| alarms.unexplained)
}

fn alarms_in(
    bench: &Bench,
    rows: &mut Rows,
    trial: &Trial,
    [short, long]: [&str; 2],
    false_among_short: fn(Alarms) -> u64,
) -> Result<(), Interrupted> {
    let trial = trial.clone().threshold(Duration::from_nanos(MS));
    let watched = trial.cpus.subject.len().min(WATCHED_CPUS_MAX);
    let cpus = &trial.cpus.subject[..watched];
    let failed = |error| {
        let reason = "the watcher process failed, so causes of alarms are unknown";
        Unmeasured::Failed(format!("{reason}: {error}"))
    };
    let mut all = [Alarms::default(); 2];
    let mut seconds = 0.0;
    bench.for_each_subject(rows, &[short, long], |rows, subject| {
        bench.prepare(subject, &trial)?;
        let watchers = watcher::start(&bench.executable, cpus, bench.clock).map_err(failed)?;
        let measured = bench.run(subject, &trial)?;
        let standstills = watcher::end(watchers).map_err(failed)?;
        let window_s = measured.window_ns as f64 / 1e9;
        let counts =
            [MS, 10 * MS].map(|ns| count(&measured.stall_log, &standstills, bench.clock, ns));
        let rate = false_among_short(counts[0]) as f64 / window_s;
        let polls = measured.stalls.polls;
        rows.row(short).add(&subject.id, Cases::exact(rate, polls));
        rows.row(long).add(&subject.id, Cases::exact(counts[1].unexplained as f64, polls));
        seconds += window_s;
        all.iter_mut().zip(counts).for_each(|(all, count)| all.add(count));
        Ok(())
    })?;
    if seconds == 0.0 {
        return Ok(());
    }
    // The few seconds of one subject are too short for a rate of one in five seconds.
    let rate = false_among_short(all[0]) as f64 / seconds;
    rows.row(short).together = Some(Cases::exact(rate, 1));
    for (key, alarms) in [short, long].into_iter().zip(all) {
        let Alarms { standstills, neighbours, unexplained, longest } = alarms;
        let row = rows.row(key);
        row.note(format!(
            "samples are polls, over {seconds:.0} s; stalls: {unexplained} without a known cause, \
             {neighbours} mostly waiting for a CPU, and, not counted, {standstills} while the \
             whole machine stood still"
        ));
        if let Some(longest) = longest {
            let [all, computing, waiting] = longest.map(|ns| ns as f64 / 1e6);
            row.note(format!(
                "the longest without a known cause: {all:.1} ms, of which {computing:.1} ms \
                 computing and {waiting:.1} ms waiting for a CPU"
            ));
        }
    }
    Ok(())
}

/// Tasks that wait for others that compute. Some runtimes poll a new task inside the poll of its
/// parent; that time must count once, and as computing.
pub fn nested(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    const PARENTS: u32 = 2;
    const CPU_MS: u64 = 10;
    /// They take about ten milliseconds as well.
    const HASH: Hash = Hash { function: Function::Chain, rounds: 150_000 };
    let how = How::Await;
    let programs = vec![
        vec![step(Action::Gather { programs: vec![1, 2] })],
        vec![step(Action::Cpu { ns: CPU_MS * MS, how })],
        vec![step(Action::Hash { hash: HASH, expected: HASH.answer(), how })],
    ];
    let parents = group("parents", PARENTS, 0, Pace::BackToBack);
    // Each child is a stall by itself where it has a poll of its own.
    let threshold = Duration::from_millis(CPU_MS / 2);
    let trial = bench.tasks(programs, vec![parents], bench.window([700, 300])).threshold(threshold);
    bench.for_each_subject(rows, &["nested.time", "nested.cause"], |rows, subject| {
        let measured = bench.run(subject, &trial)?;
        let loops_ns = measured.window_ns as f64 * measured.loops.max(1) as f64;
        let share = measured.stalls.total_ns as f64 / loops_ns;
        rows.row("nested.time").add(&subject.id, Cases::exact(share, measured.stalls.count));
        let computing = measured
            .stall_log
            .iter()
            .map(|stall| stall.cpu_ns as f64 / running_ns(bench, stall).max(1) as f64)
            .collect();
        // In a quarter of the stalls the host may have taken the CPU away, which looks like being
        // blocked.
        rows.row("nested.cause").add(&subject.id, Cases::quantile(computing, 0.25));
        Ok(())
    })?;
    rows.row("nested.time").note(format!(
        "{PARENTS} tasks that each start two others at once and wait for them: one uses {CPU_MS} \
         ms of CPU time, one computes a hash"
    ));
    rows.row("nested.cause").note("waits for a CPU are left out");
    Ok(())
}

/// Files read on a pool, beside a task on the same loop that is due every 5 ms. Reads on the loop
/// itself are not judged: how a runtime does those is its own choice.
pub fn big_reads(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    const KEY: &str = "files.stalls";
    const FILES: u32 = 2;
    const BYTES: u64 = 64 * 1024 * 1024;
    const THRESHOLD: Duration = Duration::from_millis(10);
    let mut store = FixtureStore::new(std::env::temp_dir());
    let files = match store.files(FILES, BYTES, None) {
        Ok(files) => files.file_set(false),
        Err(_) if interrupt::requested() => return Err(Interrupted),
        Err(error) => {
            rows.row(KEY).fail_all(error.to_string());
            return Ok(());
        }
    };
    let read = Action::ReadFile { file: FileChoice::Next, how: How::Offload };
    let programs = vec![vec![step(read)], vec![step(Action::Yield)]];
    let groups = vec![
        group("reader", 1, 0, Pace::BackToBack),
        group("ticker", 1, 1, Pace::Every { ns: 5 * MS }),
    ];
    let trial = bench.tasks(programs, groups, bench.window([1_000, 300]));
    let mut trial = trial.workers(1).threshold(THRESHOLD);
    trial.plan.files = Some(files);
    bench.for_each_subject(rows, &[KEY], |rows, subject| {
        let measured = bench.run(subject, &trial)?;
        let reads = measured.findings.groups.first().map_or(0, |group| group.ops);
        let is_stall = |stall: &&Stall| running_ns(bench, stall) >= THRESHOLD.as_nanos() as u64;
        let stalls = measured.stall_log.iter().filter(is_stall).count() as u64;
        rows.row(KEY).add(&subject.id, Cases::share(stalls.min(reads), reads));
        Ok(())
    })?;
    rows.row(KEY).note(
        "beside a task that is due every 5 ms on the same loop; waits for a CPU are left out",
    );
    Ok(())
}

/// The length of a stall without what its thread waited for a CPU.
fn running_ns(bench: &Bench, stall: &Stall) -> u64 {
    let ns = bench.instrument_clock.ns_between(stall.start, stall.end);
    ns.saturating_sub(stall.run_queue_ns)
}
