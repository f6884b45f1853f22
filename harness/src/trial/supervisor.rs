//! The supervisor of one trial: starts the subject's process and the load, moves the board's
//! phases by the clock, looks on from outside, and ends everything it has started.
//!
//! One thread, and every wait is bounded. Whatever the subject does, this returns.

use std::io::{PipeReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use quadrant_reports::record::{Noise, Rss, Stalls, Status};
use quadrant_suite::board::{Board, Phase};
use quadrant_suite::clock::stamp;
use quadrant_suite::control::Message;
use quadrant_suite::outcome::{Findings, Outcome};
use quadrant_suite::plan::{Pace, Plan};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::headway::Headway;
use super::inside::NOT_LOADED;
use super::moment::{self, Moment};
use super::pacer::Pacer;
use super::signals;
use super::stalls::{self, Glances};
use super::talk::{Keep, Stream};
use crate::board_memory::BoardMemory;
use crate::driver::order::{Load, Order as LoadOrder, Report};
use crate::driver::process::Driver;
use crate::interrupt;
use crate::machine::affinity::Division;
use crate::machine::noise::NoiseWatch;
use crate::machine::pids_cgroup::PidsCgroup;
use crate::machine::process;
use crate::observe::Observation;

/// An outcome has one histogram for each row; more than this is no outcome.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How often the subject is looked at while it runs by itself.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// While the next step waits for the subject, a trial's overhead is made of these.
const WATCH_EVERY: Duration = Duration::from_micros(200);

/// How long the end of a process may take to follow that of its connections.
const FAREWELL: Duration = Duration::from_millis(300);

/// What a look at a trial comes to.
enum Look<T> {
    Done(T),
    /// Nothing yet; look again after this long, or when somebody says something.
    Again(Duration),
}

/// What one trial may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For becoming ready, and again for the outcome after the window.
    pub answer: Duration,
    pub rss_bytes: u64,
    pub output_bytes: u64,
}

/// One trial to be run.
pub struct Order<'a> {
    /// This very program.
    pub executable: &'a Path,
    pub library: &'a Path,
    pub plan: &'a Plan,
    pub load: Option<LoadShape>,
    pub cpus: &'a Division,
    pub warmup: Duration,
    pub measure: Duration,
    /// Count system calls instead of being careful not to disturb: a trial of no figures.
    pub gather_evidence: bool,
    pub limits: Limits,
}

/// What the driver is to do, as the scenario says it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadShape {
    pub connections: u32,
    pub message_bytes: usize,
    pub rate_per_sec: Option<u64>,
}

/// How a trial ended.
pub enum Ended {
    Measured(Box<Measured>),
    Unmeasured { status: Status, reason: String },
    Interrupted,
}

/// What is known of a trial that came to its end.
pub struct Measured {
    pub findings: Findings,
    pub load: Option<Load>,
    pub window_ns: u64,
    /// See [`Headway`].
    pub progress: Vec<(u64, u64)>,
    pub observation: Observation,
    pub stalls: Stalls,
    pub loops: u64,
    pub rss: Rss,
    pub noise: Option<Noise>,
}

/// Why a trial cannot go on.
enum Stop {
    Interrupted,
    Because(Status, String),
}

fn because(status: Status, reason: impl Into<String>) -> Stop {
    Stop::Because(status, reason.into())
}

/// Runs a trial, start to end.
pub fn run(order: &Order) -> Ended {
    let cgroup = PidsCgroup::create();
    let ended = match Trial::start(order) {
        Ok(mut trial) => trial.conduct(order, cgroup.as_ref()),
        Err(error) => {
            let reason = format!("the subject's process could not be started: {error}");
            Err(because(Status::Unmeasured, reason))
        }
    };
    crate::machine::orphans::end_all();
    // Only now it is empty.
    drop(cgroup);
    match ended {
        Ok(measured) => Ended::Measured(Box::new(measured)),
        Err(Stop::Interrupted) => Ended::Interrupted,
        Err(Stop::Because(status, reason)) => Ended::Unmeasured { status, reason },
    }
}

/// The processes of a trial. Dropping it ends them.
struct Trial {
    memory: BoardMemory,
    child: Child,
    answer: Stream<PipeReader>,
    stdout: Stream<ChildStdout>,
    stderr: Stream<ChildStderr>,
    driver: Option<Driver>,
    limits: Limits,
    rss_looked_at: Instant,
    /// Whether the subject was told to stop, so that its outcome is due.
    outcome_is_due: bool,
}

