//! The pacer: sends pings at a steady pace, whatever becomes of them.
//!
//! Each carries the moment it was sent, so a late parent makes no late ping. They go out on a
//! fixed schedule with a dither, lest they fall into step with what they are to find. The schedule
//! is kept by `Instant`, which the standard library never lets run backwards.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use quadrant_suite::clock::stamp;
use quadrant_suite::control::Message;

/// 200 pings a second find a stall of this length and more.
pub const PERIOD: Duration = Duration::from_millis(5);

pub struct Pacer {
    began: Instant,
    sent: u32,
    chance: u64,
    due: Instant,
}

impl Pacer {
    pub fn new(seed: u64) -> Self {
        let began = Instant::now();
        Self { began, sent: 0, chance: seed | 1, due: began }
    }

    /// Pings every root if it is time, and says how long it is until the next time.
    pub fn ping(&mut self, controls: &mut [TcpStream]) -> Duration {
        let now = Instant::now();
        if now >= self.due {
            for control in controls {
                // One that finds no room would tell nothing that those before it do not.
                let _ = control.write(&Message::Ping(stamp()).encode());
            }
            // After a pause of this process, the schedule goes on from now: pings sent in a
            // heap would count one stall many times.
            self.sent = (now - self.began).as_nanos().div_ceil(PERIOD.as_nanos()) as u32;
            self.due = self.began + PERIOD * self.sent + self.dither();
            if self.due <= now {
                self.due += PERIOD;
            }
        }
        self.due.saturating_duration_since(Instant::now())
    }

    /// Up to half a period.
    fn dither(&mut self) -> Duration {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        PERIOD / 2 * (self.chance % 1_000) as u32 / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn pings_are_sent_apart_and_carry_rising_stamps() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut root, _) = listener.accept().unwrap();
        let mut controls = [client];
        let mut pacer = Pacer::new(3);
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(60) {
            let left = pacer.ping(&mut controls);
            assert!(left <= PERIOD * 2);
            std::thread::sleep(left);
        }
        drop(controls);
        let mut bytes = Vec::new();
        root.read_to_end(&mut bytes).unwrap();
        let stamps: Vec<u64> = bytes
            .chunks_exact(16)
            .map(|chunk| match Message::decode(chunk.try_into().unwrap()) {
                Some(Message::Ping(sent)) => sent,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!((2..=14).contains(&stamps.len()), "{}", stamps.len());
        assert!(stamps.is_sorted());
    }
}
