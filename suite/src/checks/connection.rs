//! Connections of checks: the runtime has one side, and a plain blocking socket is the other.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use super::{Lab, Verdict};
use crate::runtime::Runtime;

/// A connection: the runtime's side and the check's.
pub(super) struct Connection<R: Runtime> {
    pub(super) ours: R::Stream,
    pub(super) peer: TcpStream,
}

pub(super) async fn connect<R: Runtime>(lab: &Lab<R>) -> io::Result<Connection<R>> {
    accept::<R>(&mut listen(lab).await?).await
}

pub(super) async fn listen<R: Runtime>(lab: &Lab<R>) -> io::Result<R::Listener> {
    lab.runtime.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), false).await
}

/// A listener and its port.
pub(super) async fn listen_at<R: Runtime>(lab: &Lab<R>) -> io::Result<(R::Listener, u16)> {
    let listener = listen(lab).await?;
    let port = R::local_port(&listener)?;
    Ok((listener, port))
}

pub(super) async fn accept<R: Runtime>(listener: &mut R::Listener) -> io::Result<Connection<R>> {
    // Completed by the system, before it is accepted.
    let peer = reach::<R>(listener)?;
    let ours = R::accept(listener).await?;
    Ok(Connection { ours, peer })
}

/// Connects to a listener, which need not accept.
pub(super) fn reach<R: Runtime>(listener: &R::Listener) -> io::Result<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, R::local_port(listener)?))
}

pub(super) fn broken(error: &io::Error) -> Verdict {
    Verdict::fail(format!("no connection could be made: {error}"))
}
