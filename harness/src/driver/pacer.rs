//! The pacer: sends pings to a subject's roots at a steady pace, and never waits for an answer.
//!
//! Each ping carries the moment it was sent, so a late sender does not make its latency longer. The
//! schedule is fixed, with a dither, so that pings do not synchronise with periodic stalls. It is
//! kept by `Instant`, which never runs backwards.

use std::io::Write;
use std::time::{Duration, Instant};

use quadrant_reports::random::SplitMix;
use quadrant_suite::clock::stamp;
use quadrant_suite::control::Message;

/// Not a whole number of milliseconds, as the periods of other tasks often are.
const PERIOD: Duration = Duration::from_micros(4_100);
/// Each ping is due up to this much later than its period, drawn at random.
const DITHER: Duration = Duration::from_micros(500);
/// And it may be sent this much later, because a process wakes up late or is busy with an answer.
const LATENESS: Duration = Duration::from_micros(400);
/// No two pings are further apart, as long as this process gets a CPU: at least one meets any stall
/// of this length.
pub const LONGEST_GAP: Duration = PERIOD.saturating_add(DITHER).saturating_add(LATENESS);

/// Sends one ping to every root.
pub fn send_ping(controls: &mut [impl Write]) {
    for control in controls {
        // When there is no room, the unread pings before this one already show the stall.
        let _ = control.write(&Message::Ping(stamp()).encode());
    }
}

pub struct Pacer {
    /// When the period of the next ping ends, to which the dither is added.
    period_end: Instant,
    due: Instant,
    random: SplitMix,
}

impl Pacer {
    pub fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self { period_end: now, due: now, random: SplitMix(seed) }
    }

    /// Pings every root if it is time, and returns the time until the next ping.
    pub fn ping(&mut self, controls: &mut [impl Write]) -> Duration {
        let now = Instant::now();
        if now >= self.due {
            send_ping(controls);
            self.plan_next(now);
        }
        self.due.saturating_duration_since(Instant::now())
    }

    /// Delays the whole schedule.
    pub fn let_pass(&mut self, away: Duration) {
        self.period_end += away;
        self.due += away;
    }

    /// Plans the next ping after `now`. After a pause of this process the schedule continues from
    /// now: a burst of pings would count one stall many times.
    fn plan_next(&mut self, now: Instant) {
        self.period_end += PERIOD;
        if self.period_end <= now {
            self.period_end = now + PERIOD;
        }
        self.due = self.period_end + self.dither();
    }

    fn dither(&mut self) -> Duration {
        DITHER * (self.random.draw() % 1_000) as u32 / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    /// The due times, for a process that is never late and once paused.
    fn schedule(seed: u64, away: Duration) -> Vec<Duration> {
        let mut pacer = Pacer::new(seed);
        let began = pacer.due;
        let mut sent = Vec::new();
        for index in 0..2_000 {
            let now = if index == 1_000 { pacer.due + away } else { pacer.due };
            sent.push(now - began);
            pacer.plan_next(now);
        }
        sent
    }

    #[test]
    fn no_two_pings_are_further_apart_than_promised() {
        for seed in 0..50 {
            let sent = schedule(seed, Duration::ZERO);
            for pair in sent.windows(2) {
                let gap = pair[1] - pair[0];
                assert!((PERIOD - DITHER..=LONGEST_GAP - LATENESS).contains(&gap), "{gap:?}");
            }
            // Neither faster nor slower in the long run.
            let mean = (sent[1_999] - sent[0]) / 1_999;
            assert!(mean.abs_diff(PERIOD) < PERIOD / 100, "{mean:?}");
        }
    }

    #[test]
    fn a_pause_is_not_followed_by_a_burst() {
        for seed in 0..50 {
            let sent = schedule(seed, Duration::from_millis(103));
            let gap = sent[1_000] - sent[999];
            assert!(gap >= Duration::from_millis(103), "{gap:?}");
            let then = sent[1_001] - sent[1_000];
            assert!(then <= LONGEST_GAP && then > Duration::ZERO, "{then:?}");
        }
    }

    #[test]
    fn a_frozen_subject_gets_its_usual_ping_rate() {
        let mut pacer = Pacer::new(5);
        let began = pacer.due;
        let (mut now, mut away, mut sent) = (began, Duration::ZERO, 0);
        // Turns of 10 ms, and as long away after each.
        while now - began < Duration::from_secs(8) {
            let end = now + Duration::from_millis(10);
            while pacer.due < end {
                now = pacer.due;
                pacer.plan_next(now);
                sent += 1;
            }
            now = end + Duration::from_millis(10);
            away += Duration::from_millis(10);
            pacer.let_pass(Duration::from_millis(10));
        }
        let periods = ((now - began - away).as_nanos() / PERIOD.as_nanos()) as i32;
        assert!((sent - periods).abs() <= 2, "{sent} pings in {periods} periods");
    }

    #[test]
    fn pings_are_spaced_and_carry_rising_stamps() {
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
        assert!((2..=17).contains(&stamps.len()), "{}", stamps.len());
        assert!(stamps.is_sorted());
    }
}
