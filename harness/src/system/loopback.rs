//! Whether processes of this machine can reach each other at 127.0.0.1.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1);

/// What is wrong with the loopback interface. In a new network namespace it is there and off.
pub fn fault() -> Option<String> {
    let error = connect().err()?;
    Some(format!(
        "this machine's loopback interface (127.0.0.1) does not work: {error}; switch it on: \
         `ip link set lo up`"
    ))
}

fn connect() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    TcpStream::connect_timeout(&listener.local_addr()?, LIMIT).map(drop)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tests_have_a_loopback_interface() {
        assert_eq!(super::fault(), None);
    }
}
