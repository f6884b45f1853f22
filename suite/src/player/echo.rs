//! A connection whose program is `recv, send` and nothing else.
//!
//! The same as a player that runs this program for ever, but without the cost of finding the next
//! step and with a smaller future. Never used for any other program.

use super::Ending;
use super::connection::{has_arrived, received_some, sent_some};
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
        while !has_arrived(scene, &mut requests)? {
            let room = requests.room();
            let received = waiting!(R, scene, R::read(&mut stream, &mut requests.buffer, room));
            received_some(scene, &mut requests, received)?;
        }
        let mut left = requests.current();
        while !left.is_empty() {
            let sent =
                waiting!(R, scene, R::write(&mut stream, &mut requests.buffer, left.clone()));
            sent_some(scene, &mut left, sent)?;
        }
    }
}
