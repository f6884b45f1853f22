//! The root of a trial: the future that an adapter runs on its executor.
//!
//! It listens, publishes its control port, and waits for its control task. Its own polls are never
//! measured: loops are the threads that run tasks.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::checks;
use crate::links::Idle;
use crate::runtime::{Refusal, Runtime, Task, Work, launch};
use crate::scene::Scene;

impl Scene {
    /// The only root, of an executor that distributes tasks to its workers.
    pub async fn root<R: Runtime>(&'static self, runtime: R) {
        self.root_of(runtime, 0, 1).await;
    }

    /// One of several roots, each on its own worker.
    pub async fn root_of<R: Runtime>(&'static self, runtime: R, root: usize, roots: usize) {
        if let Some(check) = &self.plan().check {
            return Box::pin(checks::at_root(self, &check.id, runtime, root == 0)).await;
        }
        let idle = Idle::of_root(&self.plan().backends);
        match self.open(&runtime, idle, root, roots).await {
            Ok(listener) => {
                let ours = Arc::new(());
                let alive = Arc::clone(&ours);
                let control =
                    Task::new(self, &runtime, Work::Control { listener, root, roots, alive });
                let joined = R::join(runtime.spawn(control.with(idle))).await;
                let reason = match joined {
                    Err(error) => format!("the control task was lost: {error}"),
                    Ok(()) if Arc::strong_count(&ours) > 1 => {
                        "`join` returned before the task that it waited for had ended".to_owned()
                    }
                    Ok(()) => return,
                };
                self.refuse(Refusal::Failed(reason));
            }
            Err(reason) => self.refuse(Refusal::Failed(reason)),
        }
    }

    async fn open<R: Runtime>(
        &'static self,
        runtime: &R,
        idle: Idle<R::Stream>,
        root: usize,
        roots: usize,
    ) -> Result<R::Listener, String> {
        if self.plan().server.is_some() {
            let listener = self.listen_for_load(runtime, root, roots).await?;
            launch(self, runtime, idle, Work::Accept { listener });
        }
        let (control, port) = listen(runtime, 0, false).await?;
        self.open_root(root, port, roots);
        Ok(control)
    }

    /// The system chooses the port of the first root, and the others share it.
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
