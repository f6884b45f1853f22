//! The scene: the shared state of one trial: plan, board, latencies and counters.
//!
//! A process has one, which lives until the process ends, so tasks hold a plain reference to it. It
//! never calls a runtime.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::board::{Board, Phase};
use crate::check_part::RootPart;
use crate::clock::{Stamp, stamp};
use crate::file_path::FilePath;
use crate::in_flight::{Flight, InFlight};
use crate::injection_log::InjectionLog;
use crate::ledger::{Faults, Row};
use crate::outcome::{
    Findings, GroupFindings, Injected, Outcome, Ping, Refusal, RowFindings, Verdict,
};
use crate::pattern;
use crate::plan::Plan;
use crate::poll_wrapper::Meter;
use crate::semaphore::{Permit, Semaphore};
use crate::shared::SharedObjects;
use crate::written_files::WrittenFiles;

/// Operations of one task in which every other task of its group has begun to run, on any runtime
/// that loses none.
pub(crate) const MANY_OPERATIONS: u64 = 10_000;

pub struct Scene {
    plan: Plan,
    board: &'static Board,
    meter: Meter,
    hand_in: Box<dyn Fn(&Outcome) + Send + Sync>,
    began: Stamp,
    groups: Vec<GroupLedger>,
    rows: Vec<Row>,
    /// For each row what its steps have cancelled.
    cancelled: Vec<AtomicU64>,
    pub(crate) shared: SharedObjects,
    impact: Row,
    /// Only if the plan injects stalls.
    injection_log: Option<InjectionLog>,
    pub(crate) faults: Faults,
    file_paths: Vec<PathBuf>,
    written: WrittenFiles,
    /// The pools of the backends that have one.
    pools: Vec<Option<Semaphore>>,
    /// Connections to backends so far.
    links: AtomicU64,
    /// Tasks with a fixed number of operations that have not completed them yet.
    repeating: AtomicU64,
    finished_at: AtomicU64,
    /// Tasks that the runtime dropped before they had run to their end.
    dropped: AtomicU64,
    /// Roots that have not received `Stop`.
    roots_left: AtomicU32,
    /// Connections accepted on the server's port, and connections of other processes.
    accepted: AtomicU64,
    /// When the last connection of the load was accepted for the first time.
    all_accepted_at: AtomicU64,
    refused: AtomicU64,
    /// What the next root does in a check that starts the runtime itself.
    root_part: Mutex<Option<RootPart>>,
    agreed_port: Mutex<Option<Result<u16, String>>>,
    port_agreed: Condvar,
}

#[derive(Default)]
struct GroupLedger {
    latency: Row,
    unended: Row,
    in_flight: InFlight,
    /// Tasks that were given to the runtime, and those of them that it has run at all.
    launched: AtomicU32,
    begun: AtomicU32,
    /// Whether one of them has completed many operations.
    many_operations: AtomicBool,
}

impl GroupLedger {
    /// The tasks that never ran, though others of the group went on and on.
    fn lost(&self) -> u32 {
        let many = self.many_operations.load(Ordering::Relaxed);
        let begun = self.begun.load(Ordering::Relaxed);
        if many { self.launched.load(Ordering::Relaxed).saturating_sub(begun) } else { 0 }
    }
}

