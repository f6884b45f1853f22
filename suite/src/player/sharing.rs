//! The steps by which tasks wait for each other: `lock`, `barrier`, `send_to` and `receive_from`.
//!
//! Never trusts what they share: what a lock, a channel or a barrier promises is counted beside it.

use super::attempts::looks;
use super::{Ending, Player};
use crate::clock::stamp;
use crate::plan::How;
use crate::runtime::{Runtime, waiting};
use crate::shared::{Barrier, Channel, Mutex, Shared};

impl<R: Runtime> Player<R> {
    /// Runs a program inside a lock.
    pub(super) async fn lock(
        &mut self,
        lock: usize,
        program: usize,
        row: usize,
        how: How,
    ) -> Result<(), Ending> {
        let state = &self.scene.shared.locks[lock];
        let mutex = state.object.mutex::<<R::Shared as Shared>::Mutex>();
        let asked = stamp();
        let guard = match how {
            How::Polling => looks::<R, _>(mutex.acquire()).await,
            How::Forced => waiting!(R, self.scene, async { R::wait_here(mutex.acquire()) }),
            _ => waiting!(R, self.scene, mutex.acquire()),
        };
        self.scene.record_row(row, asked);
        // Dropped before the guard, also where a timeout drops both.
        let inside = state.enter().map_err(Ending::WrongAnswer)?;
        let mut inner = self.inner();
        let ended = Box::pin(inner.play(program, false)).await;
        drop(inside);
        drop(guard);
        self.files_read = inner.files_read;
        ended
    }

    /// Waits for all tasks of the group.
    pub(super) async fn barrier(&mut self, barrier: usize, row: usize) -> Result<(), Ending> {
        let state = &self.scene.shared.barriers[barrier];
        let object = state.object.barrier::<<R::Shared as Shared>::Barrier>(state.tasks);
        let expected = state.arrive();
        waiting!(R, self.scene, object.wait());
        let released = state.released(expected).map_err(Ending::WrongAnswer)?;
        self.scene.record_row(row, released);
        Ok(())
    }

    pub(super) async fn send_to(&mut self, channel: usize, first: u32) -> Result<(), Ending> {
        let state = &self.scene.shared.channels[channel];
        let message = state.next(first + self.place.index);
        let object = state.object.channel::<<R::Shared as Shared>::Channel>(state.capacity);
        waiting!(R, self.scene, object.send(message))
            .map_err(|error| Ending::error("send_to", &error))
    }

    pub(super) async fn receive_from(&mut self, channel: usize, first: u32) -> Result<(), Ending> {
        let state = &self.scene.shared.channels[channel];
        let object = state.object.channel::<<R::Shared as Shared>::Channel>(state.capacity);
        let message = waiting!(R, self.scene, object.receive())
            .map_err(|error| Ending::error("receive_from", &error))?;
        state.check(first + self.place.index, message).map_err(Ending::WrongAnswer)
    }
}
