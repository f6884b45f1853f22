//! Supervises one trial: sets the phases on the board by the clock and observes from outside.
//!
//! Never waits without a limit: whatever the subject does, this returns. One thread does it all.

use std::sync::atomic::Ordering::Relaxed;

use quadrant_reports::record::{Noise, Rss, Stalls, Status};
use quadrant_suite::board::{Phase, Stall};
use quadrant_suite::clock::{Stamp, stamp};
use quadrant_suite::control::Message;
use quadrant_suite::outcome::Findings;

use super::clock_check::{ClockReading, contradiction};
use super::cold_reads::ColdReads;
use super::order::{Attention, Order};
use super::processes::{Failed, Look, Processes, Stop, because};
use super::stalls::{self, Sighting};
use super::watch::{LOOK_EVERY, Seen, Watch};
use crate::driver::order::Load;
use crate::responder::order::Answers;
use crate::system::cgroup::PidsCgroup;
use crate::system::noise::NoiseWatch;
use crate::system::process;
use crate::trial::observe::Observation;

/// How a trial ended.
pub enum Ended {
    Measured(Box<Measured>),
    /// `load` is what the driver had measured of the window by then.
    Unmeasured {
        status: Status,
        reason: String,
        load: Option<Box<Load>>,
    },
    Interrupted,
}

/// The measurements of a trial that was completed.
pub struct Measured {
    pub findings: Findings,
    pub load: Option<Load>,
    /// Of the responder, where there are backends.
    pub answers: Option<Answers>,
    pub window_ns: u64,
    /// See [`ProgressSamples`](super::progress_samples::ProgressSamples).
    pub progress: Vec<(u64, u64)>,
    pub observation: Observation,
    pub stalls: Stalls,
    /// The stalls, and the looks at stalled threads, one by one, as far as they were kept.
    pub stall_log: Vec<Stall>,
    pub sightings: Vec<Sighting>,
    /// From when to when the subject was frozen on purpose.
    pub frozen: Option<(Stamp, Stamp)>,
    pub loops: u64,
    /// How often a task went on in another thread than before.
    pub migrations: u64,
    /// Those of them that had no slot on the board.
    pub loops_unmetered: u64,
    pub rss: Rss,
    pub page_faults: u64,
    pub noise: Option<Noise>,
    /// The share of what was read of cold files that came from a device, where that is known.
    pub cold_share: Option<f64>,
    /// CPU time that watching took while the window was open.
    pub harness_cpu_ns: u64,
}

/// Runs a trial, start to end.
pub fn run(order: &Order) -> Ended {
    let cgroup = PidsCgroup::create();
    let mut load = None;
    let ended = Processes::start(order).and_then(|mut trial| {
        let conducted = conduct(&mut trial, order, cgroup.as_ref());
        if let Err(Stop::Failed(_)) = conducted {
            load = trial.load_until_now();
        }
        conducted
    });
    crate::system::orphans::end_all();
    // It is empty only now.
    drop(cgroup);
    match ended {
        Ok(measured) => Ended::Measured(Box::new(measured)),
        Err(Stop::Interrupted) => Ended::Interrupted,
        Err(Stop::Failed(Failed { status, reason, .. })) => {
            Ended::Unmeasured { status, reason, load }
        }
    }
}

/// The whole course of a trial.
fn conduct(
    trial: &mut Processes,
    order: &Order,
    cgroup: Option<&PidsCgroup>,
) -> Result<Measured, Stop> {
    let pid = trial.pid();
    let rss_start = process::rss_bytes(pid).unwrap_or(0);

    // Work of a fixed amount is measured from its very beginning.
    let fixed_work = order.has_fixed_work();
    if !fixed_work {
        trial.board().enter(Phase::Warmup, stamp());
        trial.send(Message::Go);
        trial.wait(order.warmup, |_| Look::<()>::Again(LOOK_EVERY))?;
    }
    // Its connections have been served by now, if the subject keeps up.
    let rss_with_load = process::rss_bytes(pid).filter(|_| !order.load.is_empty());
    let gather_evidence = order.attention == Attention::Evidence;
    let mut observation = Observation::begin(pid, cgroup, gather_evidence);
    let noise_watch = NoiseWatch::begin(pid, &trial.helper_pids(), order.cpus);
    let faults = || process::page_faults(pid).unwrap_or(0);
    let page_faults = faults();
    let opened = ClockReading::now();
    trial.board().enter(Phase::Measuring, opened.stamp);
    observation.window_opens();
    if fixed_work {
        trial.send(Message::Go);
    }
    let cold_reads = ColdReads::begin(order.plan, trial);
    let mut watch = Watch::new(order, observation, trial);
    let harness_cpu_ns = own_cpu_ns();
    trial.wait(order.measure, |trial| {
        if fixed_work && trial.board().is_finished() {
            return Look::Done(());
        }
        Look::Again(watch.look(trial, order))
    })?;
    let closed = ClockReading::now();
    let page_faults = faults().saturating_sub(page_faults);
    trial.board().enter(Phase::Over, closed.stamp);
    let harness_cpu_ns = own_cpu_ns().saturating_sub(harness_cpu_ns);
    let cold_share = cold_reads.and_then(|reads| reads.end(trial));
    let Seen { progress, mut observation, mut glances, frozen } = watch.end(trial.board());
    observation.window_closes(trial.board(), cgroup);
    let noise = noise_watch.end();
    // The kernel counts in batches for each CPU: its peak may be below an earlier reading.
    let peak = process::rss_peak_bytes(pid).unwrap_or(rss_start).max(rss_start);
    let before_load = trial.rss_before_load();
    let rss = Rss { start: rss_start, peak, before_load, with_load: rss_with_load };

    let answers = trial.take_answers()?;
    let (load, findings) = trial.finish()?;
    let sightings = glances.take_sightings();
    let stalls = stalls::read(trial.board(), order.plan, glances);
    let (stall_log, _) = trial.board().stalls();
    let loops = trial.board().loops_peak();
    let slots = trial.board().slots().iter();
    let migrations = slots.map(|slot| slot.migrations.load(Relaxed)).sum();
    let loops_unmetered = trial.board().loops_unmetered();
    if let Some(reason) = contradiction(opened, closed, order.plan.clock) {
        return Err(because(Status::Unmeasured, reason));
    }
    let window_ns = order.plan.clock.ns_between(opened.stamp, closed.stamp);
    Ok(Measured {
        findings,
        load,
        answers,
        window_ns,
        progress,
        observation,
        stalls,
        stall_log,
        sightings,
        frozen,
        loops,
        migrations,
        loops_unmetered,
        rss,
        page_faults,
        noise,
        cold_share,
        harness_cpu_ns,
    })
}

fn own_cpu_ns() -> u64 {
    process::cpu_ns(std::process::id()).unwrap_or(0)
}
