//! Echo without a runtime: a thread per connection, and blocking calls.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use quadrant_suite::board::TOKEN_BYTES;
use quadrant_suite::control::MESSAGE_BYTES;
use quadrant_suite::plain_calls;
use quadrant_suite::runtime::Refusal;
use quadrant_suite::scene::Scene;

pub(crate) fn run(scene: &'static Scene) -> Result<(), Refusal> {
    // The backlog of `bind` is 128, which is too small for a burst.
    let listener = plain_calls::listen(crate::ANY)?;
    let control = TcpListener::bind(crate::ANY)?;
    scene.board().publish_server(listener.local_addr()?.port());
    let buffer_bytes = crate::buffer_bytes(scene);
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            thread::spawn(move || echo(scene, stream, buffer_bytes));
        }
    });
    scene.open_root(0, control.local_addr()?.port(), 1);
    let mut parent = loop {
        let (stream, from) = control.accept()?;
        if scene.is_parent(0, Some(from.port())) {
            break stream;
        }
    };
    let mut message = [0; MESSAGE_BYTES];
    while parent.read_exact(&mut message).is_ok() {
        crate::hear(scene, &message);
    }
    Ok(())
}

fn echo(scene: &Scene, mut stream: TcpStream, buffer_bytes: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut token = [0; TOKEN_BYTES];
    stream.read_exact(&mut token)?;
    if !scene.is_driver(&token) {
        return Ok(());
    }
    let mut buffer = vec![0; buffer_bytes];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}
