//! Echo on async-std.

use std::io;

use async_global_executor::GlobalExecutorConfig;
use async_std::io::{ReadExt, WriteExt};
use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use quadrant_suite::board::TOKEN_BYTES;
use quadrant_suite::control::MESSAGE_BYTES;
use quadrant_suite::plain_calls;
use quadrant_suite::runtime::Refusal;
use quadrant_suite::scene::Scene;

pub(crate) fn run(scene: &'static Scene, workers: usize) -> Result<(), Refusal> {
    // The first configuration wins; async-std itself would read the environment.
    async_global_executor::init_with_config(
        GlobalExecutorConfig::default()
            .with_min_threads(workers)
            .with_thread_name_fn(|| "async-std/runtime".to_owned()),
    );
    // The workers do everything, including the parent's messages.
    task::block_on(task::spawn(serve(scene)))?;
    Ok(())
}

async fn serve(scene: &'static Scene) -> io::Result<()> {
    // The backlog of `bind` is 128, which is too small for a burst.
    let listener: TcpListener = plain_calls::listen(crate::ANY)?.into();
    let control = TcpListener::bind(crate::ANY).await?;
    scene.board().publish_server(listener.local_addr()?.port());
    let buffer_bytes = crate::buffer_bytes(scene);
    task::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            task::spawn(echo(scene, stream, buffer_bytes));
        }
    });
    scene.open_root(0, control.local_addr()?.port(), 1);
    let mut parent = loop {
        let (stream, from) = control.accept().await?;
        if scene.is_parent(0, Some(from.port())) {
            break stream;
        }
    };
    let mut message = [0; MESSAGE_BYTES];
    while parent.read_exact(&mut message).await.is_ok() {
        crate::hear(scene, &message);
    }
    Ok(())
}

async fn echo(scene: &'static Scene, mut stream: TcpStream, buffer_bytes: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut token = [0; TOKEN_BYTES];
    stream.read_exact(&mut token).await?;
    if !scene.is_driver(&token) {
        return Ok(());
    }
    let mut buffer = vec![0; buffer_bytes];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
    }
}
