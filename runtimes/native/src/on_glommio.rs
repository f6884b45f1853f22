//! Echo on glommio: an executor for each worker.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::{GlommioError, LocalExecutorPoolBuilder, PoolPlacement};
use quadrant_suite::board::TOKEN_BYTES;
use quadrant_suite::control::MESSAGE_BYTES;
use quadrant_suite::runtime::Refusal;
use quadrant_suite::scene::Scene;

pub(crate) fn run(scene: &'static Scene, workers: usize) -> Result<(), Refusal> {
    static ROOTS: AtomicUsize = AtomicUsize::new(0);
    let pool = LocalExecutorPoolBuilder::new(PoolPlacement::Unbound(workers))
        .name("glommio")
        .on_all_shards(move || async move {
            let root = ROOTS.fetch_add(1, Ordering::Relaxed);
            // Refused at once, because the other workers would wait for this one.
            if let Err(error) = serve(scene, root, workers).await {
                scene.refuse(error.into());
            }
        })
        .map_err(refusal)?;
    pool.join_all().into_iter().collect::<Result<Vec<()>, _>>().map_err(refusal)?;
    Ok(())
}

fn refusal(error: GlommioError<()>) -> Refusal {
    Refusal::Failed(error.to_string())
}

async fn serve(scene: &'static Scene, root: usize, workers: usize) -> io::Result<()> {
    let (listener, port) = crate::listen_together(
        |address| Ok(TcpListener::bind(address)?),
        |listener| Ok(listener.local_addr()?.port()),
    )?;
    let control = TcpListener::bind(crate::ANY)?;
    scene.board().publish_server(port);
    let buffer_bytes = crate::buffer_bytes(scene);
    glommio::spawn_local(async move {
        while let Ok(stream) = listener.accept().await {
            glommio::spawn_local(echo(scene, stream, buffer_bytes)).detach();
        }
    })
    .detach();
    scene.open_root(root, control.local_addr()?.port(), workers);
    let mut parent = loop {
        let stream = control.accept().await?;
        if scene.is_parent(root, stream.peer_addr().ok().map(|from| from.port())) {
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
