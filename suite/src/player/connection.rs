//! The steps of a connection: receive a request, send it back.
//!
//! Never compares contents: the driver does.

use std::io;

use super::{Ending, Player};
use crate::control::MESSAGE_BYTES;
use crate::plain_calls::{self, Direction};
use crate::plan::How;
use crate::runtime::{Place, Runtime, waiting};
use crate::scene::Scene;

impl<R: Runtime> Player<R> {
    /// For the parent's control connection.
    pub(crate) fn of_control(scene: &'static Scene, runtime: R, stream: R::Stream) -> Self {
        let player = Self::new(scene, runtime, Place::CONNECTION, Some(stream));
        // No spare byte, because the next message may have arrived already.
        Self { message: vec![0; MESSAGE_BYTES], message_bytes: MESSAGE_BYTES, ..player }
    }

    /// The parent's next message; `None` when it has disconnected.
    pub(crate) async fn next_message(&mut self) -> Option<[u8; MESSAGE_BYTES]> {
        self.receive(How::Await).await.ok()?;
        self.message.as_slice().try_into().ok()
    }

    /// Receives one whole request into `self.message`.
    pub(super) async fn receive(&mut self, how: How) -> Result<(), Ending> {
        let Some(stream) = &mut self.stream else {
            return Err(no_connection("recv"));
        };
        let mut filled = 0;
        while filled < self.message_bytes {
            let wanted = filled..self.message.len();
            let received = match how {
                How::Blocking | How::Polling => {
                    let socket = R::descriptor(stream);
                    let tried = plain_calls::try_receive(socket, &mut self.message[wanted]);
                    would_block::<R>(self.scene, tried, socket, Direction::Receive, how).await
                }
                _ => waiting!(R, self.scene, R::read(stream, &mut self.message, wanted)).map(Some),
            };
            match received {
                Ok(None) => {}
                Ok(Some(0)) if filled == 0 => return Err(Ending::Closed),
                Ok(Some(0)) => {
                    return cut_short(self.scene, "recv: the peer closed in mid-request");
                }
                Ok(Some(count)) => filled += count,
                Err(error) => return cut_short(self.scene, &format!("recv: {error}")),
            }
        }
        if filled > self.message_bytes {
            return cut_short(self.scene, "recv: more came than the request");
        }
        Ok(())
    }

    /// Sends `self.message`.
    pub(super) async fn send(&mut self, how: How) -> Result<(), Ending> {
        let Some(stream) = &mut self.stream else {
            return Err(no_connection("send"));
        };
        let mut sent = 0;
        while sent < self.message_bytes {
            let left = sent..self.message_bytes;
            let count = match how {
                How::Blocking | How::Polling => {
                    let socket = R::descriptor(stream);
                    let tried = plain_calls::try_send(socket, &self.message[left]);
                    would_block::<R>(self.scene, tried, socket, Direction::Send, how).await
                }
                _ => waiting!(R, self.scene, R::write(stream, &mut self.message, left)).map(Some),
            };
            match count {
                Ok(None) => {}
                Ok(Some(0)) => return cut_short(self.scene, "send: nothing more could be written"),
                Ok(Some(count)) => sent += count,
                Err(error) => return cut_short(self.scene, &format!("send: {error}")),
            }
        }
        Ok(())
    }
}

/// Handles an attempt that would block: waits on this thread (`blocking`) or yields (`polling`).
/// `None` means that the caller has to try again.
async fn would_block<R: Runtime>(
    scene: &'static Scene,
    tried: io::Result<usize>,
    socket: plain_calls::Descriptor,
    direction: Direction,
    how: How,
) -> io::Result<Option<usize>> {
    match tried {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            if how == How::Blocking {
                let wait = async { plain_calls::wait_ready(socket, direction) };
                waiting!(R, scene, wait)?;
            } else {
                R::step_aside().await;
            }
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        tried => tried.map(Some),
    }
}

fn no_connection(step: &str) -> Ending {
    Ending::Error(format!("{step}: this task has no connection"))
}

/// An error, unless the trial is over: then the driver has closed its connections.
pub(super) fn cut_short(scene: &Scene, text: &str) -> Result<(), Ending> {
    Err(if scene.board().is_over() { Ending::Closed } else { Ending::Error(text.to_owned()) })
}
