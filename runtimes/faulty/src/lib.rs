//! An adapter that misbehaves on demand. Every fault is an executor, so a test selects it like any
//! subject: `faulty/<fault>/none` (the fault that claims a wrong backend has that backend's name).
//! Faults of the exported table are cargo features.
//!
//! Except for its fault it works like any adapter, and faults occur in the middle of a trial where
//! that makes sense. It is never part of a normal run.

mod fault;
mod operations;
mod process;
mod table;

use std::thread;
use std::time::Duration;

use quadrant_suite::block_on::block_on;
use quadrant_suite::board::{Phase, THREADED_TASKS_MAX};
use quadrant_suite::description::{Capability, Description, Executor, Topology, Workers};
use quadrant_suite::runtime::{Adapter, Refusal};
use quadrant_suite::scene::Scene;

use fault::Fault;
use operations::{Faulty, Handle};

impl Adapter for Faulty {
    fn describe() -> Description {
        if cfg!(feature = "describe-panics") {
            panic!("this adapter does not want to describe itself");
        }
        if cfg!(feature = "describe-hangs") {
            sleep_for_ever();
        }
        let executor = |fault: &Fault| Executor {
            executor: fault.name().to_owned(),
            backend: fault.claimed_backend().to_owned(),
            topology: Topology::Shared,
            workers: Workers::PerTask,
            capabilities: [
                Capability::Echo,
                Capability::Tcp,
                Capability::Tasks,
                Capability::Timers,
                Capability::Files,
                Capability::WriteFiles,
                Capability::Offload,
            ]
            .into(),
            tasks_max: Some(THREADED_TASKS_MAX),
            memlock_bytes_min: 0,
        };
        Description {
            runtime: "faulty".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            note: Some("misbehaves on purpose, for tests".to_owned()),
            executors: Fault::ALL.iter().map(executor).collect(),
        }
    }

    fn run(scene: &'static Scene) -> Result<(), Refusal> {
        let fault = Fault::named(&scene.plan().executor).ok_or_else(|| scene.unknown_executor())?;
        match fault {
            Fault::Refuses => {
                let reason = "this fault refuses every plan; choose `behaves` to run one";
                return Err(Refusal::Unsupported(reason.to_owned()));
            }
            Fault::Fails => {
                return Err(Refusal::Failed("this fault fails every plan".to_owned()));
            }
            Fault::ReturnsEarly => return Ok(()),
            Fault::Deadlocks => sleep_for_ever(),
            Fault::DiesWhenReady => process::die_when_ready(scene),
            _ => {}
        }
        let faulty = Faulty { scene, fault };
        let root = thread::spawn(move || match fault.is_of_non_blocking() {
            true => block_on(scene.root(Handle::<false>(faulty))),
            false => block_on(scene.root(Handle::<true>(faulty))),
        });
        if let Some(strike) = process::strike_of(fault) {
            await_measuring(scene);
            strike();
        }
        root.join().map_err(|_| Refusal::Failed("the root panicked".to_owned()))
    }
}

fn sleep_for_ever() -> ! {
    loop {
        thread::park();
    }
}

/// Waits until the trial has been running for a while.
fn await_measuring(scene: &Scene) {
    while scene.board().phase() < Phase::Measuring {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(20));
}
