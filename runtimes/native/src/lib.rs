//! Hand-written echo servers, as users of each runtime would write them: without the suite's player,
//! poll wrapper and counters. They are the baseline for what the suite costs, so each has the same
//! executor, number of workers, sockets and buffer sizes as the adapter of its runtime. Only their
//! start and end use the scene.

mod on_async_std;
mod on_compio;
mod on_glommio;
mod on_mio;
mod on_monoio;
mod on_smol;
mod on_threads;
mod on_tokio;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use quadrant_suite::control::{MESSAGE_BYTES, Message};
use quadrant_suite::description::{Capability, Description, Executor, Topology, Workers};
use quadrant_suite::runtime::{Adapter, Refusal};
use quadrant_suite::scene::Scene;

quadrant_suite::export!(Native);

struct Native;

impl Adapter for Native {
    fn describe() -> Description {
        let executor = |executor: &str, backend: &str, topology, workers| Executor {
            executor: executor.to_owned(),
            backend: backend.to_owned(),
            topology,
            workers,
            capabilities: [Capability::Echo].into(),
            tasks_max: None,
            memlock_bytes_min: if executor == "glommio-per-core" { 512 * 1024 } else { 0 },
        };
        Description {
            runtime: "native".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            note: Some("echo servers written by hand, without the suite".to_owned()),
            executors: vec![
                executor("async-std-multi-thread", "epoll", Topology::Shared, Workers::Many),
                executor("compio-per-core", "io_uring", Topology::PerCore, Workers::Many),
                executor("glommio-per-core", "io_uring", Topology::PerCore, Workers::Many),
                executor("mio-callbacks", "epoll", Topology::Shared, Workers::One),
                executor("monoio-per-core", "io_uring", Topology::PerCore, Workers::Many),
                executor("smol-multi-thread", "epoll", Topology::Shared, Workers::Many),
                executor("smol-single-thread", "epoll", Topology::Shared, Workers::One),
                executor("threads", "blocking", Topology::Shared, Workers::PerTask),
                executor("tokio-current-thread", "epoll", Topology::Shared, Workers::One),
                executor("tokio-multi-thread", "epoll", Topology::Shared, Workers::Many),
            ],
        }
    }

    fn run(scene: &'static Scene) -> Result<(), Refusal> {
        let workers = scene.plan().workers as usize;
        match scene.plan().executor.as_str() {
            "async-std-multi-thread" => on_async_std::run(scene, workers),
            "compio-per-core" => on_compio::run(scene, workers),
            "glommio-per-core" => on_glommio::run(scene, workers),
            "mio-callbacks" => on_mio::run(scene),
            "monoio-per-core" => on_monoio::run(scene, workers),
            "smol-multi-thread" => on_smol::run(scene, Some(workers)),
            "smol-single-thread" => on_smol::run(scene, None),
            "threads" => on_threads::run(scene),
            "tokio-current-thread" => on_tokio::run(scene, None),
            "tokio-multi-thread" => on_tokio::run(scene, Some(workers)),
            _ => Err(scene.unknown_executor()),
        }
    }
}

/// A connection's buffer: a request and one spare byte. A read that does not fill it tells the
/// runtime that the socket is empty, which saves another call.
fn buffer_bytes(scene: &Scene) -> usize {
    scene.plan().server.as_ref().map_or(0, |server| server.message_bytes) + 1
}

/// A port of the system's choice.
const ANY: SocketAddr = local(0);

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Listens on the port that all workers share; the system chooses it for the first one.
fn listen_together<L>(
    bind: impl FnOnce(SocketAddr) -> io::Result<L>,
    port_of: impl FnOnce(&L) -> io::Result<u16>,
) -> io::Result<(L, u16)> {
    static SHARED: Mutex<u16> = Mutex::new(0);
    let mut port = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let listener = bind(local(*port))?;
    *port = port_of(&listener)?;
    Ok((listener, *port))
}

/// Handles a message of the parent.
fn hear(scene: &Scene, message: &[u8; MESSAGE_BYTES]) {
    match Message::decode(message) {
        Some(Message::Ping(sent)) => scene.answer_ping(sent),
        // Tasks are not measured here, so this tests only the poll wrapper itself.
        Some(Message::Canary) => scene.meter().poll(|| scene.stall_as_canary()),
        Some(Message::Stop) => scene.close_root(),
        // There are no groups to start.
        Some(Message::Go) | None => {}
    }
}
