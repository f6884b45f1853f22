//! The sockets of the tiny executor, which tries their calls again and again.

use std::future::pending;
use std::io::{self, ErrorKind, Read, Write};
use std::mem::forget;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::executor::{Executor, lock, sleep};
use super::on_cancel::OnCancel;
use super::pool::offload;
use super::rule::Rule;
use crate::plain_calls::{self, Descriptor};
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

impl Drop for Stream {
    fn drop(&mut self) {
        if self.executor.is(Rule::KeepsEventsOfClosedSockets) {
            lock(&self.executor.closed).insert(self.socket.as_raw_fd());
        }
    }
}

impl Listener {
    pub(super) fn bind(executor: &Arc<Executor>, address: SocketAddr) -> io::Result<Self> {
        let socket = plain_calls::listen(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, executor: Arc::clone(executor) })
    }

    pub(super) fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    pub(super) async fn accept(&mut self) -> io::Result<Stream> {
        let executor = Arc::clone(&self.executor);
        let cancelled = OnCancel::new(|| {
            if executor.is(Rule::ClosesConnectionsOfCancelledAccepts) {
                drop(self.socket.accept());
            }
        });
        let accepted = loop {
            let accepted = retried(&executor, || self.socket.accept()).await;
            if accepted.is_ok() || !executor.is(Rule::TriesAgainAtOnceWithoutDescriptors) {
                break accepted;
            }
            yield_once().await;
        };
        cancelled.completed();
        let (socket, _) = accepted?;
        socket.set_nonblocking(true)?;
        if executor.is(Rule::LeaksDescriptors) {
            forget(socket.try_clone());
        }
        Ok(Stream { socket, executor })
    }
}

impl Stream {
    /// On loopback a connect is over at once.
    pub(super) fn connect(executor: &Arc<Executor>, address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, executor: Arc::clone(executor) })
    }

    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let executor = Arc::clone(&self.executor);
        while executor.is(Rule::SocketsOnlyWhenIdle) && !lock(&executor.state).ready.is_empty() {
            sleep(&executor, Duration::from_millis(1)).await;
        }
        if executor.is(Rule::YieldsAfterReads) {
            yield_once().await;
        }
        if lock(&executor.closed).remove(&self.socket.as_raw_fd()) {
            return Ok(0);
        }
        let cancelled = OnCancel::new(|| match executor.broken {
            Some(Rule::LosesBytesOfCancelledReads) => {
                drop((&self.socket).read(&mut [0; 64]));
            }
            Some(Rule::KeepsSocketsOfCancelledReads) => forget(self.socket.try_clone()),
            _ => {}
        });
        let in_flight = executor.reads.fetch_add(1, SeqCst) + 1;
        if in_flight == 512 && executor.is(Rule::LosesReadsOfAFullRing) {
            pending::<()>().await;
        }
        let result = if executor.is(Rule::ReadsOnAThread) {
            read_on_a_thread(&executor, self.socket.try_clone()?, buffer).await
        } else {
            retried(&executor, || (&self.socket).read(buffer)).await
        };
        executor.reads.fetch_sub(1, SeqCst);
        cancelled.completed();
        match result {
            Ok(1) if executor.is(Rule::ClosesSocketsAfterAFork) => {
                close_after_a_fork();
                Ok(1)
            }
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

    pub(super) async fn read_shared(&self, bytes: usize) -> io::Result<Vec<u8>> {
        let executor = Arc::clone(&self.executor);
        let others = executor.reads.fetch_add(1, SeqCst);
        if others > 0 && executor.is(Rule::KeepsOneReader) {
            pending::<()>().await;
        }
        let mut buffer = vec![0; bytes];
        let read = retried(&executor, || (&self.socket).read(&mut buffer)).await;
        executor.reads.fetch_sub(1, SeqCst);
        buffer.truncate(read?);
        Ok(buffer)
    }

    pub(super) async fn write_shared(&self, bytes: Vec<u8>) -> io::Result<usize> {
        let executor = Arc::clone(&self.executor);
        while executor.is(Rule::ReadersHoldUpWriters) && executor.reads.load(SeqCst) > 0 {
            sleep(&executor, Duration::from_millis(1)).await;
        }
        retried(&executor, || (&self.socket).write(&bytes)).await
    }

    pub(super) fn descriptor(&self) -> Descriptor {
        self.socket.as_raw_fd()
    }
}

/// Tries a call of a socket again until it does not block: after a millisecond, and then more seldom.
async fn retried<T>(
    executor: &Arc<Executor>,
    mut call: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let mut time = Duration::from_millis(1);
    loop {
        while executor.is(Rule::ManyTimersHoldSockets) && executor.timer_count() > 1_000 {
            sleep(executor, Duration::from_millis(1)).await;
        }
        match call() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if executor.is(Rule::BlocksInSockets) {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                sleep(executor, time).await;
                time = (2 * time).min(Duration::from_millis(16));
            }
            result => return result,
        }
    }
}

/// As if the system did it.
async fn read_on_a_thread(
    executor: &Arc<Executor>,
    socket: TcpStream,
    buffer: &mut [u8],
) -> io::Result<usize> {
    let length = buffer.len();
    let job = move || {
        let mut bytes = vec![0; length];
        let count = plain_calls::receive(socket.as_raw_fd(), &mut bytes)?;
        bytes.truncate(count);
        io::Result::Ok(bytes)
    };
    let bytes = offload(executor, job).await??;
    buffer[..bytes.len()].copy_from_slice(&bytes);
    Ok(bytes.len())
}

/// The child ends all connections, which the parent shares with it.
#[allow(unsafe_code)]
fn close_after_a_fork() {
    extern "C" fn shut_down() {
        // SAFETY: the call passes integers only, and is allowed after a fork with several threads.
        (3..64).for_each(|socket| unsafe {
            libc::shutdown(socket, libc::SHUT_RDWR);
        });
    }
    // SAFETY: the handler is a function of this program, which is never unloaded.
    unsafe { libc::pthread_atfork(None, None, Some(shut_down)) };
}
