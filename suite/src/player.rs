//! The player: runs the steps of a program and holds the state of one task.
//!
//! Programs are flat, so the player is a loop and never recursive: a recursive future would have to
//! be boxed, and the box would have to fix whether it is `Send`.

mod attempts;
mod cancelling;
mod connection;
pub(crate) mod echo;
mod files;
mod query;
mod requests;
mod sharing;

use std::future::{Future, poll_fn};
use std::io;
use std::mem::take;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Stamp, stamp};
use crate::hash::Hash;
use crate::injection;
use crate::links::Idle;
use crate::ping_pong::{Exchange, Side};
use crate::plain_calls;
use crate::plan::{Action, How};
use crate::runtime::{Place, Runtime, Task, Work, waiting};
use crate::scene::Scene;
use attempts::looks;
use requests::Requests;

/// Why a program did not run to its end.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The peer closed the connection between two requests.
    Closed,
    Error(String),
    WrongAnswer(String),
}

impl Ending {
    pub(crate) fn count(self, scene: &Scene) {
        match self {
            Ending::Closed => {}
            Ending::Error(text) => scene.faults.error(text),
            Ending::WrongAnswer(text) => scene.faults.wrong_answer(text),
        }
    }

    fn error(step: &str, error: &io::Error) -> Self {
        Ending::Error(format!("{step}: {error}"))
    }
}

/// A `repeat` in progress: its range of steps, and how many passes are left.
struct Round {
    first: usize,
    end: usize,
    left: u64,
}

pub(crate) struct Player<R: Runtime> {
    scene: &'static Scene,
    runtime: R,
    place: Place,
    idle: Idle<R::Stream>,
    stream: Option<R::Stream>,
    requests: Requests,
    spawned: Vec<R::Join>,
    /// Some of these tasks hold it too, until they have ended. Made for the first.
    alive: Option<Arc<()>>,
    rounds: Vec<Round>,
    /// Starts of the named compound steps in progress.
    opened: Vec<(usize, Stamp)>,
    /// How many files this task has read.
    files_read: u64,
    chance: u64,
}

impl<R: Runtime> Player<R> {
    pub(crate) fn new(
        scene: &'static Scene,
        runtime: R,
        place: Place,
        stream: Option<R::Stream>,
    ) -> Self {
        let requests = match (&stream, &scene.plan().server) {
            (Some(_), Some(server)) => Requests::of(server),
            _ => Requests::none(),
        };
        Self {
            scene,
            runtime,
            place,
            idle: Idle::NONE,
            stream,
            requests,
            spawned: Vec::new(),
            alive: None,
            rounds: Vec::new(),
            opened: Vec::new(),
            files_read: 0,
            chance: scene.plan().seed ^ (u64::from(place.index) << 32) ^ 0x9E37_79B9_7F4A_7C15,
        }
    }

    /// With its root's connections to backends.
    pub(crate) fn with(self, idle: Idle<R::Stream>) -> Self {
        Self { idle, ..self }
    }

    /// For a program that runs inside of a step of this task. It has no connection.
    fn inner(&mut self) -> Self {
        let chance = self.draw();
        let inner = Self::new(self.scene, self.runtime.clone(), self.place, None);
        Self { idle: self.idle, files_read: self.files_read, chance, ..inner }
    }

    /// Runs a program once and counts its error, if any.
    pub(crate) async fn play_once(mut self, program: usize) {
        if let Err(ending) = self.play(program, false).await {
            ending.count(self.scene);
        }
    }

    /// Runs a program from its first step to its last; with `forever` again and again until a step
    /// fails.
    pub(crate) async fn play(&mut self, program: usize, forever: bool) -> Result<(), Ending> {
        let steps = &self.scene.plan().programs[program];
        let mut at = 0;
        loop {
            while let Some(round) = self.rounds.last_mut().filter(|round| round.end == at) {
                round.left -= 1;
                if round.left > 0 {
                    at = round.first;
                } else {
                    self.rounds.pop();
                }
            }
            let Some(step) = steps.get(at) else {
                if forever {
                    at = 0;
                    continue;
                }
                return Ok(());
            };
            at += 1;
            match &step.action {
                Action::Repeat { times, length } => {
                    self.rounds.push(Round { first: at, end: at + length, left: *times });
                }
                Action::Open { row } => self.opened.push((*row, stamp())),
                Action::Close { row } => self.close(*row),
                action => {
                    let started = step.row.map(|row| (row, stamp()));
                    if let Err(ending) = self.step(action).await {
                        self.rounds.clear();
                        self.opened.clear();
                        return Err(ending);
                    }
                    if let Some((row, started)) = started {
                        self.scene.record_row(row, started);
                    }
                }
            }
        }
    }

