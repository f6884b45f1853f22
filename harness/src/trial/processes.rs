//! The processes of a trial: the subject's and, where there is a load, the driver's.
//!
//! Starts them, reads what they report, holds them to their limits, and ends everything that was
//! started. Never measures.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quadrant_reports::record::Status;
use quadrant_suite::board::{Board, Phase};
use quadrant_suite::clock::stamp;
use quadrant_suite::control::Message;
use quadrant_suite::outcome::{Findings, Outcome};
use quadrant_suite::plain_calls;
use quadrant_suite::plan::Plan;

use super::adapter_process::{AdapterProcess, within};
use super::inside::NOT_LOADED;
use super::library_file::LibraryFile;
use super::order::{Limits, Order};
use crate::driver::order::{self, Load, Order as LoadOrder, Report};
use crate::driver::pacer::send_ping;
use crate::driver::process::Driver;
use crate::fixtures::CacheDropper;
use crate::responder::order::{Answers, Order as ResponderOrder};
use crate::responder::process::Responder;
use crate::system::board_memory::BoardMemory;
use crate::system::child::{ending, wait_for_output};
use crate::system::connecting::wait_until_connected;
use crate::system::cpus;
use crate::system::interrupt;
use crate::system::process::{self, StarvationCheck};

/// How long the end of a process may take to follow that of its connections.
const EXIT_LIMIT: Duration = Duration::from_millis(300);
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// While the next step waits for the subject, a trial's overhead is made of these.
const WATCH_EVERY: Duration = Duration::from_micros(200);

/// The result of a look at a trial.
pub enum Look<T> {
    Done(T),
    /// Nothing yet; look again after this long, or when one of the processes reports something.
    Again(Duration),
}

/// Why a trial cannot go on.
pub enum Stop {
    Interrupted,
    Failed(Failed),
}

#[derive(Debug, Clone)]
pub struct Failed {
    pub status: Status,
    pub reason: String,
    /// Its turns would have to be longer than they may be.
    pub is_too_slow: bool,
}

impl Failed {
    pub fn new(status: Status, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), is_too_slow: false }
    }

    /// Whether another start may do better: a process that did not stop in time is the machine's
    /// doing.
    pub fn may_pass(&self) -> bool {
        self.status == Status::Unmeasured && !self.is_too_slow
    }
}

pub fn because(status: Status, reason: impl Into<String>) -> Stop {
    Stop::Failed(Failed::new(status, reason))
}

/// The processes of a trial. Dropping it ends them.
pub struct Processes {
    /// Dropped first: it would take a dying subject for a failing one.
    driver: Option<Driver>,
    subject: AdapterProcess,
    library: Arc<LibraryFile>,
    memory: Arc<BoardMemory>,
    /// Dropped after the subject, which would fail without it.
    responder: Option<Responder>,
    /// Where files are to be cold.
    _cache_dropper: Option<CacheDropper>,
    /// One connection to each root.
    controls: Vec<TcpStream>,
    limits: Limits,
    rss_before_load: Option<u64>,
    /// Whether there may be output that was not read yet.
    has_output: bool,
    /// Whether the subject was asked to stop, so that its outcome is due.
    outcome_is_due: bool,
}

impl Processes {
    /// Starts the subject, and the load once it is ready. Nothing moves before `Message::Go`.
    pub fn start(order: &Order) -> Result<Self, Stop> {
        let memory = BoardMemory::create().map(Arc::new).map_err(|error| {
            because(Status::Unmeasured, format!("the board could not be made: {error}"))
        })?;
        // Random, and not from the run's seed: another process must not guess it.
        memory.board().set_token(RandomState::new().build_hasher().finish());
        let started = start_responder(order, &memory);
        let (responder, plan) = started.map_err(|reason| match interrupt::requested() {
            true => Stop::Interrupted,
            false => because(Status::Unmeasured, reason),
        })?;
        let mut processes = Self::spawn(order, &plan, memory, responder).map_err(|error| {
            let reason = format!("the subject's process could not be started: {error}");
            because(Status::Unmeasured, reason)
        })?;
        let check = StarvationCheck::begin(processes.pid());
        let ready = processes.wait_ready(order.limits.answer).and_then(|ports| {
            let ready = processes.get_ready(order, &ports);
            processes.unless_it_has_ended(ready)
        });
        let ready = processes.unless_starved(ready, &check);
        processes.unless_overwritten(ready)?;
        Ok(processes)
    }

