//! mio: not a runtime, but the readiness loop below several of them, used in two ways. `callbacks`, a
//! loop with a state machine per connection, shows what the system itself can do; `futures`, a small
//! executor on the same loop, shows what `async` adds to it.

mod callbacks;
mod futures;

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use quadrant_suite::description::{Capability, Description, Executor, Topology, Workers};
use quadrant_suite::runtime::{Adapter, Refusal};
use quadrant_suite::scene::Scene;
use socket2::{Domain, Socket, Type};

quadrant_suite::export!(Mio);

/// Chosen at build time, for the whole process.
const BACKEND: &str = if HAS_EDGES { "epoll" } else { "poll" };

/// Whether events are edge-triggered by the system. With poll(2) mio emulates edges: there is another
/// event after a call that would block, but not after a partial one.
const HAS_EDGES: bool = !cfg!(mio_unsupported_force_poll_poll);

/// Events taken from the system at a time.
const EVENTS_MAX: usize = 1_024;

struct Mio;

impl Adapter for Mio {
    fn describe() -> Description {
        let executor = |executor: &str, capabilities: &[Capability]| Executor {
            executor: executor.to_owned(),
            backend: BACKEND.to_owned(),
            topology: Topology::Shared,
            workers: Workers::One,
            capabilities: capabilities.iter().copied().collect(),
            tasks_max: None,
            memlock_bytes_min: 0,
        };
        Description {
            runtime: "mio".to_owned(),
            version: quadrant_suite::locked_version!("mio"),
            note: Some("no runtime: both executors are Quadrant's own, made by hand".to_owned()),
            executors: vec![
                executor("callbacks", &[Capability::Echo]),
                executor(
                    "futures",
                    &[
                        Capability::Echo,
                        Capability::Tcp,
                        Capability::Tasks,
                        Capability::Timers,
                        Capability::Offload,
                        Capability::Shutdown,
                        Capability::Connect,
                        Capability::Reference,
                    ],
                ),
            ],
        }
    }

    fn run(scene: &'static Scene) -> Result<(), Refusal> {
        match scene.plan().executor.as_str() {
            "callbacks" => callbacks::run(scene),
            "futures" => futures::run(scene),
            _ => Err(scene.unknown_executor()),
        }
    }
}

/// Listens with a backlog of 1,024; mio's own listener has 128.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1_024)?;
    Ok(TcpListener::from_std(socket.into()))
}
