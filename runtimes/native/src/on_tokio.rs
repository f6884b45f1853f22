//! Echo on tokio.

use std::io;

use quadrant_suite::board::TOKEN_BYTES;
use quadrant_suite::control::MESSAGE_BYTES;
use quadrant_suite::runtime::Refusal;
use quadrant_suite::scene::Scene;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

/// On this number of workers, or on the current thread.
pub(crate) fn run(scene: &'static Scene, workers: Option<usize>) -> Result<(), Refusal> {
    let mut builder = match workers {
        Some(workers) => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
        None => Builder::new_current_thread(),
    };
    builder.enable_all().build()?.block_on(serve(scene))?;
    Ok(())
}

async fn serve(scene: &'static Scene) -> io::Result<()> {
    let listener = TcpListener::bind(crate::ANY).await?;
    let control = TcpListener::bind(crate::ANY).await?;
    scene.board().publish_server(listener.local_addr()?.port());
    let buffer_bytes = crate::buffer_bytes(scene);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(scene, stream, buffer_bytes));
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
