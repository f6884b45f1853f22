//! A minimal executor on mio, with one thread. Timers fire in steps of 1 ms, the resolution of
//! `epoll_wait`.
//!
//! It never touches files: mio has no support for them.

mod executor;
mod pool;
mod reactor;
mod timers;
mod wakes;

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use mio::Interest;
use mio::net::{TcpListener, TcpStream};
use quadrant_suite::plain_calls::Descriptor;
use quadrant_suite::runtime::Task;
use quadrant_suite::runtime::{Refusal, Runtime};
use quadrant_suite::scene::Scene;
use quadrant_suite::shared::ForAnyRuntime;

use executor::{Completion, Executor};
use reactor::{Direction, Registered};

pub(crate) fn run(scene: &'static Scene) -> Result<(), Refusal> {
    let executor = Rc::new(Executor::new()?);
    let root = executor.spawn(scene.root(Futures(Rc::clone(&executor))));
    executor.run_until(&root)?;
    Ok(())
}

/// A handle on the executor.
#[derive(Clone)]
struct Futures(Rc<Executor>);

struct Listener {
    socket: Registered<TcpListener>,
    executor: Rc<Executor>,
}

impl Runtime for Futures {
    type Listener = Listener;
    type Stream = Registered<TcpStream>;
    type Join = Rc<Completion>;
    type Contents = Vec<u8>;
    type Shared = ForAnyRuntime;

    fn spawn(&self, task: Task<Self>) -> Self::Join {
        self.0.spawn(task.run())
    }

    async fn join(join: Self::Join) -> io::Result<()> {
        join.wait().await;
        Ok(())
    }

    fn detach(join: Self::Join) -> io::Result<()> {
        drop(join);
        Ok(())
    }

    async fn listen(&self, address: SocketAddr, _reuse_port: bool) -> io::Result<Self::Listener> {
        let socket = self.0.reactor().register(crate::listen(address)?, Interest::READABLE)?;
        Ok(Listener { socket, executor: Rc::clone(&self.0) })
    }

    fn local_port(listener: &Self::Listener) -> io::Result<u16> {
        Ok(listener.socket.source().local_addr()?.port())
    }

    async fn accept(listener: &mut Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) =
            listener.socket.perform(Direction::Read, |socket| socket.accept()).await?;
        stream.set_nodelay(true)?;
        listener.executor.reactor().register(stream, Interest::READABLE | Interest::WRITABLE)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Stream> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let mut stream = self.0.reactor().register(TcpStream::connect(address)?, interest)?;
        let connected = |socket: &mut TcpStream| match socket.take_error()? {
            Some(error) => Err(error),
            None => match socket.peer_addr() {
                // Under way: an event comes when it is over.
                Err(error) if error.kind() == ErrorKind::NotConnected => {
                    Err(ErrorKind::WouldBlock.into())
                }
                peer => peer.map(drop),
            },
        };
        stream.perform(Direction::Write, connected).await?;
        stream.source().set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(
        stream: &mut Self::Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        let asked = range.len();
        let room = &mut buffer[range];
        let read = stream.perform(Direction::Read, |socket| socket.read(room)).await;
        if read.as_ref().is_ok_and(|&count| count < asked) {
            stream.exhausted(Direction::Read);
        }
        read
    }

    async fn write(
        stream: &mut Self::Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        let given = range.len();
        let bytes = &buffer[range];
        let written = stream.perform(Direction::Write, |socket| socket.write(bytes)).await;
        if written.as_ref().is_ok_and(|&count| count < given) {
            stream.exhausted(Direction::Write);
        }
        written
    }

    fn descriptor(stream: &Self::Stream) -> Descriptor {
        stream.source().as_raw_fd()
    }

    async fn sleep(&self, time: Duration) {
        self.0.timers().sleep(time).await;
    }

    async fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        self.0.pool().run(job).await
    }
}
