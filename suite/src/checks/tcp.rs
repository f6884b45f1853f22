//! TCP: what a runtime does when a peer behaves badly, or stops.
//!
//! The peer is always a thread of the system with plain blocking calls.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use super::connection::{Connection, accept, broken, connect, listen, reach};
use super::lab::poll_once;
use super::process::count;
use super::{Lab, Verdict, checks};
use crate::check_part::{Part, Signal};
use crate::runtime::Runtime;

checks! {
    "io-vs-ready", Task, Must, [Tcp], read_beside_ready,
        "Is a socket read beside a task that always yields?",
        "A loop that polls its sockets only when it is idle starves all connections.";
    "half-close", Task, Must, [Tcp], half_close,
        "After the peer's last byte, is the other direction still open?",
        "Clients that end their request by closing their side wait for an answer.";
    "rst", Task, Must, [Tcp], reset,
        "Does a read end when the peer resets the connection?",
        "A read that hangs keeps the connection and its memory for ever.";
    "backpressure", Task, Must, [Tcp], backpressure,
        "Is a writer held when its peer does not read?",
        "Without it, one slow client fills the memory.";
    "unread-idle", Task, Must, [Tcp], unread_idle,
        "Is the loop idle while data waits that no task reads?",
        "A loop that looks at such a socket again and again uses a whole CPU.";
    "fd-reuse", Task, Must, [Tcp], descriptor_reuse,
        "Does a stream get its own events only, when its descriptor's number was used before?",
        "The suites of libuv, netty and io-event test this: an event left over from the number's last owner wakes or ends the wrong connection.";
    "churn-connections", Task, Must, [Tcp], churn_connections,
        "Are descriptors closed after 2,000 connections?",
        "compio-rs/compio#460: descriptors that stay open end a server within hours.";
    "idle-cpu", Task, Metric, [Tcp], idle_cpu,
        "How much of a CPU does it use while nothing happens?",
        "Thousands of idle services share a machine.";
}

async fn read_beside_ready<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let Connection { mut ours, mut peer } = match connect(lab).await {
        Ok(connection) => connection,
        Err(error) => return broken(&error),
    };
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    lab.start(Part::Yield { stop: Arc::clone(&stop), count: Arc::clone(&count) });
    let _deadline = lab.deadline(Duration::from_secs(2), "a byte that had arrived was not read");
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        let _ = peer.write_all(b"x");
        peer
    });
    let mut buffer = vec![0; 16];
    let read = R::read(&mut ours, &mut buffer, 0..16).await;
    stop.store(true, SeqCst);
    let _ = writer.join();
    match read {
        Ok(1) => Verdict::pass(format!("after {} yields of the other task", count.load(SeqCst))),
        other => Verdict::fail(format!("the read brought {other:?} instead of 1 byte")),
    }
}

async fn half_close<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let Connection { mut ours, mut peer } = match connect(lab).await {
        Ok(connection) => connection,
        Err(error) => return broken(&error),
    };
    let _deadline = lab.deadline(Duration::from_secs(3), "the end of the stream was not seen");
    let over = Signal::default();
    let sender = over.clone();
    let client = thread::spawn(move || {
        let mut answer = Vec::new();
        let talk = peer
            .write_all(b"question")
            .and_then(|()| peer.shutdown(Shutdown::Write))
            .and_then(|()| peer.read_to_end(&mut answer));
        sender.set();
        talk.map(|_| answer)
    });
    let mut buffer = vec![0; 64];
    let mut got = 0;
    loop {
        match R::read(&mut ours, &mut buffer, got..64).await {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) => return Verdict::fail(format!("reading to the end failed: {error}")),
        }
    }
    let mut answer = b"answer".to_vec();
    if let Err(error) = R::write(&mut ours, &mut answer, 0..6).await {
        return Verdict::fail(format!("writing after the peer's end failed: {error}"));
    }
    drop(ours);
    // Not by joining the thread: the loop has to close the stream.
    over.wait().await;
    match client.join() {
        Ok(Ok(answer)) if answer == b"answer" && got == 8 => {
            Verdict::pass("the end was seen, and the answer arrived")
        }
        Ok(Ok(answer)) => Verdict::fail(format!("{got} bytes read; {} arrived", answer.len())),
        Ok(Err(error)) => Verdict::fail(format!("the peer could not read the answer: {error}")),
        Err(_) => Verdict::fail("the peer panicked"),
    }
}

async fn reset<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let Connection { mut ours, mut peer } = match connect(lab).await {
        Ok(connection) => connection,
        Err(error) => return broken(&error),
    };
    // Closing a socket with unread data resets the connection.
    let mut byte = vec![b'x'];
    if let Err(error) = R::write(&mut ours, &mut byte, 0..1).await {
        return Verdict::fail(format!("a byte could not be written: {error}"));
    }
    let _deadline = lab.deadline(Duration::from_secs(3), "the read did not end");
    thread::spawn(move || {
        let _ = peer.set_nonblocking(false);
        // It has arrived when it can be seen.
        let _ = peer.peek(&mut [0]);
        thread::sleep(Duration::from_millis(30));
        let _ = peer.flush();
    });
    let mut buffer = vec![0; 16];
    match R::read(&mut ours, &mut buffer, 0..16).await {
        Err(error) => Verdict::pass(format!("an error: {error}")),
        Ok(0) => Verdict::fail("the read ended as if the peer had closed in good order"),
        Ok(count) => Verdict::fail(format!("{count} bytes that no peer has sent")),
    }
}

