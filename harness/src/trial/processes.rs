//! The processes of a trial: the subject's and, where there is a load, the driver's.
//!
//! Starts them, hears them, holds them to their limits, and ends everything it has started. It
//! never measures.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{PipeReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quadrant_reports::record::Status;
use quadrant_suite::board::Board;
use quadrant_suite::control::Message;
use quadrant_suite::outcome::{Findings, Outcome};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::inside::NOT_LOADED;
use super::order::{Limits, LoadShape, Order};
use super::signals;
use super::talk::{Keep, Stream};
use crate::driver::order::{Load, Order as LoadOrder, Report};
use crate::driver::pacer::send_ping;
use crate::driver::process::Driver;
use crate::fixtures::CacheDropper;
use crate::system::board_memory::BoardMemory;
use crate::system::interrupt;
use crate::system::passed_on::PassedOn;
use crate::system::starvation::Stretch;
use crate::system::{affinity, freezing, process};

/// An outcome has one histogram for each row; more than this is no outcome.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How often the subject's memory is looked at: nobody fills a machine in less.
const RSS_EVERY: Duration = Duration::from_millis(50);
/// How long the end of a process may take to follow that of its connections.
const FAREWELL: Duration = Duration::from_millis(300);
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// While the next step waits for the subject, a trial's overhead is made of these.
const WATCH_EVERY: Duration = Duration::from_micros(200);

/// What a look at a trial comes to.
pub enum Look<T> {
    Done(T),
    /// Nothing yet; look again after this long, or when somebody says something.
    Again(Duration),
}

/// Why a trial cannot go on.
pub enum Stop {
    Interrupted,
    Because(Status, String),
}

pub fn because(status: Status, reason: impl Into<String>) -> Stop {
    Stop::Because(status, reason.into())
}

/// The processes of a trial. Dropping it ends them.
pub struct Processes {
    memory: Arc<BoardMemory>,
    child: Child,
    /// Where files are to be cold.
    _cache_dropper: Option<CacheDropper>,
    answer: Stream<PipeReader>,
    stdout: Stream<ChildStdout>,
    stderr: Stream<ChildStderr>,
    driver: Option<Driver>,
    /// One connection to each root.
    controls: Vec<TcpStream>,
    limits: Limits,
    rss_looked_at: Instant,
    /// Whether somebody has said something that was not listened to yet.
    heard: bool,
    /// Whether the subject was told to stop, so that its outcome is due.
    outcome_is_due: bool,
}

impl Processes {
    /// Starts the subject, and the load once it is ready. Nothing moves before it is told to go.
    pub fn start(order: &Order) -> Result<Self, Stop> {
        let mut processes = Self::spawn(order).map_err(|error| {
            let reason = format!("the subject's process could not be started: {error}");
            because(Status::Unmeasured, reason)
        })?;
        let stretch = Stretch::begin(processes.pid());
        let ready = processes.get_ready(order);
        processes.unless_starved(ready, &stretch)?;
        Ok(processes)
    }

    fn get_ready(&mut self, order: &Order) -> Result<(), Stop> {
        let ports = self.wait_ready(order.limits.answer)?;
        let connected = self.connect(&ports);
        self.unless_it_has_ended(connected)?;
        let seen = self.try_instruments(order);
        self.unless_it_has_ended(seen)?;
        if let Some(shape) = order.load {
            let started = self.start_load(order, shape);
            self.unless_it_has_ended(started)?;
        }
        Ok(())
    }