impl Trial {
    fn start(order: &Order) -> std::io::Result<Self> {
        let memory = BoardMemory::create()?;
        let (answer, answer_end) = std::io::pipe()?;
        let board = memory.pass_on()?;
        // A duplicate that survives exec; both are closed here as soon as the child has them.
        let answer_end = rustix::io::dup(&answer_end)?;
        let mut child = Command::new(order.executable)
            .arg("__trial")
            .arg(order.library)
            .args(["--answer", &answer_end.as_raw_fd().to_string()])
            .args(["--board", &board.number().to_string()])
            .args(["--cpus", &comma_separated(&order.cpus.subject)])
            .args(["--parent", &std::process::id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // So that it can be ended with all it starts, and ^C reaches the harness only.
            .process_group(0)
            .spawn()?;
        drop((answer_end, board));
        let plan = serde_json::to_vec(order.plan)?;
        let mut stdin = child.stdin.take().expect("standard input was asked for");
        // Should the child be gone already, that is found out in a moment.
        let _ = stdin.write_all(&plan);
        drop(stdin);
        let stdout = child.stdout.take().expect("standard output was asked for");
        let stderr = child.stderr.take().expect("standard error was asked for");
        Ok(Self {
            memory,
            answer: Stream::new(answer, Keep::Line { bytes_max: ANSWER_BYTES_MAX })?,
            stdout: Stream::new(stdout, Keep::Tail)?,
            stderr: Stream::new(stderr, Keep::Tail)?,
            child,
            driver: None,
            limits: order.limits,
            rss_looked_at: Instant::now(),
            outcome_is_due: false,
        })
    }

    fn board(&self) -> &Board {
        self.memory.board()
    }

    /// The whole course of a trial.
    fn conduct(&mut self, order: &Order, cgroup: Option<&PidsCgroup>) -> Result<Measured, Stop> {
        let limit = self.limits.answer;
        let controls = self.wait_ready(limit)?;
        let connected = self.connect(&controls);
        let mut controls = self.unless_it_has_ended(connected)?;
        if let Some(shape) = order.load {
            let started = self.start_load(order, shape);
            self.unless_it_has_ended(started)?;
        }
        let pid = self.child.id();
        let rss_start = process::rss_bytes(pid).unwrap_or(0);

        // Work of a fixed amount is measured from its very beginning.
        let fixed_work =
            order.plan.groups.iter().any(|group| matches!(group.pace, Pace::Repeat { .. }));
        if !fixed_work {
            self.board().enter(Phase::Warmup, stamp());
            tell(&mut controls, Message::Go);
            self.wait(order.warmup, |_| Look::<()>::Again(LOOK_EVERY))?;
        }
        let mut observation = Observation::begin(pid, cgroup, order.gather_evidence);
        let weather = NoiseWatch::begin(pid, self.driver.as_ref().map(Driver::id), order.cpus);
        let opened = Moment::now();
        self.board().enter(Phase::Measuring, opened.stamp);
        let mut headway = Headway::begin(self.board(), order.plan, order.measure);
        observation.window_opens();
        if fixed_work {
            tell(&mut controls, Message::Go);
        }
        let mut pacer = Pacer::new(order.plan.seed);
        let mut glances = Glances::default();
        let mut look_due = Instant::now();
        self.wait(order.measure, |trial| {
            if fixed_work && trial.board().is_finished() {
                return Look::Done(());
            }
            // What is counted should be the workload's alone.
            let until_ping = match order.gather_evidence {
                true => LOOK_EVERY,
                false => pacer.ping(&mut controls),
            };
            if Instant::now() >= look_due {
                look_due = Instant::now() + LOOK_EVERY;
                observation.look(trial.board());
                glances.look(trial.board(), order.plan, pid);
                headway.look(trial.board());
            }
            Look::Again(until_ping.min(look_due.saturating_duration_since(Instant::now())))
        })?;
        let closed = Moment::now();
        self.board().enter(Phase::Over, closed.stamp);
        let progress = headway.end(self.board());
        observation.window_closes(self.board(), cgroup);
        let noise = weather.end();
        // The kernel counts in batches, for each CPU: its peak may be below what it said before.
        let peak = process::rss_peak_bytes(pid).unwrap_or(rss_start).max(rss_start);
        let rss = Rss { start: rss_start, peak };

        let load = self.take_load(limit);
        let load = self.unless_it_has_ended(load)?;
        self.outcome_is_due = true;
        tell(&mut controls, Message::Stop);
        let findings = self.take_outcome(limit);
        let findings = self.unless_it_has_ended(findings)?;
        let stalls = stalls::read(self.board(), order.plan, glances);
        let loops = self.board().loops_peak();
        if let Some(reason) = moment::contradiction(opened, closed, order.plan.clock) {
            return Err(because(Status::Unmeasured, reason));
        }
        let window_ns = order.plan.clock.ns_between(opened.stamp, closed.stamp);
        Ok(Measured { findings, load, window_ns, progress, observation, stalls, loops, rss, noise })
    }

    fn wait_ready(&mut self, limit: Duration) -> Result<Vec<u16>, Stop> {
        self.wait_for(limit, |trial| trial.board().control_ports())?.ok_or_else(|| {
            because(
                Status::TimedOut,
                format!("was not ready {}{}", within(limit), self.last_words()),
            )
        })
    }

    fn connect(&mut self, ports: &[u16]) -> Result<Vec<TcpStream>, Stop> {
        let connect = |port: &u16| -> std::io::Result<TcpStream> {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
            stream.set_nodelay(true)?;
            // A subject that does not read must not hold up its parent.
            stream.set_nonblocking(true)?;
            Ok(stream)
        };
        ports.iter().map(connect).collect::<Result<_, _>>().map_err(|error| {
            because(Status::Failed, format!("its control connection was refused: {error}"))
        })
    }

    fn start_load(&mut self, order: &Order, shape: LoadShape) -> Result<(), Stop> {
        let load_order = LoadOrder {
            port: self.board().server_port(),
            connections: shape.connections,
            message_bytes: shape.message_bytes,
            rate_per_sec: shape.rate_per_sec,
            seed: order.plan.seed,
            clock: order.plan.clock,
            cpus: order.cpus.driver.clone(),
            connect_limit_ns: self.limits.answer.as_nanos() as u64,
            board_fd: 0,
            parent: 0,
        };
        let driver = Driver::spawn(order.executable, &load_order, &self.memory)
            .map_err(|error| because(Status::Unmeasured, error.to_string()))?;
        self.driver = Some(driver);
        let limit = self.limits.answer + Duration::from_secs(2);
        match self.hear_driver(limit)? {
            Some(Report::Connected(count)) if count == shape.connections => Ok(()),
            Some(Report::Connected(count)) => Err(because(
                Status::Failed,
                format!("only {count} of {} connections were accepted", shape.connections),
            )),
            _ => Err(because(
                Status::TimedOut,
                format!("the connections could not be opened {}", within(limit)),
            )),
        }
    }

    /// The driver's next word.
    fn hear_driver(&mut self, limit: Duration) -> Result<Option<Report>, Stop> {
        self.wait_for(limit, |trial| {
            trial.driver.as_mut().and_then(|driver| driver.try_read().transpose())
        })?
        .transpose()
        .map_err(|error| because(Status::Unmeasured, error.to_string()))
    }

    fn take_load(&mut self, limit: Duration) -> Result<Option<Load>, Stop> {
        if self.driver.is_none() {
            return Ok(None);
        }
        match self.hear_driver(limit)? {
            Some(Report::Finished(load)) => Ok(Some(*load)),
            _ => Err(because(Status::Unmeasured, "the load driver gave no result")),
        }
    }

    fn take_outcome(&mut self, limit: Duration) -> Result<Findings, Stop> {
        match self.wait_for(limit, |trial| trial.answer.line())? {
            Some(line) => match read_outcome(&line)? {
                Outcome::Finished(findings) => Ok(findings),
                Outcome::Unsupported { reason } => Err(because(Status::Unsupported, reason)),
                Outcome::Failed { reason } => Err(because(Status::Failed, reason)),
            },
            None => Err(because(
                Status::TimedOut,
                format!(
                    "did not end {} after its time was over{}",
                    within(limit),
                    self.last_words()
                ),
            )),
        }
    }

    /// Waits for something of the subject, looking for it often.
    fn wait_for<T>(
        &mut self,
        limit: Duration,
        mut found: impl FnMut(&mut Trial) -> Option<T>,
    ) -> Result<Option<T>, Stop> {
        self.wait(limit, |trial| found(trial).map_or(Look::Again(WATCH_EVERY), Look::Done))
    }

    /// Waits until `look` is done, at most for `limit`, and stops when the subject misbehaves.
    fn wait<T>(
        &mut self,
        limit: Duration,
        mut look: impl FnMut(&mut Trial) -> Look<T>,
    ) -> Result<Option<T>, Stop> {
        let end = Instant::now() + limit;
        loop {
            self.look_after()?;
            let again = match look(self) {
                Look::Done(result) => return Ok(Some(result)),
                Look::Again(time) => time,
            };
            self.check_alive()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.rest(left.min(again));
        }
    }

    /// Takes what was said and holds the subject to its limits.
    fn look_after(&mut self) -> Result<(), Stop> {
        if interrupt::requested() {
            return Err(Stop::Interrupted);
        }
        self.answer.listen();
        self.stdout.listen();
        self.stderr.listen();
        let printed = self.stdout.total() + self.stderr.total();
        if printed > self.limits.output_bytes {
            let limit = self.limits.output_bytes >> 20;
            return Err(because(
                Status::Failed,
                format!("printed more than {limit} MiB and was stopped"),
            ));
        }
        if self.rss_looked_at.elapsed() >= LOOK_EVERY {
            self.rss_looked_at = Instant::now();
            let rss = process::rss_bytes(self.child.id()).unwrap_or(0);
            if rss > self.limits.rss_bytes {
                let limit = self.limits.rss_bytes >> 20;
                return Err(because(
                    Status::Failed,
                    format!("used more than {limit} MiB of memory and was stopped"),
                ));
            }
        }
        Ok(())
    }

    /// A subject that dies closes its connections first: what goes wrong with them then is only
    /// how its end is noticed, and half an outcome is none. So a failure waits a moment for it.
    fn unless_it_has_ended<T>(&mut self, done: Result<T, Stop>) -> Result<T, Stop> {
        let Err(stop) = done else { return done };
        if !matches!(stop, Stop::Because(Status::Failed | Status::Unmeasured, _)) {
            return Err(stop);
        }
        let end = Instant::now() + FAREWELL;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.answer.listen();
                let half_said = |line: &str| signals::was_killed(status) && is_cut_off(line);
                if self.answer.line().is_some_and(|line| !half_said(&line)) {
                    break;
                }
                return Err(self.crashed(&signals::ending(status)));
            }
            std::thread::sleep(WATCH_EVERY);
        }
        Err(stop)
    }