    fn get_ready(&mut self, order: &Order, ports: &[u16]) -> Result<(), Stop> {
        self.connect(ports)?;
        self.try_instruments(order)?;
        if order.load.is_empty() {
            return Ok(());
        }
        self.rss_before_load = process::rss_bytes(self.pid());
        self.start_load(order)
    }

    /// Tries the instruments that the trial is going to use, before anything else runs: a stall of
    /// known length on each root, and a ping to it. Where there is a load, the driver tries the ping.
    /// How long the subject takes is not judged.
    fn try_instruments(&mut self, order: &Order) -> Result<(), Stop> {
        let is_pinged = order.is_pinged() && order.load.is_empty();
        if order.plan.metered {
            self.send(Message::Canary);
        }
        if is_pinged {
            send_ping(&mut self.controls);
        }
        let limit = order.limits.answer;
        let roots = self.controls.len() as u32;
        let has_seen_stalls =
            move |board: &Board| !order.plan.metered || board.canary_stalls() >= roots;
        let has_seen_pings = move |board: &Board| !is_pinged || board.canary_pings() >= roots;
        let seen = self.wait_for(limit, |trial| {
            (has_seen_stalls(trial.board()) && has_seen_pings(trial.board())).then_some(())
        })?;
        if seen.is_some() {
            return Ok(());
        }
        let blind = match has_seen_stalls(self.board()) {
            false => "a stall made on purpose before the trial was not seen by the poll wrapper",
            true => "a ping sent before the trial was not answered",
        };
        Err(because(
            Status::Unmeasured,
            format!(
                "{blind} {}: the instruments do not work with this subject{}",
                within(limit),
                self.subject.last_line_printed()
            ),
        ))
    }

    fn spawn(
        order: &Order,
        plan: &Plan,
        memory: Arc<BoardMemory>,
        responder: Option<Responder>,
    ) -> std::io::Result<Self> {
        let board = memory.inherited()?;
        let plan = serde_json::to_vec(plan)?;
        let subject = AdapterProcess::spawn(
            order.executable,
            "__trial",
            order.library,
            order.limits,
            |command| {
                command
                    .args(["--board", &board.number().to_string()])
                    .args(["--cpus", &cpus::listed(&order.cpus.subject)])
                    .envs(order.plan.environment())
                    .args(order.limits.forbidden.map(|forbidden| format!("--forbid={forbidden}")));
                order.memory.add_to(command);
            },
            &plan,
        )?;
        drop(board);
        let cold = order.plan.files.as_ref().filter(|files| files.cold);
        let cache_dropper =
            cold.map(|files| CacheDropper::start(Arc::clone(&memory), files)).transpose()?;
        Ok(Self {
            driver: None,
            subject,
            library: Arc::clone(order.library),
            memory,
            responder,
            _cache_dropper: cache_dropper,
            controls: Vec::new(),
            limits: order.limits,
            rss_before_load: None,
            has_output: false,
            outcome_is_due: false,
        })
    }

    pub fn board(&self) -> &Board {
        self.memory.board()
    }

    pub fn pid(&self) -> u32 {
        self.subject.pid()
    }

    /// The subject's resident memory before the load opened its connections.
    pub fn rss_before_load(&self) -> Option<u64> {
        self.rss_before_load
    }

    pub fn driver_pid(&self) -> Option<u32> {
        self.driver.as_ref().map(Driver::id)
    }

    /// The processes beside the subject that a trial needs: they are no noise.
    pub fn helper_pids(&self) -> Vec<u32> {
        let responder = self.responder.as_ref().map(Responder::id);
        [self.driver_pid(), responder].into_iter().flatten().collect()
    }

    /// What the responder counted, once the board's phase is `Over`. To be called before `finish`: a
    /// subject whose backends are gone fails, and is not to blame.
    pub fn take_answers(&mut self) -> Result<Option<Answers>, Stop> {
        let limit = self.limits.answer;
        let answers = self.responder.as_mut().map(|responder| responder.answers(limit));
        answers.transpose().map_err(|reason| match interrupt::requested() {
            true => Stop::Interrupted,
            false => because(Status::Unmeasured, reason),
        })
    }

