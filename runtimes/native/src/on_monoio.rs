//! Echo on monoio, by io_uring: a runtime for each worker, buffers that the ring owns meanwhile.

use std::panic::resume_unwind;
use std::{io, thread};

use monoio::io::{AsyncReadRent, AsyncReadRentExt, AsyncWriteRentExt};
use monoio::net::{ListenerOpts, TcpListener, TcpStream};
use monoio::{IoUringDriver, RuntimeBuilder};
use quadrant_suite::board::TOKEN_BYTES;
use quadrant_suite::control::MESSAGE_BYTES;
use quadrant_suite::runtime::Refusal;
use quadrant_suite::scene::Scene;

pub(crate) fn run(scene: &'static Scene, workers: usize) -> Result<(), Refusal> {
    let start = |root| {
        let work = move || {
            let work = || {
                let builder = RuntimeBuilder::<IoUringDriver>::new().enable_timer();
                builder.build()?.block_on(serve(scene, root, workers))
            };
            // Refused at once, because the other workers would wait for this one.
            if let Err(error) = work() {
                scene.refuse(error.into());
            }
        };
        thread::Builder::new().name("monoio".to_owned()).spawn(work)
    };
    for worker in (0..workers).map(start).collect::<io::Result<Vec<_>>>()? {
        worker.join().unwrap_or_else(|panic| resume_unwind(panic));
    }
    Ok(())
}

async fn serve(scene: &'static Scene, root: usize, workers: usize) -> io::Result<()> {
    let shared = ListenerOpts::new().reuse_port(workers > 1);
    let (listener, port) = crate::listen_together(
        |address| TcpListener::bind_with_config(address, &shared),
        |listener| Ok(listener.local_addr()?.port()),
    )?;
    let control = TcpListener::bind(crate::ANY)?;
    scene.board().publish_server(port);
    let buffer_bytes = crate::buffer_bytes(scene);
    monoio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            monoio::spawn(echo(scene, stream, buffer_bytes));
        }
    });
    scene.open_root(root, control.local_addr()?.port(), workers);
    let mut parent = loop {
        let (stream, from) = control.accept().await?;
        if scene.is_parent(root, Some(from.port())) {
            break stream;
        }
    };
    let mut message = Box::new([0; MESSAGE_BYTES]);
    loop {
        let read;
        (read, message) = parent.read_exact(message).await;
        if read.is_err() {
            return Ok(());
        }
        crate::hear(scene, &message);
    }
}

async fn echo(scene: &'static Scene, mut stream: TcpStream, buffer_bytes: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, token) = stream.read_exact(Box::new([0; TOKEN_BYTES])).await;
    read?;
    if !scene.is_driver(&token[..]) {
        return Ok(());
    }
    let mut buffer = Vec::with_capacity(buffer_bytes);
    loop {
        let done;
        (done, buffer) = stream.read(buffer).await;
        if done? == 0 {
            return Ok(());
        }
        let done;
        (done, buffer) = stream.write_all(buffer).await;
        done?;
        buffer.clear();
    }
}
