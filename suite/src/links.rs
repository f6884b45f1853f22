//! The connections to backends: each is used by one query at a time and kept for the next one.
//!
//! Never shares a connection between roots: where each worker has its own loop, a connection cannot
//! move to another.

use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::plan::Backend;
use crate::query::{QUERY_BYTES, Query};
use crate::scene::Scene;

/// In a buffer, behind the answer.
pub(crate) const SPARE_BYTES: usize = 1;

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
pub(crate) struct Link<S> {
    /// Nothing before the first query.
    pub(crate) stream: Option<S>,
    /// Its number, which is in every query and decides the answer.
    identity: u64,
    /// Bytes answered so far.
    position: u64,
    /// For the query, and then for the answer with a spare byte: what exceeds an answer is seen.
    pub(crate) buffer: Vec<u8>,
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

    pub(crate) fn take(self, backend: usize) -> Option<Link<S>> {
        lock(&self.of(backend)?.own).pop()
    }

    pub(crate) fn put(self, backend: usize, link: Link<S>) {
        if let Some(kept) = self.of(backend) {
            lock(&kept.own).push(link);
        }
    }

    pub(crate) fn take_plain(self, backend: usize) -> Option<Link<TcpStream>> {
        lock(&self.of(backend)?.plain).pop()
    }

    pub(crate) fn put_plain(self, backend: usize, link: Link<TcpStream>) {
        if let Some(kept) = self.of(backend) {
            lock(&kept.plain).push(link);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S> Link<S> {
    pub(crate) fn new(scene: &Scene, backend: &Backend) -> Self {
        let bytes = (backend.answer_bytes + SPARE_BYTES).max(QUERY_BYTES);
        let (identity, buffer) = (scene.number_link(), vec![0; bytes]);
        Self { stream: None, identity, position: 0, buffer }
    }

    /// Puts the next query into the buffer.
    pub(crate) fn prepare(&mut self, scene: &Scene, backend: usize) -> Query {
        let Self { identity, position, .. } = *self;
        let token = scene.board().token();
        let query = Query { token, backend: backend as u64, identity, position };
        self.buffer[..QUERY_BYTES].copy_from_slice(&query.encode());
        query
    }

    /// Ready for the next query.
    pub(crate) fn answered(mut self, answer_bytes: usize) -> Self {
        self.position += answer_bytes as u64;
        self
    }
}
