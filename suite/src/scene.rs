//! The scene of one trial: its plan, the board and the ledger, shared by everything that runs.
//!
//! There is one in a process and it lives until the process ends, so tasks carry a plain
//! reference to it. It never touches a runtime.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::board::{Board, Phase};
use crate::boundary::Sink;
use crate::clock::{Stamp, stamp};
use crate::gauge::{Flight, Gauge};
use crate::injection::Injected;
use crate::ledger::{Faults, Row};
use crate::one_by_one::OneByOne;
use crate::outcome::{Findings, GroupFindings, Outcome, Ping, RowFindings};
use crate::pattern;
use crate::plan::Plan;
use crate::poll_wrapper::Meter;
use crate::runtime::{FilePath, Refusal};

pub struct Scene {
    plan: Plan,
    board: &'static Board,
    meter: Meter,
    sink: Sink,
    began: Stamp,
    groups: Vec<GroupLedger>,
    rows: Vec<Row>,
    impact: Row,
    /// Only beside stalls that are made on purpose.
    one_by_one: Option<OneByOne>,
    pub(crate) faults: Faults,
    file_paths: Vec<PathBuf>,
    /// Tasks with a fixed number of operations that are not done yet.
    repeating: AtomicU64,
    finished_at: AtomicU64,
    /// Roots that have not been told to stop.
    roots_left: AtomicU32,
    /// Connections to the server's port, and connections that proved to be somebody else's.
    accepted: AtomicU64,
    refused: AtomicU64,
    agreed_port: Mutex<Option<Result<u16, String>>>,
    port_agreed: Condvar,
}

#[derive(Default)]
struct GroupLedger {
    latency: Row,
    unended: Row,
    gauge: Gauge,
}

