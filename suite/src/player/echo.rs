//! A connection that does nothing but `recv, send`.
//!
//! The same as playing that program for ever, without what finding the next step costs, and
//! without the rest of a player: each poll of a task fetches what it touches of it from memory.

use super::connection::cut_short;
use super::{Ending, SPARE_BYTES};
use crate::runtime::Runtime;
use crate::scene::Scene;
use crate::task::waiting;

/// Serves requests of `whole` bytes until the peer closes.
pub(crate) async fn echo<R: Runtime>(
    scene: &'static Scene,
    mut stream: R::Stream,
    whole: usize,
) -> Result<(), Ending> {
    let mut buffer = vec![0; whole + SPARE_BYTES];
    loop {
        let mut filled = 0;
        while filled < whole {
            let room = filled..buffer.len();
            match waiting!(R, scene, R::read(&mut stream, &mut buffer, room)) {
                Ok(0) if filled == 0 => return Err(Ending::Closed),
                Ok(0) => return cut_short(scene, "recv: the peer closed in mid-request"),
                Ok(count) => filled += count,
                Err(error) => return cut_short(scene, &format!("recv: {error}")),
            }
        }
        if filled > whole {
            return cut_short(scene, "recv: more came than the request");
        }
        let mut sent = 0;
        while sent < whole {
            match waiting!(R, scene, R::write(&mut stream, &mut buffer, sent..whole)) {
                Ok(0) => return cut_short(scene, "send: nothing more could be written"),
                Ok(count) => sent += count,
                Err(error) => return cut_short(scene, &format!("send: {error}")),
            }
        }
    }
}
