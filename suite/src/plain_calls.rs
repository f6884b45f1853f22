//! Direct system calls on a runtime's own sockets, for `how: blocking` and `how: polling`. Also
//! connecting, listening and CPU time.
//!
//! Never changes a descriptor's mode, because the runtime continues to use it.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::file_path::FileWrite;

/// The system's handle of a socket.
#[cfg(unix)]
pub type Descriptor = std::os::fd::RawFd;
#[cfg(windows)]
pub type Descriptor = std::os::windows::io::RawSocket;

/// What a socket has to be ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Receive,
    Send,
}

/// One attempt; returns `WouldBlock` if it would have to wait.
#[cfg(unix)]
pub fn try_receive(socket: Descriptor, buffer: &mut [u8]) -> io::Result<usize> {
    use rustix::net::{RecvFlags, recv};
    let (received, _) = recv(borrow(socket), buffer, RecvFlags::DONTWAIT)?;
    Ok(received)
}

/// One attempt; returns `WouldBlock` if it would have to wait.
#[cfg(unix)]
pub fn try_send(socket: Descriptor, buffer: &[u8]) -> io::Result<usize> {
    use rustix::net::{SendFlags, send};
    Ok(send(borrow(socket), buffer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
}

/// Holds the thread until something has arrived.
pub(crate) fn receive(socket: Descriptor, buffer: &mut [u8]) -> io::Result<usize> {
    hold(socket, Direction::Receive, || try_receive(socket, buffer))
}

/// Holds the thread until the socket takes something.
pub(crate) fn send(socket: Descriptor, buffer: &[u8]) -> io::Result<usize> {
    hold(socket, Direction::Send, || try_send(socket, buffer))
}

fn hold(
    socket: Descriptor,
    direction: Direction,
    mut attempt: impl FnMut() -> io::Result<usize>,
) -> io::Result<usize> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_ready(socket, direction)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// A socket for connecting to such an address, in non-blocking mode.
#[cfg(unix)]
pub fn stream_socket(address: SocketAddr) -> io::Result<TcpStream> {
    use rustix::net::{SocketFlags, SocketType, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(family_of(address), SocketType::STREAM, flags, None)?.into())
}

#[cfg(unix)]
fn family_of(address: SocketAddr) -> rustix::net::AddressFamily {
    match address {
        SocketAddr::V4(_) => rustix::net::AddressFamily::INET,
        SocketAddr::V6(_) => rustix::net::AddressFamily::INET6,
    }
}

/// Begins to connect a non-blocking socket and does not wait for it. The socket becomes writable when
/// that has succeeded or failed.
#[cfg(unix)]
pub fn begin_connect(stream: &TcpStream, address: SocketAddr) -> io::Result<()> {
    match rustix::net::connect(stream, &address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns `WouldBlock` as long as it is connecting. Blocking calls may use it afterwards.
#[cfg(unix)]
pub(crate) fn try_connect(stream: &TcpStream) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut [PollFd::new(stream, PollFlags::OUT)], Some(&now))? == 0 {
        return Err(ErrorKind::WouldBlock.into());
    }
    stream.take_error()?.map_or_else(|| stream.set_nonblocking(false), Err)
}

/// Lets the closing of a connection reset it, so that its port is free at once.
#[cfg(unix)]
pub(crate) fn reset_on_close(socket: Descriptor) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_linger(borrow(socket), Some(Duration::ZERO))?)
}

/// How many bytes have arrived and were not read.
#[cfg(unix)]
pub(crate) fn unread(socket: Descriptor) -> io::Result<u64> {
    Ok(rustix::io::ioctl_fionread(borrow(socket))?)
}

#[cfg(unix)]
pub(crate) fn descriptor(stream: &TcpStream) -> Descriptor {
    std::os::fd::AsRawFd::as_raw_fd(stream)
}

/// The port of the peer; `None` if it has disconnected already.
#[cfg(unix)]
pub fn peer_port(socket: Descriptor) -> Option<u16> {
    let address = rustix::net::getpeername(borrow(socket)).ok().flatten()?;
    Some(SocketAddr::try_from(address).ok()?.port())
}

