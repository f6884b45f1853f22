//! Echo on compio, by io_uring: a runtime per worker, with buffers that the ring owns during I/O.

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::{io, thread};

use compio::BufResult;
use compio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream};
use compio::runtime::Runtime;
use quadrant_suite::board::TOKEN_BYTES;
use quadrant_suite::control::MESSAGE_BYTES;
use quadrant_suite::runtime::Refusal;
use quadrant_suite::scene::Scene;
use socket2::{Domain, Socket, Type};

pub(crate) fn run(scene: &'static Scene, workers: usize) -> Result<(), Refusal> {
    let start = |root| {
        let work = move || {
            let work = || {
                let runtime = Runtime::new()?;
                if !runtime.driver_type().is_iouring() {
                    return Err(io::Error::other("compio runs without io_uring here"));
                }
                runtime.block_on(serve(scene, root, workers))
            };
            // Refused at once, because the other workers would wait for this one.
            if let Err(error) = work() {
                scene.refuse(error.into());
            }
        };
        thread::Builder::new().name("compio".to_owned()).spawn(work)
    };
    for worker in (0..workers).map(start).collect::<io::Result<Vec<_>>>()? {
        worker.join().unwrap_or_else(|panic| resume_unwind(panic));
    }
    Ok(())
}

async fn serve(scene: &'static Scene, root: usize, workers: usize) -> io::Result<()> {
    let (listener, port) = crate::listen_together(
        |address| bind(address, workers > 1),
        |listener| Ok(listener.local_addr()?.port()),
    )?;
    let listener = TcpListener::from_std(listener)?;
    let control = TcpListener::bind(crate::ANY).await?;
    scene.board().publish_server(port);
    let buffer_bytes = crate::buffer_bytes(scene);
    compio::runtime::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            compio::runtime::spawn(echo(scene, stream, buffer_bytes)).detach();
        }
    })
    .detach();
    scene.open_root(root, control.local_addr()?.port(), workers);
    let mut parent = loop {
        let (stream, from) = control.accept().await?;
        if scene.is_parent(root, Some(from.port())) {
            break stream;
        }
    };
    let mut message = [0; MESSAGE_BYTES];
    loop {
        let BufResult(read, filled) = parent.read_exact(message).await;
        if read.is_err() {
            return Ok(());
        }
        message = filled;
        crate::hear(scene, &message);
    }
}

/// compio's own way to share a port is asynchronous; here the other workers wait for it.
fn bind(address: SocketAddr, is_shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_port(is_shared)?;
    socket.bind(&address.into())?;
    socket.listen(1_024)?;
    Ok(socket.into())
}

async fn echo(scene: &'static Scene, mut stream: TcpStream, buffer_bytes: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let BufResult(read, token) = stream.read_exact([0; TOKEN_BYTES]).await;
    read?;
    if !scene.is_driver(&token) {
        return Ok(());
    }
    let mut buffer = Vec::with_capacity(buffer_bytes);
    loop {
        let BufResult(read, filled) = stream.read(buffer).await;
        if read? == 0 {
            return Ok(());
        }
        let BufResult(written, sent) = stream.write_all(filled).await;
        written?;
        buffer = sent;
        buffer.clear();
    }
}
