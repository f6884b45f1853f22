//! What each kind of task does.
//!
//! A panic never leaves a task.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::{Duration, Instant};

use crate::board::TOKEN_BYTES;
use crate::clock::{Stamp, stamp};
use crate::control::Message;
use crate::links::Idle;
use crate::ping_pong::Side;
use crate::plain_calls;
use crate::plan::Pace;
use crate::player::Player;
use crate::player::echo::echo;
use crate::runtime::{Place, Runtime, Task, Work, launch, waiting};
use crate::scene::{MANY_OPERATIONS, Scene};

/// After the window: a file that is still being written could not be compared.
const WRITES_END_WITHIN: Duration = Duration::from_millis(100);

impl<R: Runtime> Task<R> {
    /// The future that an adapter passes to its runtime.
    pub async fn run(self) {
        let Task { unended, runtime, idle, work } = self;
        let scene = unended.0;
        #[cfg(feature = "checks")]
        let work = match work {
            // Neither measured nor caught: what a panic does is one of the questions. Boxed, so
            // that no task is larger for it.
            Work::Check(part) => return Box::pin(part.run(scene, runtime)).await,
            Work::CheckRead(reader) => return Box::pin(reader.run::<R>()).await,
            Work::CheckShared(part) => return Box::pin(part.run::<R>()).await,
            work => work,
        };
        let work = pin!(perform(scene, runtime, idle, work));
        if let Err(panic) = scene.meter().metered(work).await {
            scene.faults.panic(&panic);
        }
        unended.ended();
    }
}

async fn perform<R: Runtime>(
    scene: &'static Scene,
    runtime: R,
    idle: Idle<R::Stream>,
    work: Work<R>,
) {
    match work {
        Work::Control { listener, root, roots, alive } => {
            control(scene, runtime, idle, listener, root, roots).await;
            drop(alive);
        }
        Work::Accept { listener } => accept(scene, runtime, idle, listener).await,
        Work::Serve { mut stream } => {
            let Some(server) = &scene.plan().server else { return };
            if !is_driver::<R>(scene, &mut stream).await {
                return;
            }
            if scene.plan().serves_plain_echo() {
                if let Err(ending) = echo::<R>(scene, stream, server).await {
                    ending.count(scene);
                }
            } else {
                let player = Player::new(scene, runtime, Place::CONNECTION, Some(stream));
                serve(scene, player.with(idle), server.program).await;
            }
        }
        Work::Member { group, index } => member(scene, runtime, idle, group, index).await,
        Work::Child { program, place, alive } => {
            Player::new(scene, runtime, place, None).with(idle).play_once(program).await;
            drop(alive);
        }
        Work::Partner { exchange, rounds } => {
            if let Err(wrong) = exchange.run(Side::Partner, rounds).await {
                scene.faults.wrong_answer(wrong);
            }
        }
        // They have run without this function.
        Work::Check(_) | Work::CheckRead(_) | Work::CheckShared(_) => {}
    }
}

async fn control<R: Runtime>(
    scene: &'static Scene,
    runtime: R,
    idle: Idle<R::Stream>,
    mut listener: R::Listener,
    root: usize,
    roots: usize,
) {
    let stream = loop {
        match waiting!(R, scene, R::accept(&mut listener)) {
            Ok(stream) => {
                let peer_port = plain_calls::peer_port(R::descriptor(&stream));
                if scene.is_parent(root, peer_port) {
                    break stream;
                }
            }
            Err(error) => {
                let text = format!("the control connection was not accepted: {error}");
                return scene.count_error(text);
            }
        }
    };
    let mut parent = Player::of_control(scene, runtime.clone(), stream);
    // If the parent disconnects, the outcome is not needed.
    while let Some(message) = parent.next_message().await {
        match Message::decode(&message) {
            Some(Message::Go) => start_groups(scene, &runtime, idle, root, roots),
            Some(Message::Stop) => {
                parent.check_whole_files(root, roots).await;
                let over = Instant::now();
                while scene.written().is_being_written() && over.elapsed() < WRITES_END_WITHIN {
                    R::step_aside().await;
                }
                for wrong in scene.written().check_and_remove() {
                    scene.faults.wrong_answer(wrong);
                }
                return scene.close_root();
            }
            Some(Message::Ping(sent)) => scene.answer_ping(sent),
            Some(Message::Canary) => scene.stall_as_canary(),
            None => scene.count_error("the parent sent a word that is not known".to_owned()),
        }
    }
}

