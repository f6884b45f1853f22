//! A connection whose program is `recv, send` and nothing else.
//!
//! The same as a player that runs this program for ever, but without the cost of finding the next
//! step and with a smaller future. Never used for any other program.

use super::connection::cut_short;
use super::{Ending, SPARE_BYTES};
use crate::runtime::{Runtime, waiting};
use crate::scene::Scene;

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