    /// Of all of them, the subject's first.
    pub fn pids(&self) -> Vec<u32> {
        [Some(self.pid()), self.driver_pid()].into_iter().flatten().collect()
    }

    pub fn controls(&mut self) -> &mut [TcpStream] {
        &mut self.controls
    }

    pub fn send(&mut self, message: Message) {
        for control in &mut self.controls {
            // A root that does not read any more is noticed by its missing outcome.
            let _ = control.write_all(&message.encode());
        }
    }

    /// Freezes the subject and its driver. The driver first: otherwise it would measure the pause.
    pub fn freeze(&mut self) -> Result<(), Stop> {
        let freeze = |pid| process::freeze(pid).map_err(|error| unstoppable(&error));
        self.driver_pid().map_or(Ok(()), freeze)?;
        freeze(self.pid())
    }

    /// Lets both go on.
    pub fn thaw(&mut self) -> Result<(), Stop> {
        let thaw = |pid| process::thaw(pid).map_err(|error| unstoppable(&error));
        thaw(self.pid())?;
        self.driver_pid().map_or(Ok(()), thaw)
    }

    /// The driver's result and then the subject's outcome, once the board's phase is `Over`.
    pub fn finish(&mut self) -> Result<(Option<Load>, Findings), Stop> {
        let check = StarvationCheck::begin(self.pid());
        let finished = self.take_load().and_then(|load| {
            self.outcome_is_due = true;
            self.send(Message::Stop);
            Ok((load, self.take_outcome()?))
        });
        let finished = self.unless_it_has_ended(finished);
        let finished = self.unless_starved(finished, &check);
        self.unless_overwritten(finished)
    }

    fn wait_ready(&mut self, limit: Duration) -> Result<Vec<u16>, Stop> {
        let ports = self.wait_for(limit, |trial| trial.board().control_ports())?;
        ports.ok_or_else(|| self.timed_out(format!("was not ready {}", within(limit))))
    }

    fn connect(&mut self, ports: &[u16]) -> Result<(), Stop> {
        let board = self.memory.board();
        let connect = |(root, port)| connect_to_root(board, root, port);
        let controls = ports.iter().copied().enumerate().map(connect).collect::<Result<_, _>>();
        self.controls = controls.map_err(|error| {
            because(Status::Failed, format!("its control connection was refused: {error}"))
        })?;
        Ok(())
    }

    fn start_load(&mut self, order: &Order) -> Result<(), Stop> {
        let (port, clock) = (self.board().server_port(), order.plan.clock);
        let groups = order::within(order.load, order.measure);
        let load_order = LoadOrder {
            seed: order.plan.seed,
            cpus: order.cpus.driver.clone(),
            connect_limit_ns: self.limits.answer.as_nanos() as u64,
            ..LoadOrder::new(port, groups, clock)
        };
        let pinged = if order.is_pinged() { &self.controls[..] } else { &[] };
        let driver = Driver::spawn(order.executable, &load_order, &self.memory, pinged)
            .map_err(|error| because(Status::Unmeasured, error.to_string()))?;
        self.driver = Some(driver);
        let limit = self.limits.answer + Duration::from_secs(2);
        let wanted = order::connections(order.load);
        match self.next_report(limit)? {
            Some(Report::Connected(count)) if count == wanted => Ok(()),
            Some(Report::Connected(count)) => Err(because(
                Status::TimedOut,
                format!(
                    "only {count} of {wanted} connections were accepted within {} s; \
                     `--time-limit` allows more time",
                    self.limits.answer.as_secs_f64()
                ),
            )),
            _ => Err(because(
                Status::TimedOut,
                format!("the connections could not be opened {}", within(limit)),
            )),
        }
    }

    /// The driver's next report.
    fn next_report(&mut self, limit: Duration) -> Result<Option<Report>, Stop> {
        self.wait_for(limit, |trial| {
            trial.driver.as_mut().and_then(|driver| driver.try_read().transpose())
        })?
        .transpose()
        .map_err(|error| because(Status::Unmeasured, error.to_string()))
    }

