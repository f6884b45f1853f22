//! A connection whose program is `recv, send` and nothing else.
//!
//! The same as a player that runs this program for ever, but without the cost of finding the next
//! step and with a smaller future. Never used for any other program.

use super::Ending;
use super::connection::cut_short;
use super::requests::Requests;
use crate::plan::Server;
use crate::runtime::{Runtime, waiting};
use crate::scene::Scene;

/// Serves requests until the peer closes.
pub(crate) async fn echo<R: Runtime>(
    scene: &'static Scene,
    mut stream: R::Stream,
    server: &Server,
) -> Result<(), Ending> {
    let mut requests = Requests::of(server);
    loop {
        loop {
            match requests.advance() {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => return Err(cut_short(scene, error)),
            }
            let room = requests.room();
            match waiting!(R, scene, R::read(&mut stream, &mut requests.buffer, room)) {
                Ok(0) if requests.is_at_end() => return Err(Ending::Closed),
                Ok(0) => return Err(cut_short(scene, "recv: the peer closed in mid-request")),
                Ok(count) => requests.add(count),
                Err(error) => return Err(cut_short(scene, &format!("recv: {error}"))),
            }
        }
        let mut left = requests.current();
        while !left.is_empty() {
            match waiting!(R, scene, R::write(&mut stream, &mut requests.buffer, left.clone())) {
                Ok(0) => return Err(cut_short(scene, "send: nothing more could be written")),
                Ok(count) => left.start += count,
                Err(error) => return Err(cut_short(scene, &format!("send: {error}"))),
            }
        }
    }
}