    /// Tries the instruments that the trial is going to use, before anything else runs: a stall of
    /// known length on each root, and a ping to it. Where there is a load, the driver tries the ping.
    /// How long the subject takes is not judged.
    fn try_instruments(&mut self, order: &Order) -> Result<(), Stop> {
        let is_pinged = order.is_pinged() && order.load.is_none();
        if order.plan.metered {
            self.tell(Message::Canary);
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
                self.last_words()
            ),
        ))
    }

    fn spawn(order: &Order) -> std::io::Result<Self> {
        let memory = Arc::new(BoardMemory::create()?);
        // Random, and not from the run's seed: a stranger must not know it.
        memory.board().set_token(RandomState::new().build_hasher().finish());
        let (answer, answer_end) = std::io::pipe()?;
        let board = memory.pass_on()?;
        // Both are closed here as soon as the child has them.
        let answer_end = PassedOn::new(&answer_end)?;
        let forbidden = order.limits.forbidden.map(|forbidden| format!("--forbid={forbidden}"));
        let mut command = Command::new(order.executable);
        command.arg("__trial");
        order.memory.tell(&mut command);
        let mut child = command
            .arg(order.library)
            .args(["--answer", &answer_end.number().to_string()])
            .args(["--board", &board.number().to_string()])
            .args(["--cpus", &affinity::listed(&order.cpus.subject)])
            .args(["--parent", &std::process::id().to_string()])
            .args(forbidden)
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
        let cold = order.plan.files.as_ref().filter(|files| files.cold);
        let cache_dropper =
            cold.map(|files| CacheDropper::start(Arc::clone(&memory), files)).transpose()?;
        Ok(Self {
            memory,
            _cache_dropper: cache_dropper,
            answer: Stream::new(answer, Keep::Line { bytes_max: ANSWER_BYTES_MAX })?,
            stdout: Stream::new(stdout, Keep::Tail)?,
            stderr: Stream::new(stderr, Keep::Tail)?,
            child,
            driver: None,
            controls: Vec::new(),
            limits: order.limits,
            rss_looked_at: Instant::now(),
            heard: false,
            outcome_is_due: false,
        })
    }

    pub fn board(&self) -> &Board {
        self.memory.board()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn driver_pid(&self) -> Option<u32> {
        self.driver.as_ref().map(Driver::id)
    }

    pub fn controls(&mut self) -> &mut [TcpStream] {
        &mut self.controls
    }

    pub fn tell(&mut self, message: Message) {
        for control in &mut self.controls {
            // A root that does not listen any more is noticed by the outcome that is missing.
            let _ = control.write_all(&message.encode());
        }
    }

    /// Stops the subject and its driver where they are. The driver first, lest it take the
    /// pause for the subject's.
    pub fn freeze(&mut self) -> Result<(), Stop> {
        let freeze = |pid| freezing::freeze(pid).map_err(|error| unstoppable(&error));
        self.driver_pid().map_or(Ok(()), freeze)?;
        freeze(self.pid())
    }

    /// Lets both go on.
    pub fn thaw(&mut self) -> Result<(), Stop> {
        let thaw = |pid| freezing::thaw(pid).map_err(|error| unstoppable(&error));
        thaw(self.pid())?;
        self.driver_pid().map_or(Ok(()), thaw)
    }

    /// The driver's result and then the subject's outcome, once the board says that the window
    /// is over.
    pub fn finish(&mut self) -> Result<(Option<Load>, Findings), Stop> {
        let load = self.take_load();
        let load = self.unless_it_has_ended(load)?;
        self.outcome_is_due = true;
        self.tell(Message::Stop);
        let stretch = Stretch::begin(self.pid());
        let findings = self.take_outcome();
        let findings = self.unless_it_has_ended(findings);
        Ok((load, self.unless_starved(findings, &stretch)?))
    }

    fn wait_ready(&mut self, limit: Duration) -> Result<Vec<u16>, Stop> {
        self.wait_for(limit, |trial| trial.board().control_ports())?.ok_or_else(|| {
            because(
                Status::TimedOut,
                format!("was not ready {}{}", within(limit), self.last_words()),
            )
        })
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
            ping_fds: Vec::new(),
            parent: 0,
        };
        let pinged = if order.is_pinged() { &self.controls[..] } else { &[] };
        let driver = Driver::spawn(order.executable, &load_order, &self.memory, pinged)
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

    fn take_load(&mut self) -> Result<Option<Load>, Stop> {
        if self.driver.is_none() {
            return Ok(None);
        }
        match self.hear_driver(self.limits.answer)? {
            Some(Report::Finished(load)) => Ok(Some(*load)),
            _ => Err(because(Status::Unmeasured, "the load driver gave no result")),
        }
    }

    fn take_outcome(&mut self) -> Result<Findings, Stop> {
        let limit = self.limits.answer;
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
        mut found: impl FnMut(&mut Processes) -> Option<T>,
    ) -> Result<Option<T>, Stop> {
        self.wait(limit, |trial| found(trial).map_or(Look::Again(WATCH_EVERY), Look::Done))
    }

    /// Waits until `look` is done, at most for `limit`, and stops when the subject misbehaves.
    pub fn wait<T>(
        &mut self,
        limit: Duration,
        mut look: impl FnMut(&mut Processes) -> Look<T>,
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
        if std::mem::take(&mut self.heard) {
            self.answer.listen();
            self.stdout.listen();
            self.stderr.listen();
        }
        let printed = self.stdout.total() + self.stderr.total();
        if printed > self.limits.output_bytes {
            let limit = self.limits.output_bytes >> 20;
            return Err(because(
                Status::Failed,
                format!("printed more than {limit} MiB and was stopped"),
            ));
        }
        if self.rss_looked_at.elapsed() >= RSS_EVERY {
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

    /// A subject that used up its time without getting a CPU has not failed.
    fn unless_starved<T>(&self, done: Result<T, Stop>, stretch: &Stretch) -> Result<T, Stop> {
        match done {
            Err(Stop::Because(status @ (Status::Failed | Status::TimedOut), reason)) => {
                Err(match stretch.cause(self.limits.answer) {
                    Some(cause) => because(Status::Unmeasured, format!("{reason}; {cause}")),
                    None => Stop::Because(status, reason),
                })
            }
            done => done,
        }
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
    fn rest(&mut self, time: Duration) {
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
        self.heard = poll(&mut waiting, Some(&time)).is_ok_and(|ready| ready > 0);
    }
}

impl Drop for Processes {
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

/// Connects from a port that the root is told first, because it serves no other.
fn connect_to_root(board: &Board, root: usize, port: u16) -> std::io::Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

    let stream: TcpStream = socket(AddressFamily::INET, SocketType::STREAM, None)?.into();
    rustix::io::ioctl_fioclex(&stream)?;
    bind(&stream, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    board.publish_parent(root, stream.local_addr()?.port());
    // Where strangers fill the queue of the listener, connecting would last for minutes.
    stream.set_write_timeout(Some(CONNECT_LIMIT))?;
    connect(&stream, &SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    stream.set_nodelay(true)?;
    // A subject that does not read must not hold up its parent.
    stream.set_nonblocking(true)?;
    Ok(stream)
}

fn unstoppable(error: &std::io::Error) -> Stop {
    because(Status::Unmeasured, format!("could not be frozen and thawed: {error}"))
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

pub(super) fn within(limit: Duration) -> String {
    format!("within {} s", (limit.as_millis() as f64 / 1_000.0 * 10.0).round() / 10.0)
}