    /// Performs one step in its way.
    pub(crate) async fn step(&mut self, action: &'static Action) -> Result<(), Ending> {
        // The steps of every request are part of the task's own future. The futures of the others
        // are many times larger, so they are boxed: otherwise every task would contain them, and
        // move them at every step.
        match action {
            Action::Recv { how } if how.is_direct() => self.receive(*how).await,
            Action::Send { how } if how.is_direct() => self.send(*how).await,
            Action::Yield => self.yield_now().await,
            action if action.how() == Some(How::Forced) => {
                R::wait_here(Box::pin(self.perform(action)))
            }
            action => Box::pin(self.perform(action)).await,
        }
    }

    fn close(&mut self, row: usize) {
        if let Some((opened, started)) = self.opened.pop() {
            debug_assert_eq!(opened, row, "compound steps close in the order they were opened");
            self.scene.record_row(row, started);
        }
    }

    /// The steps that are not done for every request.
    async fn perform(&mut self, action: &'static Action) -> Result<(), Ending> {
        match action {
            Action::Sleep { ns, how } => self.sleep(Duration::from_nanos(*ns), *how).await,
            Action::Cpu { ns, how } => {
                let time = Duration::from_nanos(*ns);
                self.here_or_offloaded("cpu", *how, move || plain_calls::use_cpu(time)).await
            }
            Action::Hash { hash, expected, how } => self.hash(*hash, *expected, *how).await,
            Action::ReadFile { file, how } => self.read_file(*file, *how).await,
            Action::WriteFile { bytes, sync, how } => self.write_file(*bytes, *sync, *how).await,
            Action::Query(query) => self.query(query).await,
            Action::Connect { backend, how, row } => self.connect(*backend, *how, *row).await,
            Action::Spawn { program, count } => {
                self.spawned.reserve(*count as usize);
                for index in 0..*count {
                    let place = Place::member(index, *count);
                    self.spawn(*program, place);
                }
                Ok(())
            }
            Action::Join { how } => self.join(*how).await,
            Action::Gather { programs } => {
                let earlier = (take(&mut self.spawned), self.alive.take());
                for (index, &program) in programs.iter().enumerate() {
                    self.spawn(program, Place::member(index as u32, programs.len() as u32));
                }
                let joined = self.join(How::Await).await;
                (self.spawned, self.alive) = earlier;
                joined
            }
            Action::PingPong { rounds } => self.ping_pong(*rounds).await,
            Action::Timeout { ns, program, row } => {
                self.timeout(Duration::from_nanos(*ns), *program, *row).await
            }
            Action::Race { programs, row } => self.race(programs, *row).await,
            Action::Lock { lock, program, row, how } => {
                self.lock(*lock, *program, *row, *how).await
            }
            Action::Barrier { barrier, row } => self.barrier(*barrier, *row).await,
            Action::SendTo { channel, first } => self.send_to(*channel, *first).await,
            Action::ReceiveFrom { channel, first } => self.receive_from(*channel, *first).await,
            Action::Inject { injections } => {
                // Boxed, so that the futures of the other steps stay small.
                Box::pin(injection::series(self.scene, &self.runtime, injections))
                    .await
                    .map_err(|error| Ending::error("inject", &error))
            }
            // The other ways are done by `step`, and the actions below by `play`.
            Action::Recv { how: How::Offload } => self.receive_offloaded().await,
            Action::Send { how: How::Offload } => self.send_offloaded().await,
            Action::Recv { how } => self.receive(*how).await,
            Action::Send { how } => self.send(*how).await,
            Action::Yield | Action::Repeat { .. } | Action::Open { .. } | Action::Close { .. } => {
                Ok(())
            }
        }
    }

