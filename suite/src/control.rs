//! What the parent says to a root, and the driver in its place, over a loopback connection that the
//! root reads through the runtime's own I/O: the subject gets no helper thread for it.

use crate::clock::Stamp;

/// Every message has this size.
pub const MESSAGE_BYTES: usize = 16;

/// One word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Begin the groups' tasks.
    Go,
    /// Hand in the outcome.
    Stop,
    /// Hold the loop for a known time: the poll wrapper has to see it.
    Canary,
    /// Sent at this moment: how late it is read is what the loop's stalls do to others.
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