impl Scene {
    pub(crate) fn new(plan: Plan, board: &'static Board, sink: Sink) -> Self {
        plan.clock.install();
        let repeating = plan
            .groups
            .iter()
            .filter(|group| group.is_of_fixed_work())
            .map(|group| u64::from(group.count))
            .sum();
        if plan.files.is_some() {
            pattern::prepare();
        }
        let file_paths = plan.files.as_ref().map_or_else(Vec::new, |files| {
            (0..files.count).map(|i| Path::new(&files.directory).join(i.to_string())).collect()
        });
        Self {
            meter: Meter::new(board, plan.clock, plan.stall_threshold_ns).only_if(plan.metered),
            groups: plan.groups.iter().map(|_| GroupLedger::default()).collect(),
            rows: plan.rows.iter().map(|_| Row::default()).collect(),
            one_by_one: plan.injects().then(OneByOne::default),
            plan,
            board,
            sink,
            began: stamp(),
            impact: Row::default(),
            faults: Faults::default(),
            file_paths,
            repeating: AtomicU64::new(repeating),
            finished_at: AtomicU64::new(0),
            roots_left: AtomicU32::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
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

    /// For an adapter that meets a plan it has no executor for.
    pub fn unknown_executor(&self) -> Refusal {
        Refusal::Unsupported(format!(
            "this adapter has no executor `{}` on backend `{}`",
            self.plan.executor, self.plan.backend
        ))
    }

    /// The canary of the poll wrapper. To be called in a poll, where the parent asks for it.
    pub fn stall_as_canary(&self) {
        self.meter.stall_as_canary();
    }

    /// An operation did not succeed.
    pub fn count_error(&self, text: String) {
        self.faults.error(text);
    }

    pub(crate) fn file_path(&'static self, index: u32) -> FilePath {
        FilePath(&self.file_paths[index as usize])
    }

    /// Nanoseconds since the scene was set.
    fn since_began(&self, moment: Stamp) -> u64 {
        self.plan.clock.ns_between(self.began, moment)
    }

    pub(crate) fn begin_operation(&self, group: usize) -> Flight {
        self.groups[group].gauge.begin(self.since_began(stamp()), self.board.is_measuring())
    }

    /// `due` is the moment from which its latency counts.
    pub(crate) fn end_operation(&self, group: usize, flight: Flight, due: Stamp, succeeded: bool) {
        let now = stamp();
        if group == 0 && succeeded {
            self.meter.count_operation();
        }
        let ledger = &self.groups[group];
        let (clock, window_start) = (self.plan.clock, self.board.window_start());
        match self.board.phase() {
            Phase::Starting | Phase::Warmup => {
                ledger.gauge.end(flight, self.since_began(now), None);
            }
            Phase::Measuring => {
                let window = Some(self.since_began(window_start));
                ledger.gauge.end(flight, self.since_began(now), window);
                if succeeded {
                    ledger.latency.record(clock.ns_between(due, now));
                }
            }
            // It was still in flight when the window closed, and counts up to there.
            Phase::Over => {
                let closed = self.board.window_end();
                let window = Some(self.since_began(window_start));
                ledger.gauge.end(flight, self.since_began(closed), window);
                ledger.unended.record(clock.ns_between(due, closed));
            }
        }
    }

    pub(crate) fn record_row(&self, row: usize, started: Stamp) {
        if self.board.is_measuring() {
            self.rows[row].record(self.plan.clock.ns_between(started, stamp()));
        }
    }

    /// A ping was read. All but the canary's are sent within the window, so one that is read
    /// after its end belongs to it all the same: that is how late it was.
    pub fn answer_ping(&self, sent: Stamp) {
        let read = stamp();
        let opened = self.board.window_start();
        if opened == 0 || sent < opened {
            return self.board.count_canary_ping();
        }
        self.impact.record(self.plan.clock.ns_between(sent, read));
        if let Some(one_by_one) = &self.one_by_one {
            one_by_one.keep_ping(Ping { sent, read });
        }
    }

    /// A stall was made on purpose.
    pub(crate) fn keep_injected(&self, injected: Injected) {
        if let Some(one_by_one) = &self.one_by_one {
            one_by_one.keep_injected(injected);
        }
    }

    /// A task with a fixed number of operations has done them.
    pub(crate) fn count_finished_task(&self) {
        if self.repeating.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finished_at.store(stamp(), Ordering::Relaxed);
            self.board.publish_finished();
        }
    }

    /// A root is ready to hear from the parent.
    pub fn open_root(&self, root: usize, control_port: u16, roots: usize) {
        self.roots_left.fetch_add(1, Ordering::AcqRel);
        self.board.publish_root(root, control_port, roots);
    }

    /// Whether a connection to this root's control port comes from the parent's own port. Any
    /// other is a stranger's and has to be closed.
    pub fn is_parent(&self, root: usize, peer_port: Option<u16>) -> bool {
        let is_parent = peer_port == Some(self.board.parent_port(root));
        if !is_parent {
            self.count_stranger();
        }
        is_parent
    }

    /// A connection to the server's port was accepted.
    pub fn count_accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a connection that began with these bytes is the driver's. Any other is a
    /// stranger's and has to be closed. Fewer bytes than [`TOKEN_BYTES`] are no proof.
    pub fn is_driver(&self, first_bytes: &[u8]) -> bool {
        let is_driver = first_bytes == self.board.token();
        if !is_driver {
            self.count_stranger();
        }
        is_driver
    }

    /// A connection was refused. Once the trial is over that may be the driver's own, which it
    /// left before it was served.
    pub fn count_stranger(&self) {
        if !self.board.is_over() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Those that were refused, and those that have sent nothing: they are known only by their
    /// number beside the driver's connections.
    fn strangers(&self) -> u64 {
        let refused = self.refused.load(Ordering::Relaxed);
        let expected = self.plan.server.as_ref().map_or(0, |server| u64::from(server.connections));
        let accepted = self.accepted.load(Ordering::Relaxed);
        refused.max(accepted.saturating_sub(expected))
    }

    /// A root was told to stop; the last one hands in the outcome.
    pub fn close_root(&self) {
        if self.roots_left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.sink.hand_in(&Outcome::Finished(self.findings()));
        }
    }

    /// Nothing can be measured; the reason goes into the record.
    pub fn refuse(&self, refusal: Refusal) {
        self.sink.hand_in(&match refusal {
            Refusal::Unsupported(reason) => Outcome::Unsupported { reason },
            Refusal::Failed(reason) => Outcome::Failed { reason },
        });
    }

    /// For roots that share one port: the first one tells the others which.
    pub(crate) fn announce_port(&self, port: Result<u16, String>) {
        *self.agreed_port.lock().unwrap_or_else(PoisonError::into_inner) = Some(port);
        self.port_agreed.notify_all();
    }

    /// Waits, before anything runs on this root, for what the first one announces.
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
        let window_start = self.board.window_start();
        let window_ns = self.since_began(window_start);
        let end_ns = self.since_began(match self.board.window_end() {
            0 => stamp(),
            end => end,
        });
        let finished_at = self.finished_at.load(Ordering::Relaxed);
        let groups = self.plan.groups.iter().zip(&self.groups).map(|(group, ledger)| {
            let latency = ledger.latency.total();
            let (in_flight_peak, in_flight_mean_milli) = ledger.gauge.read(window_ns, end_ns);
            let (unended, age_ns) = ledger.gauge.unended(end_ns);
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
        let rows = self
            .plan
            .rows
            .iter()
            .zip(&self.rows)
            .map(|(name, row)| RowFindings { name: name.clone(), latency: row.total() });
        let (injected, pings) = self.one_by_one.as_ref().map(OneByOne::taken).unwrap_or_default();
        Findings {
            groups: groups.collect(),
            rows: rows.collect(),
            impact: self.impact.total(),
            errors: self.faults.errors.total(),
            wrong_answers: self.faults.wrong_answers.total(),
            panics: self.faults.panics.total(),
            first_error: self.faults.first(),
            strangers: self.strangers(),
            finished_after_ns: (finished_at != 0)
                .then(|| self.plan.clock.ns_between(window_start, finished_at)),
            injected,
            pings,
        }
    }
}