    /// A yield that never returned `Pending` has let no task run: its time would be the best of all.
    /// One flag beside the future, and nothing that threads share.
    async fn yield_now(&mut self) -> Result<(), Ending> {
        let mut waited = R::CALLS_BLOCK;
        let mut yielded = pin!(self.runtime.yield_now());
        poll_fn(|context| {
            let polled = yielded.as_mut().poll(context);
            waited |= polled.is_pending();
            polled
        })
        .await;
        if waited {
            return Ok(());
        }
        let wrong = "yield: `yield_now` was ready at once, so it let no other task run";
        Err(Ending::WrongAnswer(wrong.to_owned()))
    }

    /// Only the first task and about one of 16 others hold `alive`: workers that all changed one
    /// count of references would cost as much as the spawning that is measured.
    fn spawn(&mut self, program: usize, place: Place) {
        let is_followed = self.alive.is_none() || self.draw().is_multiple_of(16);
        let alive = is_followed.then(|| Arc::clone(self.alive.get_or_insert_default()));
        let work = Work::Child { program, place, alive };
        let task = Task::new(self.scene, &self.runtime, work).with(self.idle);
        self.spawned.push(self.runtime.spawn(task));
    }

    /// Waits for all spawned tasks; those that hold `alive` must have ended then.
    async fn join(&mut self, how: How) -> Result<(), Ending> {
        let (spawned, alive) = (take(&mut self.spawned), self.alive.take());
        let count = spawned.len();
        for join in spawned {
            let joined = match how {
                How::Polling => looks::<R, _>(R::join(join)).await,
                _ => waiting!(R, self.scene, R::join(join)),
            };
            joined.map_err(|error| Ending::error("join", &error))?;
        }
        match alive.map_or(0, |alive| Arc::strong_count(&alive) - 1) {
            0 => Ok(()),
            left => Err(Ending::WrongAnswer(format!(
                "join: it returned before at least {left} of {count} spawned tasks had ended"
            ))),
        }
    }

    async fn ping_pong(&mut self, rounds: u32) -> Result<(), Ending> {
        let exchange = Exchange::new();
        let partner = Work::Partner { exchange: Arc::clone(&exchange), rounds };
        let partner = self.runtime.spawn(Task::new(self.scene, &self.runtime, partner));
        let exchanged = exchange.run(Side::Opener, rounds).await;
        waiting!(R, self.scene, R::join(partner))
            .map_err(|error| Ending::error("ping_pong", &error))?;
        exchanged.map_err(Ending::WrongAnswer)
    }

    async fn sleep(&mut self, time: Duration, how: How) -> Result<(), Ending> {
        match how {
            How::Await | How::Forced => waiting!(R, self.scene, self.runtime.sleep(time)),
            How::Polling => {
                let clock = self.scene.plan().clock;
                let end = stamp() + clock.ticks(time.as_nanos() as u64);
                while stamp() < end {
                    R::step_aside().await;
                }
            }
            _ => {
                let sleep = move || std::thread::sleep(time);
                return self.wait_here_or_offloaded("sleep", how, sleep).await;
            }
        }
        Ok(())
    }

    async fn hash(&mut self, hash: Hash, expected: u64, how: How) -> Result<(), Ending> {
        let seen = self.here_or_offloaded("hash", how, move || hash.answer()).await?;
        if seen != expected {
            let rounds = hash.rounds;
            return Err(Ending::WrongAnswer(format!(
                "hash: {rounds} rounds gave {seen:016x} instead of {expected:016x}"
            )));
        }
        Ok(())
    }

    /// A blocking call that waits. It is no stall for a runtime whose calls all block.
    async fn wait_here_or_offloaded<T: Send + 'static>(
        &mut self,
        step: &'static str,
        how: How,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Ending> {
        if R::CALLS_BLOCK && how != How::Offload {
            self.scene.meter().pause();
            let result = job();
            self.scene.meter().resume();
            return Ok(result);
        }
        self.here_or_offloaded(step, how, job).await
    }

    /// Blocking work, on this thread or on the runtime's pool.
    async fn here_or_offloaded<T: Send + 'static>(
        &mut self,
        step: &'static str,
        how: How,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Ending> {
        if how != How::Offload {
            return Ok(job());
        }
        waiting!(R, self.scene, self.runtime.offload(job))
            .map_err(|error| Ending::error(step, &error))
    }
}