    fn take_load(&mut self) -> Result<Option<Load>, Stop> {
        if self.driver.is_none() {
            return Ok(None);
        }
        match self.next_report(self.limits.answer)? {
            Some(Report::Finished(load)) => Ok(Some(*load)),
            _ => Err(because(Status::Unmeasured, "the load driver gave no result")),
        }
    }

    /// Ends the window of a trial that cannot go on, and returns what the load was until now.
    pub fn load_until_now(&mut self) -> Option<Box<Load>> {
        if self.board().phase() == Phase::Measuring {
            self.board().enter(Phase::Over, stamp());
        }
        let driver = self.driver.as_mut()?;
        let end = Instant::now() + EXIT_LIMIT;
        loop {
            match driver.try_read() {
                Ok(Some(Report::Finished(load))) => {
                    return Some(load).filter(|it| it.window_ns > 0);
                }
                Ok(None) => {}
                _ => return None,
            }
            let left = end.checked_duration_since(Instant::now())?;
            wait_for_output([driver.source()], left);
        }
    }

    fn take_outcome(&mut self) -> Result<Findings, Stop> {
        let limit = self.limits.answer;
        match self.wait_for(limit, |trial| trial.subject.answer())? {
            Some(line) => findings(&line),
            None => {
                let reason = format!("did not end {} after its time was over", within(limit));
                Err(self.timed_out(reason))
            }
        }
    }

    fn timed_out(&self, mut reason: String) -> Stop {
        if process::stands_still(self.subject.pid()) {
            reason += ", and none of its threads ran any more: a deadlock";
        }
        because(Status::TimedOut, reason + &self.subject.last_line_printed())
    }

    /// Waits until something is found, looking for it often.
    fn wait_for<T>(
        &mut self,
        limit: Duration,
        mut found: impl FnMut(&mut Processes) -> Option<T>,
    ) -> Result<Option<T>, Stop> {
        self.wait(limit, |trial| found(trial).map_or(Look::Again(WATCH_EVERY), Look::Done))
    }

    /// Waits until `look` is done, at most for `limit`. Returns an error when the subject has ended or
    /// exceeds its limits.
    pub fn wait<T>(
        &mut self,
        limit: Duration,
        mut look: impl FnMut(&mut Processes) -> Look<T>,
    ) -> Result<Option<T>, Stop> {
        let end = Instant::now() + limit;
        loop {
            self.check_limits()?;
            let again = match look(self) {
                Look::Done(result) => return Ok(Some(result)),
                Look::Again(time) => time,
            };
            self.check_alive()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let sources = self.subject.sources();
            let driver = self.driver.as_ref().and_then(Driver::source);
            let sources = sources.into_iter().chain([driver]);
            self.has_output = wait_for_output(sources, left.min(again));
        }
    }

    /// Reads the subject's output and holds the subject to its limits.
    fn check_limits(&mut self) -> Result<(), Stop> {
        if interrupt::requested() {
            return Err(Stop::Interrupted);
        }
        if std::mem::take(&mut self.has_output) {
            self.subject.read_output();
        }
        match self.subject.excess() {
            Some(reason) => Err(because(Status::Failed, reason)),
            None => Ok(()),
        }
    }

    /// When a subject dies, its connections break first, and its outcome may be cut off. So before a
    /// failure is reported, this waits briefly for the exit status: that is the real cause.
    fn unless_it_has_ended<T>(&mut self, done: Result<T, Stop>) -> Result<T, Stop> {
        if let Err(Stop::Failed(failed)) = &done
            && matches!(failed.status, Status::Failed | Status::Unmeasured)
            && let Ok(Some(status)) = self.subject.ended_within(EXIT_LIMIT)
            && !self.has_whole_outcome(status)
        {
            return Err(self.crashed(&ending(status)));
        }
        done
    }

    /// Whether a subject that has ended so had handed in an outcome before.
    fn has_whole_outcome(&self, status: ExitStatus) -> bool {
        let was_killed = status.code().is_none();
        self.subject.answer().is_some_and(|line| !was_killed || !is_cut_off(&line))
    }