async fn backpressure<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const LIMIT: u64 = 256 << 20;
    let Connection { mut ours, peer } = match connect(lab).await {
        Ok(connection) => connection,
        Err(error) => return broken(&error),
    };
    let written = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&written);
    let over = Signal::default();
    let sender = over.clone();
    let watcher = thread::spawn(move || {
        let mut last = 0;
        // Held: no byte more within half a second.
        loop {
            thread::sleep(Duration::from_millis(500));
            let now = counter.load(SeqCst);
            if now == last || now > LIMIT {
                break;
            }
            last = now;
        }
        let held = counter.load(SeqCst);
        sender.set();
        // The peer's end lets the writer go on.
        drop(peer);
        held
    });
    let mut buffer = vec![0; 64 * 1024];
    while written.load(SeqCst) <= LIMIT && !over.is_set() {
        match R::write(&mut ours, &mut buffer, 0..64 * 1024).await {
            Ok(count) => written.fetch_add(count as u64, SeqCst),
            Err(_) => break,
        };
    }
    match watcher.join() {
        Ok(held) if held <= LIMIT => Verdict::pass(format!("held after {} KiB", held >> 10)),
        Ok(held) => Verdict::fail(format!("{} MiB written that no peer has read", held >> 20)),
        Err(_) => Verdict::fail("the watcher panicked"),
    }
}

async fn unread_idle<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let mut connection = match connect(lab).await {
        Ok(connection) => connection,
        Err(error) => return broken(&error),
    };
    // Read once, so that the socket is known to the loop.
    let _ = connection.peer.write_all(b"x");
    let mut buffer = vec![0; 16];
    let _ = R::read(&mut connection.ours, &mut buffer, 0..16).await;
    let _ = connection.peer.write_all(&[b'x'; 4096]);
    let share = lab.cpu_share().await;
    let seen = format!("{:.1} % of a CPU in a second", 100.0 * share);
    if share <= 0.05 { Verdict::pass(seen) } else { Verdict::fail(seen) }
}

async fn descriptor_reuse<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const ROUNDS: usize = 1_000;
    let mut listener = match listen(lab).await {
        Ok(listener) => listener,
        Err(error) => return broken(&error),
    };
    let seen = "a stream whose descriptor's number was used before was not woken";
    let _deadline = lab.deadline(Duration::from_secs(8), seen);
    let (mut numbers, mut reused) = (HashSet::new(), 0);
    let mut last: Option<Connection<R>> = None;
    for round in 0..ROUNDS {
        // Connected before the last stream is closed, or it would take that number.
        let mut peer = match reach::<R>(&listener) {
            Ok(peer) => peer,
            Err(error) => return broken(&error),
        };
        let closed = last.take().map(|Connection { ours, mut peer }| {
            // An event that no task has taken.
            let _ = peer.write_all(b"old");
            drop(ours);
            peer
        });
        let mut ours = match R::accept(&mut listener).await {
            Ok(stream) => stream,
            Err(error) => return broken(&error),
        };
        drop(closed);
        reused += usize::from(!numbers.insert(R::descriptor(&ours)));
        let mut buffer = vec![0; 16];
        let read = {
            let mut read = pin!(R::read(&mut ours, &mut buffer, 0..16));
            let early = if R::CALLS_BLOCK { None } else { poll_once(read.as_mut()).await };
            if let Some(early) = early {
                return Verdict::fail(format!("a read returned {early:?} before a byte was sent"));
            }
            let _ = peer.write_all(&[round as u8]);
            read.await
        };
        if !matches!(read, Ok(1)) || buffer[0] != round as u8 {
            return Verdict::fail(format!("a read returned {read:?} instead of the byte sent"));
        }
        last = Some(Connection { ours, peer });
    }
    if reused == 0 {
        let reason = "no descriptor's number was used twice".to_owned();
        return Verdict::Unsupported { reason };
    }
    Verdict::pass(format!("{reused} of {ROUNDS} streams had a number that was used before"))
}

async fn churn_connections<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const TIMES: usize = 2_000;
    /// Some are closed later, by another thread or with the next turn of the loop.
    const LATE_MAX: usize = 64;
    let mut listener = match listen(lab).await {
        Ok(listener) => listener,
        Err(error) => return broken(&error),
    };
    let before = count("fd");
    for round in 0..TIMES {
        match accept::<R>(&mut listener).await {
            Ok(Connection { mut ours, mut peer }) => {
                let _ = peer.write_all(b"x");
                let mut buffer = vec![0; 16];
                let _ = R::read(&mut ours, &mut buffer, 0..16).await;
            }
            Err(error) => {
                return Verdict::fail(format!("connection {} failed: {error}", round + 1));
            }
        }
    }
    lab.pause(Duration::from_millis(200)).await;
    let after = count("fd");
    let seen = format!("{before} descriptors before and {after} after {TIMES} connections");
    if after > before + LATE_MAX { Verdict::fail(seen) } else { Verdict::pass(seen) }
}

async fn idle_cpu<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let connection = connect(lab).await;
    let share = lab.cpu_share().await;
    drop(connection);
    Verdict::number(100.0 * share, "% of a CPU")
}
