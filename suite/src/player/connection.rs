//! The steps of a connection: receive a request, send it back.
//!
//! Never compares contents: the driver does.

use std::io;
use std::mem::take;
use std::ops::Range;

use super::attempts::attempts;
use super::requests::Requests;
use super::{Ending, Player};
use crate::control::MESSAGE_BYTES;
use crate::plain_calls::{self, Descriptor};
use crate::plan::How;
use crate::runtime::{Place, Runtime, waiting};
use crate::scene::Scene;

impl<R: Runtime> Player<R> {
    /// For the parent's control connection.
    pub(crate) fn of_control(scene: &'static Scene, runtime: R, stream: R::Stream) -> Self {
        let player = Self::new(scene, runtime, Place::CONNECTION, Some(stream));
        Self { requests: Requests::exactly(MESSAGE_BYTES), ..player }
    }

    /// The parent's next message; `None` when it has disconnected.
    pub(crate) async fn next_message(&mut self) -> Option<[u8; MESSAGE_BYTES]> {
        self.receive(How::Await).await.ok()?;
        self.requests.buffer[self.requests.current()].try_into().ok()
    }

    /// Receives one whole request.
    pub(super) async fn receive(&mut self, how: How) -> Result<(), Ending> {
        let Some(stream) = &mut self.stream else {
            return Err(no_connection("recv"));
        };
        let requests = &mut self.requests;
        while !has_arrived(self.scene, requests)? {
            let room = requests.room();
            let received = match how {
                How::Blocking => {
                    let socket = R::descriptor(stream);
                    let call = async { plain_calls::receive(socket, &mut requests.buffer[room]) };
                    waiting!(R, self.scene, call)
                }
                How::Polling => {
                    let socket = R::descriptor(stream);
                    let room = &mut requests.buffer[room];
                    attempts::<R, _>(|| plain_calls::try_receive(socket, room)).await
                }
                _ => waiting!(R, self.scene, R::read(stream, &mut requests.buffer, room)),
            };
            received_some(self.scene, requests, received)?;
        }
        Ok(())
    }

    /// The same by a blocking call on the runtime's pool.
    pub(super) async fn receive_offloaded(&mut self) -> Result<(), Ending> {
        let socket = self.socket("recv")?;
        while !has_arrived(self.scene, &mut self.requests)? {
            let room = self.requests.room();
            let mut buffer = take(&mut self.requests.buffer);
            let job = move || {
                let received = plain_calls::receive(socket, &mut buffer[room]);
                (buffer, received)
            };
            let (buffer, received) = self.wait_here_or_offloaded("recv", How::Offload, job).await?;
            self.requests.buffer = buffer;
            received_some(self.scene, &mut self.requests, received)?;
        }
        Ok(())
    }

    /// Sends the current request back.
    pub(super) async fn send(&mut self, how: How) -> Result<(), Ending> {
        let Some(stream) = &mut self.stream else {
            return Err(no_connection("send"));
        };
        let mut left = self.requests.current();
        let message = &mut self.requests.buffer;
        while !left.is_empty() {
            let sent = match how {
                How::Blocking => {
                    let socket = R::descriptor(stream);
                    let call = async { plain_calls::send(socket, &message[left.clone()]) };
                    waiting!(R, self.scene, call)
                }
                How::Polling => {
                    let socket = R::descriptor(stream);
                    let part = &message[left.clone()];
                    attempts::<R, _>(|| plain_calls::try_send(socket, part)).await
                }
                _ => waiting!(R, self.scene, R::write(stream, message, left.clone())),
            };
            sent_some(self.scene, &mut left, sent)?;
        }
        Ok(())
    }

    /// The same by a blocking call on the runtime's pool.
    pub(super) async fn send_offloaded(&mut self) -> Result<(), Ending> {
        let socket = self.socket("send")?;
        let mut left = self.requests.current();
        while !left.is_empty() {
            let message = take(&mut self.requests.buffer);
            let part = left.clone();
            let job = move || {
                let sent = plain_calls::send(socket, &message[part]);
                (message, sent)
            };
            let (message, sent) = self.wait_here_or_offloaded("send", How::Offload, job).await?;
            self.requests.buffer = message;
            sent_some(self.scene, &mut left, sent)?;
        }
        Ok(())
    }

    fn socket(&self, step: &str) -> Result<Descriptor, Ending> {
        self.stream.as_ref().map(R::descriptor).ok_or_else(|| no_connection(step))
    }
}

/// Whether a whole request is in the buffer.
#[inline]
pub(super) fn has_arrived(scene: &Scene, requests: &mut Requests) -> Result<bool, Ending> {
    requests.advance().map_err(|error| cut_short(scene, error))
}

#[inline]
pub(super) fn received_some(
    scene: &Scene,
    requests: &mut Requests,
    received: io::Result<usize>,
) -> Result<(), Ending> {
    match received {
        Ok(0) if requests.is_at_end() => Err(Ending::Closed),
        Ok(0) => Err(cut_short(scene, "recv: the peer closed in mid-request")),
        Ok(count) => {
            requests.add(count);
            Ok(())
        }
        Err(error) => Err(cut_short(scene, &format!("recv: {error}"))),
    }
}

#[inline]
pub(super) fn sent_some(
    scene: &Scene,
    left: &mut Range<usize>,
    sent: io::Result<usize>,
) -> Result<(), Ending> {
    match sent {
        Ok(0) => Err(cut_short(scene, "send: nothing more could be written")),
        Ok(count) => {
            left.start += count;
            Ok(())
        }
        Err(error) => Err(cut_short(scene, &format!("send: {error}"))),
    }
}

fn no_connection(step: &str) -> Ending {
    Ending::Error(format!("{step}: this task has no connection"))
}

/// An error, unless the trial is over: then the driver has closed its connections.
pub(super) fn cut_short(scene: &Scene, text: &str) -> Ending {
    if scene.board().is_over() { Ending::Closed } else { Ending::Error(text.to_owned()) }
}