/// Starts this root's share of every group.
fn start_groups<R: Runtime>(
    scene: &'static Scene,
    runtime: &R,
    idle: Idle<R::Stream>,
    root: usize,
    roots: usize,
) {
    for (group, description) in scene.plan().groups.iter().enumerate() {
        for index in (root as u32..description.count).step_by(roots) {
            if !R::CALLS_BLOCK {
                scene.count_launched_member(group);
            }
            launch(scene, runtime, idle, Work::Member { group, index });
        }
    }
}

async fn accept<R: Runtime>(
    scene: &'static Scene,
    runtime: R,
    idle: Idle<R::Stream>,
    mut listener: R::Listener,
) {
    loop {
        match waiting!(R, scene, R::accept(&mut listener)) {
            Ok(stream) => {
                scene.count_accepted();
                launch(scene, &runtime, idle, Work::Serve { stream });
            }
            Err(error) => {
                scene.count_error(format!("accepting a connection failed: {error}"));
                // Probably out of descriptors: retrying at once would only spin.
                return;
            }
        }
    }
}

/// Reads the driver's token, and no byte of the requests that follow it.
async fn is_driver<R: Runtime>(scene: &'static Scene, stream: &mut R::Stream) -> bool {
    let mut token = vec![0; TOKEN_BYTES];
    let mut filled = 0;
    while filled < TOKEN_BYTES {
        match waiting!(R, scene, R::read(stream, &mut token, filled..TOKEN_BYTES)) {
            Ok(0) | Err(_) => break,
            Ok(count) => filled += count,
        }
    }
    scene.is_driver(&token[..filled])
}

async fn serve<R: Runtime>(scene: &'static Scene, mut player: Player<R>, program: usize) {
    if let Err(ending) = player.play(program, true).await {
        ending.count(scene);
    }
}

async fn member<R: Runtime>(
    scene: &'static Scene,
    runtime: R,
    idle: Idle<R::Stream>,
    group: usize,
    index: u32,
) {
    let description = &scene.plan().groups[group];
    let place = Place::member(index, description.count);
    let mut player = Player::new(scene, runtime.clone(), place, None).with(idle);
    let mut done = 0;
    let mut due = stamp();
    // Where a task is a thread, the system decides when it runs.
    if !R::CALLS_BLOCK {
        scene.count_begun_member(group);
    }
    while !scene.board().is_over() {
        match description.pace {
            Pace::BackToBack => due = stamp(),
            Pace::Repeat { times } if done == times => return scene.count_finished_task(),
            Pace::Repeat { .. } => due = stamp(),
            Pace::Every { ns } => due = next_due::<R>(scene, &runtime, due, ns).await,
        }
        let flight = scene.begin_operation(group);
        let mut waited = false;
        let ended = {
            let mut operation = pin!(player.play(description.program, false));
            poll_fn(|context| {
                let polled = operation.as_mut().poll(context);
                waited |= polled.is_pending();
                polled
            })
            .await
        };
        scene.end_operation(group, flight, due, ended.is_ok());
        if let Err(ending) = ended {
            ending.count(scene);
        }
        done += 1;
        if done == MANY_OPERATIONS {
            scene.note_many_operations(group);
        }
        // An operation that never waited has not yielded, and the next one follows at once.
        if !waited && !R::CALLS_BLOCK {
            R::step_aside().await;
        }
    }
}

/// Sleeps until the next operation of an open loop is due, unless that has passed.
async fn next_due<R: Runtime>(
    scene: &'static Scene,
    runtime: &R,
    last_due: Stamp,
    period_ns: u64,
) -> Stamp {
    let clock = scene.plan().clock;
    let due = last_due + clock.ticks(period_ns);
    let ahead = clock.ns_between(stamp(), due);
    if ahead > 0 {
        let time = Duration::from_nanos(ahead);
        waiting!(R, scene, runtime.sleep(time));
    }
    due
}