/// Holds the thread until the socket is ready.
#[cfg(unix)]
pub fn wait_ready(socket: Descriptor, direction: Direction) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    let flags = match direction {
        Direction::Receive => PollFlags::IN,
        Direction::Send => PollFlags::OUT,
    };
    let socket = borrow(socket);
    loop {
        match poll(&mut [PollFd::new(&socket, flags)], None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn borrow(socket: Descriptor) -> std::os::fd::BorrowedFd<'static> {
    // SAFETY: the descriptor belongs to a stream that the calling task owns and keeps until the
    // call is over, and the borrow does not leave this module.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(socket) }
}

#[cfg(not(unix))]
mod elsewhere {
    use super::*;

    fn unsupported<T>() -> io::Result<T> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "plain calls on a runtime's sockets exist on Unix only so far",
        ))
    }

    pub fn try_receive(_: Descriptor, _: &mut [u8]) -> io::Result<usize> {
        unsupported()
    }

    pub fn try_send(_: Descriptor, _: &[u8]) -> io::Result<usize> {
        unsupported()
    }

    pub fn wait_ready(_: Descriptor, _: Direction) -> io::Result<()> {
        unsupported()
    }

    pub fn stream_socket(_: SocketAddr) -> io::Result<TcpStream> {
        unsupported()
    }

    pub fn begin_connect(_: &TcpStream, _: SocketAddr) -> io::Result<()> {
        unsupported()
    }

    pub fn descriptor(stream: &TcpStream) -> Descriptor {
        std::os::windows::io::AsRawSocket::as_raw_socket(stream)
    }

    pub fn try_connect(_: &TcpStream) -> io::Result<()> {
        unsupported()
    }

    pub fn reset_on_close(_: Descriptor) -> io::Result<()> {
        unsupported()
    }

    pub fn peer_port(_: Descriptor) -> Option<u16> {
        None
    }
}
#[cfg(not(unix))]
pub use elsewhere::{begin_connect, peer_port, stream_socket, try_receive, try_send, wait_ready};
#[cfg(not(unix))]
pub(crate) use elsewhere::{descriptor, reset_on_close, try_connect};

/// Backlog: connections that a listener holds until they are accepted.
#[cfg(unix)]
const BACKLOG: i32 = 1024;

/// A listener for runtimes that use the standard library's. Its backlog is 128, and in a burst of
/// connections every further one would be retried only after a second.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    #[cfg(unix)]
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// The same; with `reuse_port`, other listeners of this process may share the port, and the system
/// distributes the connections. It is in blocking mode, as those of the standard library.
pub fn listen_shared(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    if !reuse_port {
        return listen(address);
    }
    #[cfg(unix)]
    {
        use rustix::net::{SocketFlags, SocketType, bind, socket_with, sockopt};
        let family = family_of(address);
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        sockopt::set_socket_reuseport(&socket, true)?;
        bind(&socket, &address)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(socket.into())
    }
    #[cfg(not(unix))]
    {
        Err(io::Error::new(io::ErrorKind::Unsupported, "ports are shared on Unix only so far"))
    }
}

pub fn write_file(write: FileWrite) -> io::Result<()> {
    let mut file = File::create(write.path)?;
    file.write_all(write.contents())?;
    if write.sync { file.sync_all() } else { Ok(()) }
}

/// CPU time used by this thread.
pub(crate) fn thread_cpu_time() -> Duration {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
    #[cfg(not(unix))]
    {
        Duration::from_nanos(crate::clock::monotonic_ns())
    }
}

/// Uses this much CPU time of the calling thread, however long that takes in wall-clock time.
pub fn use_cpu(time: Duration) {
    let end = thread_cpu_time() + time;
    // About 20 µs between two checks, because a check is a system call of half a microsecond.
    while thread_cpu_time() < end {
        std::hint::black_box(crate::hash::chain(200));
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_try_would_block_and_a_wait_does_not_return_early() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let mut buffer = [0; 8];
        let error = try_receive(server.as_raw_fd(), &mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        client.write_all(b"abc").unwrap();
        wait_ready(server.as_raw_fd(), Direction::Receive).unwrap();
        assert_eq!(try_receive(server.as_raw_fd(), &mut buffer).unwrap(), 3);
        assert_eq!(&buffer[..3], b"abc");
    }

    #[test]
    fn a_listener_holds_a_burst_of_connections() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let patience = Duration::from_millis(500);
        let burst: Vec<_> =
            (0..500).map(|_| TcpStream::connect_timeout(&address, patience).unwrap()).collect();
        assert_eq!(burst.len(), 500);
    }

    #[test]
    fn listeners_share_a_port_if_all_of_them_want_to() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = listen_shared(any, true).unwrap();
        let address = first.local_addr().unwrap();
        let second = listen_shared(address, true).unwrap();
        assert_eq!(second.local_addr().unwrap(), address);
        assert!(listen_shared(address, false).is_err());
    }

    #[test]
    fn cpu_time_is_really_used() {
        let before = thread_cpu_time();
        use_cpu(Duration::from_millis(3));
        let used = thread_cpu_time() - before;
        assert!(used >= Duration::from_millis(3), "{used:?}");
    }
}
