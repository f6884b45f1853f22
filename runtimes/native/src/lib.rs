//! An echo server on tokio as anybody would write it, without the suite's engine, poll wrapper
//! or counters. Only its beginning and end go through the scene. What the suite costs is
//! measured against it.

use std::io;
use std::net::Ipv4Addr;

use quadrant_suite::control::{MESSAGE_BYTES, Message};
use quadrant_suite::description::{Capability, Description, Executor, Topology, Workers};
use quadrant_suite::runtime::{Adapter, Refusal};
use quadrant_suite::scene::Scene;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

quadrant_suite::export!(Native);

struct Native;

impl Adapter for Native {
    fn describe() -> Description {
        let executor = |executor: &str, workers| Executor {
            executor: executor.to_owned(),
            backend: "epoll".to_owned(),
            topology: Topology::Shared,
            workers,
            capabilities: [Capability::Echo].into(),
            tasks_max: None,
            memlock_bytes_min: 0,
        };
        Description {
            runtime: "native".to_owned(),
            version: quadrant_suite::locked_version!("tokio"),
            note: Some("tokio without the suite".to_owned()),
            executors: vec![
                executor("multi-thread", Workers::Many),
                executor("current-thread", Workers::One),
            ],
        }
    }

    fn run(scene: &'static Scene) -> Result<(), Refusal> {
        let mut builder = match scene.plan().executor.as_str() {
            "multi-thread" => {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(scene.plan().workers as usize);
                builder
            }
            "current-thread" => Builder::new_current_thread(),
            _ => return Err(scene.unknown_executor()),
        };
        builder.enable_all().build()?.block_on(serve(scene))?;
        Ok(())
    }
}

async fn serve(scene: &'static Scene) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let control = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    scene.board().publish_server(listener.local_addr()?.port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    scene.open_root(0, control.local_addr()?.port(), 1);
    let (mut parent, _) = control.accept().await?;
    let mut message = [0; MESSAGE_BYTES];
    while parent.read_exact(&mut message).await.is_ok() {
        match Message::decode(&message) {
            Some(Message::Ping(sent)) => scene.answer_ping(sent),
            Some(Message::Stop) => scene.close_root(),
            _ => {}
        }
    }
    Ok(())
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
    }
}
