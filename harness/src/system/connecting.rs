//! Waiting for a connection that was begun.
//!
//! Never fails because a signal was handled, or because this process was stopped for a while: both end
//! the system's own wait early.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

pub fn wait_until_connected(socket: &TcpStream, limit: Duration) -> io::Result<()> {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos() as _ };
        match poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&left)) {
            Ok(0) => return Err(ErrorKind::TimedOut.into()),
            Ok(_) => return socket.take_error()?.map_or(Ok(()), Err),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::os::unix::thread::JoinHandleExt;

    use quadrant_suite::plain_calls;

    use super::*;

    /// A listener that accepts nothing, and whose queue is full.
    fn unwilling() -> (TcpListener, Vec<TcpStream>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let queue = (0..3).map(|_| begun(&listener)).collect();
        (listener, queue)
    }

    fn begun(listener: &TcpListener) -> TcpStream {
        let address = listener.local_addr().unwrap();
        let socket = plain_calls::stream_socket(address).unwrap();
        plain_calls::begin_connect(&socket, address).unwrap();
        socket
    }

    #[test]
    fn a_signal_does_not_end_the_wait() {
        let (listener, _queue) = unwilling();
        // Its handler does nothing, but the system's wait ends.
        let flag = std::sync::Arc::default();
        signal_hook::flag::register(signal_hook::consts::SIGUSR2, flag).unwrap();
        let socket = begun(&listener);
        let wait = move || wait_until_connected(&socket, Duration::from_millis(400));
        let waiting = std::thread::spawn(wait);
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(10));
            // SAFETY: the thread is joined below, so its handle is valid.
            #[allow(unsafe_code)]
            unsafe {
                libc::pthread_kill(waiting.as_pthread_t(), libc::SIGUSR2)
            };
        }
        let ended = waiting.join().unwrap().unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn it_ends_with_the_connection_or_its_refusal() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        wait_until_connected(&begun(&listener), Duration::from_secs(5)).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let socket = plain_calls::stream_socket(address).unwrap();
        let refused = plain_calls::begin_connect(&socket, address)
            .and_then(|()| wait_until_connected(&socket, Duration::from_secs(5)));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}
