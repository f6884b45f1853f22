//! The step `query`: asks a backend outside of the subject and awaits the whole answer.
//!
//! A connection is used by one query at a time and kept for the next one. Never shares a connection
//! between roots: where each worker has its own loop, a connection cannot move to another.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::connection::cut_short;
use super::{Ending, Player, SPARE_BYTES};
use crate::clock::stamp;
use crate::plan::{Backend, How, Query as Step};
use crate::query::{QUERY_BYTES, Query};
use crate::runtime::{Runtime, waiting};
use crate::scene::Scene;

/// The connections of one root that no query uses. A type of its own around the reference, because the
/// compiler can prove a future `Send` that holds it, but not one that holds a bare reference.
pub(crate) struct Idle<S: 'static>(Option<&'static [Kept<S>]>);

/// Those to one backend.
struct Kept<S> {
    /// The runtime's own.
    own: Mutex<Vec<Link<S>>>,
    /// Those of blocking calls.
    plain: Mutex<Vec<Link<TcpStream>>>,
}

/// A connection to a backend.
struct Link<S> {
    /// Nothing before the first query.
    stream: Option<S>,
    /// Its number, which is in every query and decides the answer.
    identity: u64,
    /// Bytes answered so far.
    position: u64,
    /// For the query, and then for the answer with a spare byte: what exceeds an answer is seen.
    buffer: Vec<u8>,
}

impl<S> Clone for Idle<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Idle<S> {}

impl<S> Idle<S> {
    /// Where there are no backends, and for checks.
    pub(crate) const NONE: Self = Self(None);

    /// For a root and its tasks, as long as the process lives.
    pub(crate) fn of_root(backends: &[Backend]) -> Self {
        if backends.is_empty() {
            return Self::NONE;
        }
        let kept = |_| Kept { own: Mutex::default(), plain: Mutex::default() };
        Self(Some(Box::leak(backends.iter().map(kept).collect())))
    }

    fn of(self, backend: usize) -> Option<&'static Kept<S>> {
        self.0?.get(backend)
    }

    fn take(self, backend: usize) -> Option<Link<S>> {
        lock(&self.of(backend)?.own).pop()
    }

    fn put(self, backend: usize, link: Link<S>) {
        if let Some(kept) = self.of(backend) {
            lock(&kept.own).push(link);
        }
    }

    fn take_plain(self, backend: usize) -> Option<Link<TcpStream>> {
        lock(&self.of(backend)?.plain).pop()
    }

    fn put_plain(self, backend: usize, link: Link<TcpStream>) {
        if let Some(kept) = self.of(backend) {
            lock(&kept.plain).push(link);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S> Link<S> {
    fn new(scene: &Scene, backend: &Backend) -> Self {
        let bytes = (backend.answer_bytes + SPARE_BYTES).max(QUERY_BYTES);
        let (identity, buffer) = (scene.number_link(), vec![0; bytes]);
        Self { stream: None, identity, position: 0, buffer }
    }

    /// Puts the next query into the buffer.
    fn prepare(&mut self, scene: &Scene, backend: usize) -> Query {
        let Self { identity, position, .. } = *self;
        let token = scene.board().token();
        let query = Query { token, backend: backend as u64, identity, position };
        self.buffer[..QUERY_BYTES].copy_from_slice(&query.encode());
        query
    }

    /// Ready for the next query.
    fn answered(mut self, answer_bytes: usize) -> Self {
        self.position += answer_bytes as u64;
        self
    }
}

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
        let asked = if step.how == How::Await {
            self.ask(index, step.new).await
        } else {
            let kept = if step.new { None } else { idle.take_plain(index) };
            let backend = &scene.plan().backends[index];
            let mut link = kept.unwrap_or_else(|| Link::new(scene, backend));
            let query = link.prepare(scene, index);
            let (address, answer_bytes) = (address_of(backend), backend.answer_bytes);
            let ask = move || {
                let asked = ask_blocking(&mut link, address, answer_bytes);
                (link, asked)
            };
            let (link, asked) = self.wait_here_or_offloaded("query", step.how, ask).await?;
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
            Err(error) => cut_short(scene, &format!("query: {error}")),
        }
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
        None => TcpStream::connect(address)
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(no_connection)?,
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
