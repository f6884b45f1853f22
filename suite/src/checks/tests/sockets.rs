//! The sockets of the tiny executor: tried again every millisecond.

use std::future::pending;
use std::io::{self, ErrorKind, Read, Write};
use std::mem::forget;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use super::executor::{Executor, lock, sleep};
use super::rule::Rule;
use crate::plain_calls::Descriptor;
use crate::runtime::yield_once;

/// A stream knows its executor, because the trait's calls have only the stream.
pub(super) struct Stream {
    socket: TcpStream,
    executor: Arc<Executor>,
}

pub(super) struct Listener {
    socket: TcpListener,
    executor: Arc<Executor>,
}

impl Listener {
    pub(super) fn bind(executor: &Arc<Executor>, address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, executor: Arc::clone(executor) })
    }

    pub(super) fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    pub(super) async fn accept(&mut self) -> io::Result<Stream> {
        let executor = Arc::clone(&self.executor);
        let (socket, _) = retried(&executor, || self.socket.accept()).await?;
        socket.set_nonblocking(true)?;
        if executor.is(Rule::LeaksDescriptors) {
            forget(socket.try_clone());
        }
        Ok(Stream { socket, executor })
    }
}

impl Stream {
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let executor = Arc::clone(&self.executor);
        while executor.is(Rule::SocketsOnlyWhenIdle) && !lock(&executor.state).ready.is_empty() {
            sleep(&executor, Duration::from_millis(1)).await;
        }
        if executor.is(Rule::YieldsAfterReads) {
            yield_once().await;
        }
        let result = retried(&executor, || self.socket.read(buffer)).await;
        match result {
            Err(_) if executor.is(Rule::HidesResets) => pending().await,
            Ok(0) if executor.is(Rule::ClosesBothDirections) => {
                self.socket.shutdown(std::net::Shutdown::Both)?;
                Ok(0)
            }
            result => result,
        }
    }

    pub(super) async fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.executor.is(Rule::BuffersWithoutLimit) {
            return Ok(buffer.len());
        }
        let executor = Arc::clone(&self.executor);
        retried(&executor, || self.socket.write(buffer)).await
    }

    pub(super) fn descriptor(&self) -> Descriptor {
        self.socket.as_raw_fd()
    }
}

/// Tries a call of a socket again every millisecond until it does not block.
async fn retried<T>(
    executor: &Arc<Executor>,
    mut call: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        while executor.is(Rule::ManyTimersHoldSockets) && executor.timer_count() > 1_000 {
            sleep(executor, Duration::from_millis(1)).await;
        }
        match call() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                sleep(executor, Duration::from_millis(1)).await;
            }
            result => return result,
        }
    }
}