impl Scene {
    pub(crate) fn new(
        plan: Plan,
        board: &'static Board,
        hand_in: impl Fn(&Outcome) + Send + Sync + 'static,
    ) -> Self {
        plan.clock.install();
        let repeating = plan
            .groups
            .iter()
            .filter(|group| group.is_of_fixed_work())
            .map(|group| u64::from(group.count))
            .sum();
        if plan.files.is_some() || plan.written.is_some() || !plan.backends.is_empty() {
            pattern::prepare();
        }
        let file_paths = plan.files.as_ref().map_or_else(Vec::new, |files| {
            (0..files.count).map(|i| Path::new(&files.directory).join(i.to_string())).collect()
        });
        let written = WrittenFiles::of(&plan);
        let pools = plan.backends.iter();
        let pools = pools.map(|backend| Some(Semaphore::new(backend.pool?.connections))).collect();
        Self {
            meter: Meter::new(board, plan.clock, plan.stall_threshold_ns).only_if(plan.metered),
            groups: plan.groups.iter().map(|_| GroupLedger::default()).collect(),
            rows: plan.rows.iter().map(|_| Row::default()).collect(),
            cancelled: plan.rows.iter().map(|_| AtomicU64::new(0)).collect(),
            shared: SharedObjects::of(&plan),
            injection_log: plan.injects().then(InjectionLog::default),
            plan,
            board,
            hand_in: Box::new(hand_in),
            began: stamp(),
            impact: Row::default(),
            faults: Faults::default(),
            file_paths,
            written,
            pools,
            links: AtomicU64::new(0),
            repeating: AtomicU64::new(repeating),
            finished_at: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            roots_left: AtomicU32::new(0),
            accepted: AtomicU64::new(0),
            all_accepted_at: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            root_part: Mutex::new(None),
            agreed_port: Mutex::new(None),
            port_agreed: Condvar::new(),
        }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn board(&self) -> &'static Board {
        self.board
    }

    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The refusal of an adapter that does not have the plan's executor.
    pub fn unknown_executor(&self) -> Refusal {
        Refusal::Unsupported(format!(
            "this adapter has no executor `{}` on backend `{}`",
            self.plan.executor, self.plan.backend
        ))
    }

    /// Injects the canary stall. To be called inside a poll, when the parent asks for it.
    pub fn stall_as_canary(&self) {
        self.meter.stall_as_canary();
    }

    /// Counts an operation that failed.
    pub fn count_error(&self, text: String) {
        self.faults.error(text);
    }

    pub(crate) fn file_path(&'static self, index: u32) -> FilePath {
        FilePath::of(&self.file_paths[index as usize])
    }

    pub(crate) fn written(&self) -> &WrittenFiles {
        &self.written
    }

    /// Waits for a connection to a backend to be free, if it has a pool.
    pub(crate) async fn permit(&'static self, backend: usize) -> Option<Permit> {
        Some(self.pools[backend].as_ref()?.acquire().await)
    }

    /// The number of a new connection to a backend, which no other has.
    pub(crate) fn number_link(&self) -> u64 {
        self.links.fetch_add(1, Ordering::Relaxed)
    }

    /// Nanoseconds from the creation of the scene to this moment.
    fn since_began(&self, moment: Stamp) -> u64 {
        self.plan.clock.ns_between(self.began, moment)
    }

    pub(crate) fn begin_operation(&self, group: usize) -> Flight {
        self.groups[group].in_flight.begin(self.since_began(stamp()), self.board.is_measuring())
    }

    /// `due` is the moment from which its latency is measured.
    pub(crate) fn end_operation(&self, group: usize, flight: Flight, due: Stamp, succeeded: bool) {
        let now = stamp();
        if group == 0 && succeeded {
            self.meter.count_operation();
        }
        let ledger = &self.groups[group];
        let (clock, window_start) = (self.plan.clock, self.board.window_start());
        match self.board.phase() {
            Phase::Starting | Phase::Warmup => {
                ledger.in_flight.end(flight, self.since_began(now), None);
            }
            Phase::Measuring => {
                let window = Some(self.since_began(window_start));
                ledger.in_flight.end(flight, self.since_began(now), window);
                if succeeded {
                    ledger.latency.record(clock.ns_between(due, now));
                }
            }
            // It was in flight when the window closed, and is counted up to that moment.
            Phase::Over => {
                let closed = self.board.window_end();
                let window = Some(self.since_began(window_start));
                ledger.in_flight.end(flight, self.since_began(closed), window);
                ledger.unended.record(clock.ns_between(due, closed));
            }
        }
    }

    pub(crate) fn record_row(&self, row: usize, started: Stamp) {
        if self.board.is_measuring() {
            self.rows[row].record(self.plan.clock.ns_between(started, stamp()));
        }
    }

    /// Counts programs that a step of this row has cancelled.
    pub(crate) fn count_cancelled(&self, row: usize, programs: u64) {
        if self.board.is_measuring() {
            self.cancelled[row].fetch_add(programs, Ordering::Relaxed);
        }
    }

