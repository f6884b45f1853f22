//! What tasks share: tokio's own lock, channel and barrier.

use std::io;

use quadrant_suite::shared::{Barrier, Channel, Message, Mutex};
use tokio::sync::mpsc::{self, Receiver, Sender};

pub(super) type OfTokio = (TokioMutex, TokioChannel, TokioBarrier);

#[derive(Default)]
pub(super) struct TokioMutex(tokio::sync::Mutex<()>);

impl Mutex for TokioMutex {
    const NAME: &'static str = "tokio::sync::Mutex";
    type Guard = tokio::sync::MutexGuard<'static, ()>;

    fn make() -> Self {
        Self::default()
    }

    fn acquire(&'static self) -> impl Future<Output = Self::Guard> {
        self.0.lock()
    }
}

/// Several consumers take turns at the only receiver, as users of tokio let them.
pub(super) struct TokioChannel {
    sender: Sender<Message>,
    receiver: tokio::sync::Mutex<Receiver<Message>>,
}

impl Channel for TokioChannel {
    const NAME: &'static str = "tokio::sync::mpsc";

    fn make(capacity: usize) -> Self {
        let (sender, receiver) = mpsc::channel(capacity);
        Self { sender, receiver: receiver.into() }
    }

    async fn send(&'static self, message: Message) -> io::Result<()> {
        self.sender.send(message).await.map_err(io::Error::other)
    }

    async fn receive(&'static self) -> io::Result<Message> {
        let received = self.receiver.lock().await.recv().await;
        received.ok_or_else(|| io::Error::other("the channel was closed"))
    }
}

pub(super) struct TokioBarrier(tokio::sync::Barrier);

impl Barrier for TokioBarrier {
    const NAME: &'static str = "tokio::sync::Barrier";

    fn make(tasks: usize) -> Self {
        Self(tokio::sync::Barrier::new(tasks))
    }

    async fn wait(&'static self) {
        self.0.wait().await;
    }
}
