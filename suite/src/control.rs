//! Messages from the parent (or from the driver in its place) to a root.
//!
//! They travel over a loopback connection that the root reads through the runtime's own I/O, so the
//! subject never needs a helper thread for them.

use crate::clock::Stamp;

/// Every message has this size.
pub const MESSAGE_BYTES: usize = 16;

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Begin the groups' tasks.
    Go,
    /// Hand in the outcome.
    Stop,
    /// Hold the loop for a known time, which the poll wrapper has to detect.
    Canary,
    /// Sent at this moment; the delay until it is read is the impact of the loop's stalls.
    Ping(Stamp),
}

impl Message {
    pub fn encode(self) -> [u8; MESSAGE_BYTES] {
        let mut bytes = [0; MESSAGE_BYTES];
        bytes[0] = match self {
            Message::Go => 1,
            Message::Stop => 2,
            Message::Ping(sent) => {
                bytes[8..].copy_from_slice(&sent.to_le_bytes());
                3
            }
            Message::Canary => 4,
        };
        bytes
    }

    pub fn decode(bytes: &[u8; MESSAGE_BYTES]) -> Option<Message> {
        match bytes[0] {
            1 => Some(Message::Go),
            2 => Some(Message::Stop),
            3 => Some(Message::Ping(u64::from_le_bytes(bytes[8..].try_into().ok()?))),
            4 => Some(Message::Canary),
            _ => None,
        }
    }
}