    fn crashed(&mut self, ending: &str) -> Stop {
        self.stderr.listen();
        self.stdout.listen();
        let reason = format!("{ending} and left no outcome{}", self.last_words());
        because(Status::Crashed, reason)
    }

    /// A subject that has ended, or has said that it will not run, ends the trial.
    fn check_alive(&mut self) -> Result<(), Stop> {
        let ended = match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(signals::ending(status)),
            Err(error) => Some(format!("could not be watched: {error}")),
        };
        if ended.is_some() {
            // What it said last may still be on its way through the pipes.
            self.answer.listen();
            self.stderr.listen();
            self.stdout.listen();
        }
        if let Some(line) = self.answer.line() {
            if self.outcome_is_due {
                return Ok(());
            }
            return match read_outcome(&line)? {
                Outcome::Unsupported { reason } => Err(because(Status::Unsupported, reason)),
                Outcome::Failed { reason } => Err(because(Status::Failed, reason)),
                Outcome::Finished(_) => {
                    Err(because(Status::Failed, "handed in its outcome before it was asked"))
                }
            };
        }
        match ended {
            None => Ok(()),
            Some(ending) => Err(self.crashed(&ending)),
        }
    }

    /// Its last line on standard error or output, for the end of a reason.
    fn last_words(&mut self) -> String {
        let words = self.stderr.last_words().or_else(|| self.stdout.last_words());
        words.map_or_else(String::new, |words| format!("; its last words: {words}"))
    }

    /// Sleeps until somebody says something.
    fn rest(&self, time: Duration) {
        fn add<'a>(waiting: &mut Vec<PollFd<'a>>, source: Option<BorrowedFd<'a>>) {
            waiting.extend(source.map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN)));
        }
        let mut waiting = Vec::with_capacity(4);
        add(&mut waiting, self.answer.source().map(AsFd::as_fd));
        add(&mut waiting, self.stdout.source().map(AsFd::as_fd));
        add(&mut waiting, self.stderr.source().map(AsFd::as_fd));
        add(&mut waiting, self.driver.as_ref().map(AsFd::as_fd));
        let time = rustix::event::Timespec {
            tv_sec: time.as_secs() as i64,
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        // Interrupted or not, the caller looks again.
        let _ = poll(&mut waiting, Some(&time));
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // The driver first: it would take a dying subject for a failing one.
        self.driver = None;
        if let Some(group) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tell(controls: &mut [TcpStream], message: Message) {
    for control in controls {
        // A root that does not listen any more is noticed by the outcome that is missing.
        let _ = control.write_all(&message.encode());
    }
}

fn read_outcome(line: &str) -> Result<Outcome, Stop> {
    if let Some(reason) = line.strip_prefix(NOT_LOADED) {
        return Err(because(Status::Unmeasured, reason));
    }
    serde_json::from_str(line).map_err(|_| {
        let begin: String = line.chars().take(60).collect();
        because(Status::Failed, format!("handed in something that is no outcome: {begin:?}"))
    })
}

fn is_cut_off(line: &str) -> bool {
    !line.starts_with(NOT_LOADED) && read_outcome(line).is_err()
}

fn comma_separated(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

pub(super) fn within(limit: Duration) -> String {
    format!("within {} s", (limit.as_millis() as f64 / 1_000.0 * 10.0).round() / 10.0)
}
