//! The root of a trial: what an adapter runs on the executor it has made.
//!
//! It listens, publishes where the parent can reach it, and waits for its control task. It is
//! not metered itself: the loops are the threads that run the tasks.

use std::net::{Ipv4Addr, SocketAddr};

use crate::runtime::{Refusal, Runtime};
use crate::scene::Scene;
use crate::task::{Task, Work, launch};

impl Scene {
    /// The only root, of an executor that deals its tasks to its workers itself.
    pub async fn root<R: Runtime>(&'static self, runtime: R) {
        self.root_of(runtime, 0, 1).await;
    }

    /// One root of several, on its own worker, where it stays.
    pub async fn root_of<R: Runtime>(&'static self, runtime: R, root: usize, roots: usize) {
        match self.open(&runtime, root, roots).await {
            Ok(listener) => {
                let control = Task::new(self, &runtime, Work::Control { listener, root, roots });
                if let Err(error) = R::join(runtime.spawn(control)).await {
                    self.refuse(Refusal::Failed(format!("the control task was lost: {error}")));
                }
            }
            Err(reason) => self.refuse(Refusal::Failed(reason)),
        }
    }

    async fn open<R: Runtime>(
        &'static self,
        runtime: &R,
        root: usize,
        roots: usize,
    ) -> Result<R::Listener, String> {
        if self.plan().server.is_some() {
            let listener = self.listen_for_load(runtime, root, roots).await?;
            launch(self, runtime, Work::Accept { listener });
        }
        let (control, port) = listen(runtime, 0, false).await?;
        self.open_root(root, port, roots);
        Ok(control)
    }

    /// The first root is given a port by the system and the others join it there.
    async fn listen_for_load<R: Runtime>(
        &'static self,
        runtime: &R,
        root: usize,
        roots: usize,
    ) -> Result<R::Listener, String> {
        if root > 0 {
            return Ok(listen(runtime, self.agreed_port()?, true).await?.0);
        }
        let listening = listen(runtime, 0, roots > 1).await;
        self.announce_port(listening.as_ref().map(|(_, port)| *port).map_err(String::clone));
        let (listener, port) = listening?;
        self.board().publish_server(port);
        Ok(listener)
    }
}

async fn listen<R: Runtime>(
    runtime: &R,
    port: u16,
    reuse_port: bool,
) -> Result<(R::Listener, u16), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = runtime
        .listen(address, reuse_port)
        .await
        .map_err(|error| format!("listening on {address} failed: {error}"))?;
    let port = R::local_port(&listener)
        .map_err(|error| format!("the listener's port could not be read: {error}"))?;
    Ok((listener, port))
}
