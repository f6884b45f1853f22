//! What tasks share: the lock, channel and barrier of the standard library, which block.

use std::io;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{MutexGuard, PoisonError};

use quadrant_suite::shared::{Barrier, Channel, Message, Mutex};

pub(super) type OfStd = (StdMutex, StdChannel, StdBarrier);

#[derive(Default)]
pub(super) struct StdMutex(std::sync::Mutex<()>);

impl Mutex for StdMutex {
    const NAME: &'static str = "std::sync::Mutex";
    type Guard = MutexGuard<'static, ()>;

    fn make() -> Self {
        Self::default()
    }

    async fn acquire(&'static self) -> Self::Guard {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Several consumers take turns at the only receiver.
pub(super) struct StdChannel {
    sender: SyncSender<Message>,
    receiver: std::sync::Mutex<Receiver<Message>>,
}

impl Channel for StdChannel {
    const NAME: &'static str = "std::sync::mpsc";

    fn make(capacity: usize) -> Self {
        let (sender, receiver) = mpsc::sync_channel(capacity);
        Self { sender, receiver: receiver.into() }
    }

    async fn send(&'static self, message: Message) -> io::Result<()> {
        self.sender.send(message).map_err(io::Error::other)
    }

    async fn receive(&'static self) -> io::Result<Message> {
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.recv().map_err(io::Error::other)
    }
}

pub(super) struct StdBarrier(std::sync::Barrier);

impl Barrier for StdBarrier {
    const NAME: &'static str = "std::sync::Barrier";

    fn make(tasks: usize) -> Self {
        Self(std::sync::Barrier::new(tasks))
    }

    async fn wait(&'static self) {
        self.0.wait();
    }
}