    /// A subject that used up its time without getting a CPU has not failed.
    fn unless_starved<T>(&self, done: Result<T, Stop>, check: &StarvationCheck) -> Result<T, Stop> {
        if let Err(Stop::Failed(failed)) = &done
            && matches!(failed.status, Status::Failed | Status::TimedOut)
            && let Some(cause) = check.cause(self.limits.answer)
        {
            return Err(because(Status::Unmeasured, format!("{}; {cause}", failed.reason)));
        }
        done
    }

    /// Whatever came of a library that is not the described one any more counts for nothing.
    fn unless_overwritten<T>(&self, done: Result<T, Stop>) -> Result<T, Stop> {
        match self.library.check_unwritten() {
            Err(reason) if !matches!(done, Err(Stop::Interrupted)) => {
                Err(because(Status::Unmeasured, reason))
            }
            _ => done,
        }
    }

    fn crashed(&self, ending: &str) -> Stop {
        if let Err(reason) = self.library.check_unwritten() {
            return because(Status::Unmeasured, reason);
        }
        let reason = format!("{ending} and left no outcome{}", self.subject.last_line_printed());
        because(Status::Crashed, reason)
    }

    /// A subject that has ended, or that has refused to run, ends the trial.
    fn check_alive(&mut self) -> Result<(), Stop> {
        let ended = match self.subject.ended_within(Duration::ZERO) {
            Ok(status) => status.map(ending),
            Err(error) => Some(format!("could not be watched: {error}")),
        };
        if let Some(line) = self.subject.answer() {
            if self.outcome_is_due {
                return Ok(());
            }
            return findings(&line).and_then(|_| {
                Err(because(Status::Failed, "handed in its outcome before it was asked"))
            });
        }
        match ended {
            None => Ok(()),
            Some(ending) => Err(self.crashed(&ending)),
        }
    }
}

/// Starts the responder, if there are backends. Returns it with the plan, in which its port is then.
fn start_responder<'o>(
    order: &'o Order,
    memory: &BoardMemory,
) -> Result<(Option<Responder>, Cow<'o, Plan>), String> {
    if order.backends.is_empty() {
        return Ok((None, Cow::Borrowed(order.plan)));
    }
    let responder_order = ResponderOrder {
        backends: order.backends.to_vec(),
        seed: order.plan.seed,
        clock: order.plan.clock,
        cpus: order.cpus.driver.clone(),
        board_fd: 0,
        parent: 0,
    };
    let limit = order.limits.answer;
    let (responder, port) = Responder::spawn(order.executable, responder_order, memory, limit)?;
    let mut plan = order.plan.clone();
    plan.backends.iter_mut().for_each(|backend| backend.port = port);
    Ok((Some(responder), Cow::Owned(plan)))
}

/// Connects from a port that is published on the board first: the root serves no other.
fn connect_to_root(board: &Board, root: usize, port: u16) -> std::io::Result<TcpStream> {
    // Non-blocking: a subject that does not read must not hold up its parent.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = plain_calls::stream_socket(address)?;
    rustix::net::bind(&stream, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    board.publish_parent(root, stream.local_addr()?.port());
    plain_calls::begin_connect(&stream, address)?;
    // Where other processes fill the listener's queue, connecting would last for minutes.
    wait_until_connected(&stream, CONNECT_LIMIT)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn unstoppable(error: &std::io::Error) -> Stop {
    because(Status::Unmeasured, format!("could not be frozen and thawed: {error}"))
}

/// What a subject that has finished handed in.
fn findings(line: &str) -> Result<Findings, Stop> {
    if let Some(reason) = line.strip_prefix(NOT_LOADED) {
        return Err(because(Status::Unmeasured, reason));
    }
    match serde_json::from_str(line) {
        Ok(Outcome::Finished(findings)) => Ok(*findings),
        Ok(Outcome::Unsupported { reason }) => Err(because(Status::Unsupported, reason)),
        Ok(Outcome::Failed { reason }) => Err(because(Status::Failed, reason)),
        Ok(Outcome::Checked(_)) | Err(_) => {
            let begin: String = line.chars().take(60).collect();
            let reason = format!("handed in something that is no outcome: {begin:?}");
            Err(because(Status::Failed, reason))
        }
    }
}

fn is_cut_off(line: &str) -> bool {
    !line.starts_with(NOT_LOADED) && serde_json::from_str::<Outcome>(line).is_err()
}
