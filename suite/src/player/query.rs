//! The step `query`: asks a backend outside of the subject and awaits the whole answer. Also the step
//! `connect`, which only opens a connection.
//!
//! Never uses a connection again after an error.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use super::attempts::attempts;
use super::connection::cut_short;
use super::{Ending, Player};
use crate::clock::stamp;
use crate::links::{Link, SPARE_BYTES};
use crate::plain_calls;
use crate::plan::{Backend, How, Query as Step};
use crate::query::QUERY_BYTES;
use crate::runtime::{Runtime, waiting};

impl<R: Runtime> Player<R> {
    pub(super) async fn query(&mut self, step: &'static Step) -> Result<(), Ending> {
        let (scene, idle, index) = (self.scene, self.idle, step.backend);
        // Given back when the connection is in its place again.
        let mut _permit = None;
        if let Some(pool) = scene.plan().backends[index].pool {
            let asked = stamp();
            _permit = waiting!(R, scene, scene.permit(index));
            scene.record_row(pool.wait_row, asked);
        }
        let asked = if step.how.is_of_runtime() {
            self.ask(index, step.new).await
        } else {
            let kept = if step.new { None } else { idle.take_plain(index) };
            let backend = &scene.plan().backends[index];
            let mut link = kept.unwrap_or_else(|| Link::new(scene, backend));
            let query = link.prepare(scene, index);
            let (address, answer_bytes) = (address_of(backend), backend.answer_bytes);
            let (link, asked) = if step.how == How::Polling {
                let asked = ask_polling::<R>(&mut link, address, answer_bytes).await;
                (link, asked)
            } else {
                let ask = move || {
                    let asked = ask_blocking(&mut link, address, answer_bytes);
                    (link, asked)
                };
                self.wait_here_or_offloaded("query", step.how, ask).await?
            };
            asked.map(|()| {
                let answer = query.check(&link.buffer[..answer_bytes]);
                if !step.new {
                    idle.put_plain(index, link.answered(answer_bytes));
                }
                answer
            })
        };
        match asked {
            Ok(answer) => answer.map_err(Ending::WrongAnswer),
            Err(error) => Err(cut_short(scene, &format!("query: {error}"))),
        }
    }

    /// Opens a connection and closes it. Its time ends when the connection is open. It is closed by a
    /// reset: otherwise its port would be taken for a second, and all ports soon be.
    pub(super) async fn connect(
        &mut self,
        backend: usize,
        how: How,
        row: Option<usize>,
    ) -> Result<(), Ending> {
        let scene = self.scene;
        let address = address_of(&scene.plan().backends[backend]);
        let begun = stamp();
        let end = |socket| {
            if let Some(row) = row {
                scene.record_row(row, begun);
            }
            plain_calls::reset_on_close(socket)
        };
        let connected = match how {
            How::Await | How::Forced => {
                let connected = waiting!(R, scene, self.runtime.connect(address));
                connected.and_then(|stream| end(R::descriptor(&stream)))
            }
            How::Polling => {
                let connected = connect_polling::<R>(address).await;
                connected.and_then(|stream| end(plain_calls::descriptor(&stream)))
            }
            How::Blocking | How::Offload => {
                let connect = move || connect_blocking(address);
                let connected = self.wait_here_or_offloaded("connect", how, connect).await?;
                connected.and_then(|stream| end(plain_calls::descriptor(&stream)))
            }
        };
        connected.map_err(|error| cut_short(scene, &format!("connect: {error}")))
    }

    /// Asks by the runtime's own operations. Returns whether the answer was right.
    async fn ask(&mut self, index: usize, new: bool) -> io::Result<Result<(), String>> {
        let (scene, idle) = (self.scene, self.idle);
        let kept = if new { None } else { idle.take(index) };
        let mut link = kept.unwrap_or_else(|| Link::new(scene, &scene.plan().backends[index]));
        let answer_bytes = scene.plan().backends[index].answer_bytes;
        let query = link.prepare(scene, index);
        let mut stream = match link.stream.take() {
            Some(stream) => stream,
            None => {
                let address = address_of(&scene.plan().backends[index]);
                waiting!(R, scene, self.runtime.connect(address)).map_err(no_connection)?
            }
        };
        let mut sent = 0;
        while sent < QUERY_BYTES {
            match waiting!(R, scene, R::write(&mut stream, &mut link.buffer, sent..QUERY_BYTES))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => sent += count,
            }
        }
        let mut filled = 0;
        while filled < answer_bytes {
            let room = filled..answer_bytes + SPARE_BYTES;
            filled += arrived(waiting!(R, scene, R::read(&mut stream, &mut link.buffer, room)))?;
        }
        check_length(filled, answer_bytes)?;
        let answer = query.check(&link.buffer[..answer_bytes]);
        if !new {
            link.stream = Some(stream);
            idle.put(index, link.answered(answer_bytes));
        }
        Ok(answer)
    }
}

/// The same by blocking calls, and without the check.
fn ask_blocking(
    link: &mut Link<TcpStream>,
    address: SocketAddr,
    answer_bytes: usize,
) -> io::Result<()> {
    let mut stream = match link.stream.take() {
        Some(stream) => stream,
        None => connect_blocking(address).map_err(no_connection)?,
    };
    stream.write_all(&link.buffer[..QUERY_BYTES])?;
    let mut filled = 0;
    while filled < answer_bytes {
        match stream.read(&mut link.buffer[filled..answer_bytes + SPARE_BYTES]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => filled += arrived(read)?,
        }
    }
    check_length(filled, answer_bytes)?;
    link.stream = Some(stream);
    Ok(())
}

/// The same by calls that do not wait, tried again and again.
async fn ask_polling<R: Runtime>(
    link: &mut Link<TcpStream>,
    address: SocketAddr,
    answer_bytes: usize,
) -> io::Result<()> {
    let stream = match link.stream.take() {
        Some(stream) => stream,
        None => connect_polling::<R>(address).await.map_err(no_connection)?,
    };
    let socket = plain_calls::descriptor(&stream);
    let mut sent = 0;
    while sent < QUERY_BYTES {
        let left = &link.buffer[sent..QUERY_BYTES];
        sent += attempts::<R, _>(|| plain_calls::try_send(socket, left)).await?;
    }
    let mut filled = 0;
    while filled < answer_bytes {
        let room = &mut link.buffer[filled..answer_bytes + SPARE_BYTES];
        let read = attempts::<R, _>(|| plain_calls::try_receive(socket, room)).await;
        filled += arrived(read)?;
    }
    check_length(filled, answer_bytes)?;
    link.stream = Some(stream);
    Ok(())
}

fn connect_blocking(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn connect_polling<R: Runtime>(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = plain_calls::stream_socket(address)?;
    plain_calls::begin_connect(&stream, address)?;
    attempts::<R, _>(|| plain_calls::try_connect(&stream)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The bytes that a read brought; none mean that the connection was closed.
fn arrived(read: io::Result<usize>) -> io::Result<usize> {
    match read? {
        0 => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the backend closed the connection before its answer was complete",
        )),
        count => Ok(count),
    }
}

fn check_length(received: usize, answer_bytes: usize) -> io::Result<()> {
    if received == answer_bytes {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "more came than the answer"))
}

fn address_of(backend: &Backend) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, backend.port))
}

fn no_connection(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("connecting to the backend: {error}"))
}
