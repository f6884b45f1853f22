//! One stream in two tasks.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::{Connection, broken, connect};
use super::{Lab, Verdict, checks};
use crate::check_part::{SharedStream, Signal, Use};
use crate::runtime::Runtime;

checks! {
    "rw-two-tasks", Task, Must, [Share], read_and_write,
        "Are two tasks both woken, of which one reads a stream and the other writes it?",
        "A loop that keeps one waker for each socket loses one of them, and the connection stands still.";
    "two-readers", Task, Differs("wakes both", "strands one", "strands bytes"), [Share], two_readers,
        "Two tasks read one stream: is each byte read once, and does each task see the end?",
        "Only some runtimes wake both; on the others one of the tasks waits for ever.";
}

/// What the two tasks have done so far.
#[derive(Clone, Default)]
struct Progress {
    read: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Progress {
    fn reader<S>(&self, stream: &Arc<S>) -> SharedStream<S> {
        let (read, ended) = (Arc::clone(&self.read), Arc::clone(&self.ended));
        SharedStream {
            stream: Arc::clone(stream),
            how: Use::Read,
            goes_on: Box::new(move |result| {
                let count = result.unwrap_or(0);
                read.fetch_add(count as u64, SeqCst);
                if count == 0 {
                    ended.fetch_add(1, SeqCst);
                }
                count > 0
            }),
        }
    }

    fn writer<S>(&self, stream: &Arc<S>) -> SharedStream<S> {
        let (written, stop) = (Arc::clone(&self.written), Arc::clone(&self.stop));
        SharedStream {
            stream: Arc::clone(stream),
            how: Use::Write,
            goes_on: Box::new(move |result| {
                let count = result.unwrap_or(0);
                written.fetch_add(count as u64, SeqCst);
                count > 0 && !stop.load(SeqCst)
            }),
        }
    }
}

/// Waits on a thread of the system until this holds.
fn comes_true(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

const WOKEN_WITHIN: Duration = Duration::from_secs(3);

async fn read_and_write<R: Runtime>(lab: &Lab<R>) -> Verdict {
    for starts_with_reader in [true, false] {
        let Connection { ours, peer } = match connect(lab).await {
            Ok(connection) => connection,
            Err(error) => return broken(&error),
        };
        let (ours, progress) = (Arc::new(ours), Progress::default());
        if starts_with_reader {
            lab.start_shared(progress.reader(&ours));
            lab.pause(Duration::from_millis(20)).await;
            lab.start_shared(progress.writer(&ours));
        } else {
            lab.start_shared(progress.writer(&ours));
            lab.pause(Duration::from_millis(20)).await;
            lab.start_shared(progress.reader(&ours));
        }
        let over = Signal::default();
        let (sender, sees) = (over.clone(), progress.clone());
        let client = thread::spawn(move || {
            let verdict = wake_both(peer, &sees);
            sender.set();
            verdict
        });
        over.wait().await;
        match client.join() {
            Ok(Ok(())) => {}
            Ok(Err(seen)) => return Verdict::fail(seen),
            Err(_) => return Verdict::fail("the peer panicked"),
        }
    }
    Verdict::pass("both were woken, whichever of them waited first")
}

/// The peer: waits until the writer is held, wakes the reader, and then the writer.
fn wake_both(mut peer: TcpStream, progress: &Progress) -> Result<(), String> {
    const STEADY: Duration = Duration::from_millis(200);
    let mut last = u64::MAX;
    while last != progress.written.load(SeqCst) {
        last = progress.written.load(SeqCst);
        thread::sleep(STEADY);
    }
    let _ = peer.write_all(b"x");
    if !comes_true(WOKEN_WITHIN, || progress.read.load(SeqCst) == 1) {
        return Err(format!(
            "a byte was not read within {} s, while another task waited to write",
            WOKEN_WITHIN.as_secs()
        ));
    }
    let held = progress.written.load(SeqCst);
    let drain = peer.try_clone().map_err(|error| error.to_string())?;
    thread::spawn(move || {
        let mut drain = drain;
        let mut buffer = vec![0; 64 * 1024];
        while matches!(drain.read(&mut buffer), Ok(1..)) {}
    });
    let goes_on = comes_true(WOKEN_WITHIN, || progress.written.load(SeqCst) > held);
    progress.stop.store(true, SeqCst);
    // Ends the reader.
    let _ = peer.shutdown(Shutdown::Write);
    if goes_on {
        return Ok(());
    }
    Err(format!(
        "a writer did not go on within {} s, while another task waited to read",
        WOKEN_WITHIN.as_secs()
    ))
}

async fn two_readers<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const BYTES: u64 = 100;
    let Connection { ours, mut peer } = match connect(lab).await {
        Ok(connection) => connection,
        Err(error) => return broken(&error),
    };
    let (ours, progress) = (Arc::new(ours), Progress::default());
    lab.start_shared(progress.reader(&ours));
    lab.start_shared(progress.reader(&ours));
    lab.pause(Duration::from_millis(20)).await;
    let over = Signal::default();
    let (sender, sees) = (over.clone(), progress.clone());
    thread::spawn(move || {
        for sent in 1..=BYTES {
            let _ = peer.write_all(b"x");
            if !comes_true(WOKEN_WITHIN, || sees.read.load(SeqCst) == sent) {
                break;
            }
        }
        let _ = peer.shutdown(Shutdown::Write);
        comes_true(WOKEN_WITHIN, || sees.ended.load(SeqCst) == 2);
        sender.set();
    });
    over.wait().await;
    let (read, ended) = (progress.read.load(SeqCst), progress.ended.load(SeqCst));
    match (read, ended) {
        (BYTES, 2) => Verdict::answer("wakes both", "each byte was read once"),
        (BYTES, _) => Verdict::answer(
            "strands one",
            format!("{BYTES} bytes were read, and {ended} of 2 tasks saw the end"),
        ),
        _ => Verdict::answer(
            "strands bytes",
            format!("{read} of {BYTES} bytes were read, and {ended} of 2 tasks saw the end"),
        ),
    }
}