    /// What the steps of each row have cancelled; `None` for rows of other steps.
    fn cancelled(&self) -> Vec<Option<u64>> {
        let mut cancelled = vec![None; self.rows.len()];
        for step in self.plan.programs.iter().flatten() {
            if let Some(row) = step.action.cancels_in() {
                cancelled[row] = Some(self.cancelled[row].load(Ordering::Relaxed));
            }
        }
        cancelled
    }

    /// A ping was read. All pings but the first are sent within the window, so one that is read
    /// after its end still belongs to it.
    pub fn answer_ping(&self, sent: Stamp) {
        let read = stamp();
        let opened = self.board.window_start();
        if opened == 0 || sent < opened {
            return self.board.count_canary_ping();
        }
        self.impact.record(self.plan.clock.ns_between(sent, read));
        if let Some(injection_log) = &self.injection_log {
            injection_log.keep_ping(Ping { sent, read });
        }
    }

    /// A stall was injected.
    pub(crate) fn keep_injected(&self, injected: Injected) {
        if let Some(injection_log) = &self.injection_log {
            injection_log.keep_injected(injected);
        }
    }

    /// A task with a fixed number of operations has completed them.
    pub(crate) fn count_finished_task(&self) {
        if self.repeating.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finished_at.store(stamp(), Ordering::Relaxed);
            self.board.publish_finished();
        }
    }

    /// A task was dropped before it had run to its end. What a runtime does so at the end of the
    /// trial, or in a check, is no fault.
    pub(crate) fn count_dropped_task(&self) {
        if self.plan.check.is_none() && !self.board.is_over() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A task of a group was given to the runtime.
    pub(crate) fn count_launched_member(&self, group: usize) {
        self.groups[group].launched.fetch_add(1, Ordering::Relaxed);
    }

    /// A task of a group runs for the first time.
    pub(crate) fn count_begun_member(&self, group: usize) {
        self.groups[group].begun.fetch_add(1, Ordering::Relaxed);
    }

    /// A task of a group has completed `MANY_OPERATIONS`.
    pub(crate) fn note_many_operations(&self, group: usize) {
        self.groups[group].many_operations.store(true, Ordering::Relaxed);
    }

    /// Counts what the runtime did wrong with tasks as a whole.
    fn judge_tasks(&self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            self.faults.wrong_answer(format!(
                "spawn: {dropped} spawned tasks were dropped before they had run to their end"
            ));
        }
        for (group, ledger) in self.plan.groups.iter().zip(&self.groups) {
            let lost = ledger.lost();
            if lost > 0 {
                self.faults.wrong_answer(format!(
                    "spawn: {lost} of the {} tasks `{}` never ran, while another completed \
                     {MANY_OPERATIONS} operations",
                    group.count, group.name
                ));
            }
        }
    }

    fn judge_channels(&self) {
        for channel in &self.shared.channels {
            if let Err(wrong) = channel.check_complete() {
                self.faults.wrong_answer(wrong);
            }
        }
    }

    /// A root is ready for the parent's messages.
    pub fn open_root(&self, root: usize, control_port: u16, roots: usize) {
        self.roots_left.fetch_add(1, Ordering::AcqRel);
        self.board.publish_root(root, control_port, roots);
    }

    /// Whether a connection to this root's control port comes from the parent. Any other has to be
    /// closed.
    pub fn is_parent(&self, root: usize, peer_port: Option<u16>) -> bool {
        let is_parent = peer_port == Some(self.board.parent_port(root));
        if !is_parent {
            self.count_stranger();
        }
        is_parent
    }

    /// A connection to the server's port was accepted.
    pub fn count_accepted(&self) {
        let accepted = self.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        if accepted == self.connections_expected() {
            self.all_accepted_at.store(stamp(), Ordering::Relaxed);
        }
    }

    /// How many the load opens at first.
    fn connections_expected(&self) -> u64 {
        self.plan.server.as_ref().map_or(0, |server| u64::from(server.connections))
    }

    /// Whether a connection that began with these bytes is the driver's. Any other has to be closed.
    pub fn is_driver(&self, first_bytes: &[u8]) -> bool {
        let is_driver = first_bytes == self.board.token();
        if !is_driver {
            self.count_stranger();
        }
        is_driver
    }

    /// A connection was refused. After the end of the trial it may be one that the driver closed
    /// before it was served, so it is not counted.
    pub fn count_stranger(&self) {
        if !self.board.is_over() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Refused connections, or connections in excess of the driver's: one that has sent nothing is
    /// known only by the excess.
    fn strangers(&self) -> u64 {
        let refused = self.refused.load(Ordering::Relaxed);
        if self.plan.server.as_ref().is_some_and(|server| server.reconnects) {
            return refused;
        }
        let accepted = self.accepted.load(Ordering::Relaxed);
        refused.max(accepted.saturating_sub(self.connections_expected()))
    }

    /// A root has received `Stop`; the last one passes on the outcome.
    pub fn close_root(&self) {
        if self.roots_left.fetch_sub(1, Ordering::AcqRel) == 1 {
            (self.hand_in)(&Outcome::Finished(Box::new(self.findings())));
        }
    }

    /// Nothing can be measured; passes on the reason.
    pub fn refuse(&self, refusal: Refusal) {
        (self.hand_in)(&match refusal {
            Refusal::Unsupported(reason) => Outcome::Unsupported { reason },
            Refusal::Failed(reason) => Outcome::Failed { reason },
        });
    }

    /// Hands in the verdict of the plan's check.
    pub(crate) fn answer(&self, verdict: Verdict) {
        (self.hand_in)(&Outcome::Checked(verdict));
    }

    pub(crate) fn put_root_part(&self, part: RootPart) {
        *self.root_part.lock().unwrap_or_else(PoisonError::into_inner) = Some(part);
    }

    pub(crate) fn take_root_part(&self) -> Option<RootPart> {
        self.root_part.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// For the first of several roots that share one port.
    pub(crate) fn announce_port(&self, port: Result<u16, String>) {
        *self.agreed_port.lock().unwrap_or_else(PoisonError::into_inner) = Some(port);
        self.port_agreed.notify_all();
    }

    /// Waits for the port of the first root. Nothing else runs on this root yet.
    pub(crate) fn agreed_port(&self) -> Result<u16, String> {
        const PATIENCE: Duration = Duration::from_secs(10);
        let guard = self.agreed_port.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _) = self
            .port_agreed
            .wait_timeout_while(guard, PATIENCE, |port| port.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        guard.clone().unwrap_or_else(|| Err("the first worker did not begin to listen".into()))
    }

    fn findings(&self) -> Findings {
        self.judge_tasks();
        self.judge_channels();
        let window_start = self.board.window_start();
        let window_ns = self.since_began(window_start);
        let end_ns = self.since_began(match self.board.window_end() {
            0 => stamp(),
            end => end,
        });
        let finished_at = self.finished_at.load(Ordering::Relaxed);
        let groups = self.plan.groups.iter().zip(&self.groups).map(|(group, ledger)| {
            let latency = ledger.latency.total();
            let (in_flight_peak, in_flight_mean_milli) = ledger.in_flight.read(window_ns, end_ns);
            let (unended, age_ns) = ledger.in_flight.unended(end_ns);
            for _ in 0..unended {
                ledger.unended.record(age_ns);
            }
            let name = group.name.clone();
            GroupFindings {
                name,
                ops: latency.count(),
                latency,
                unended: ledger.unended.total(),
                in_flight_peak,
                in_flight_mean_milli,
            }
        });
        let rows = self.plan.rows.iter().zip(&self.rows).zip(self.cancelled()).map(
            |((name, row), cancelled)| RowFindings {
                name: name.clone(),
                latency: row.total(),
                cancelled,
            },
        );
        let (injected, pings) =
            self.injection_log.as_ref().map(InjectionLog::taken).unwrap_or_default();
        Findings {
            groups: groups.collect(),
            rows: rows.collect(),
            impact: self.impact.total(),
            errors: self.faults.errors.load(Ordering::Relaxed),
            wrong_answers: self.faults.wrong_answers.load(Ordering::Relaxed),
            panics: self.faults.panics.load(Ordering::Relaxed),
            first_error: self.faults.first(),
            strangers: self.strangers(),
            all_accepted_at: match self.all_accepted_at.load(Ordering::Relaxed) {
                0 => None,
                at => Some(at),
            },
            finished_after_ns: (finished_at != 0)
                .then(|| self.plan.clock.ns_between(window_start, finished_at)),
            shared_types: self.shared.types(),
            injected,
            pings,
        }
    }
}
