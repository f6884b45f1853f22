//! Many connections at once, and the limits of the system that they reach.
//!
//! Nothing here depends on how fast a connection is: what is not a metric counts, or waits long.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::connection::{Connection, accept, broken, listen, listen_at, reach};
use super::lab::{cpu_seconds, resident_bytes};
use super::process::Limit;
use super::{Lab, Verdict, checks, connect_storm};
use crate::check_part::{ByteReader, Numbered, Signal};
use crate::plain_calls;
use crate::runtime::Runtime;

checks! {
    "ring-overflow", Task, Must, [Tcp], ring_overflow,
        "Do all reads end, however many of them are in flight?",
        "compio-rs/compio#1036: a ring that is exactly full loses an operation; so may a queue of completions.";
    "accept-emfile", Task, Must, [Tcp], accept_without_descriptors,
        "Does accept work again after the process was out of descriptors, without a busy loop?",
        "A peak of connections must not end the server, nor use a whole CPU until it is over.";
    "accept-balance", Task, Metric, [Tcp], accept_balance,
        "How many more connections than the mean does the busiest worker serve?",
        "One worker with most of the connections limits the whole server.";
    "accept-storm", Task, Metric, [Tcp], accept_storm,
        "How long do 5,000 clients wait that connect at once?",
        "After a restart all clients come back at once; a full queue makes them wait for a second and more.";
    "conn-memory", Task, Metric, [Tcp], connection_memory,
        "How much memory does an idle connection take, with the task that waits to read from it?",
        "A server of long-lived connections is limited by it.";
}

/// Both sides of some connections. The runtime's sides carry the index of their peer.
struct Many<R: Runtime> {
    ours: Vec<(usize, R::Stream)>,
    peers: Vec<TcpStream>,
}

/// Fails with the verdict of the check.
async fn connect_many<R: Runtime>(lab: &Lab<R>, indices: Range<usize>) -> Result<Many<R>, Verdict> {
    let count = indices.len();
    enough_descriptors(2 * count)?;
    let mut listener = listen(lab).await.map_err(|error| broken(&error))?;
    let mut many = Many { ours: Vec::with_capacity(count), peers: Vec::with_capacity(count) };
    for index in indices {
        let connection = accept::<R>(&mut listener).await.map_err(|error| broken(&error))?;
        many.ours.push((index, connection.ours));
        many.peers.push(connection.peer);
    }
    Ok(many)
}

fn enough_descriptors(needed: usize) -> Result<(), Verdict> {
    /// What the process has open besides.
    const OTHERS: usize = 200;
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < (needed + OTHERS) as u64 => Err(Verdict::Unsupported {
            reason: format!(
                "it takes {} descriptors and the limit is {limit}: raise it (`ulimit -n`)",
                needed + OTHERS
            ),
        }),
        _ => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn ring_overflow<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const SIZES: [usize; 7] = [64, 128, 256, 512, 1_024, 2_048, 4_096];
    if R::CALLS_BLOCK {
        let reason = "each of its reads blocks a thread: there is no queue of operations";
        return Verdict::Unsupported { reason: reason.to_owned() };
    }
    if let Err(verdict) = enough_descriptors(2 * SIZES[SIZES.len() - 1] + 2) {
        return verdict;
    }
    let idle: Numbered<R::Stream> = Arc::default();
    let mut peers = Vec::new();
    for in_flight in SIZES.iter().flat_map(|&size| [size - 1, size, size + 1]) {
        match connect_many(lab, peers.len()..in_flight).await {
            Ok(more) => {
                lock(&idle).extend(more.ours);
                peers.extend(more.peers);
            }
            Err(verdict) => return verdict,
        }
        let (begun, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (all_ended, failed) = (Signal::default(), Arc::new(Mutex::new(None)));
        let seen = format!("with {in_flight} reads in flight, one did not begin or end");
        let _deadline = lab.progress(&ended, Duration::from_secs(4), &seen);
        let streams: Vec<(usize, R::Stream)> = lock(&idle).drain(..in_flight).collect();
        let indices: Vec<usize> = streams.iter().map(|(index, _)| *index).collect();
        for (index, stream) in streams {
            let (begun, ended) = (Arc::clone(&begun), Arc::clone(&ended));
            let (all_ended, failed) = (all_ended.clone(), Arc::clone(&failed));
            lab.start_reader(ByteReader {
                stream,
                before: Box::new(move || {
                    begun.fetch_add(1, SeqCst);
                }),
                then: Box::new(move |read| {
                    if !matches!(read, Ok(1)) {
                        *lock(&failed) = Some(format!("{read:?}"));
                    }
                    if ended.fetch_add(1, SeqCst) + 1 == in_flight as u64 {
                        all_ended.set();
                    }
                }),
                back: Some((index, Arc::clone(&idle))),
            });
        }
        while begun.load(SeqCst) < in_flight as u64 {
            lab.pause(Duration::from_millis(1)).await;
        }
        // The loop hands them to the system.
        lab.pause(Duration::from_millis(2)).await;
        for index in indices {
            let _ = peers[index].write_all(b"x");
        }
        all_ended.wait().await;
        if let Some(read) = lock(&failed).take() {
            return Verdict::fail(format!(
                "with {in_flight} reads in flight, one returned {read} instead of 1 byte"
            ));
        }
        // Each reader hands its stream back just after that.
        while lock(&idle).len() < peers.len() {
            lab.pause(Duration::from_millis(1)).await;
        }
    }
    Verdict::pass(format!("{} sizes, up to {} reads", 3 * SIZES.len(), SIZES[SIZES.len() - 1] + 1))
}

/// While the limit exists, this process can open no more descriptors.
fn no_more_descriptors() -> io::Result<Limit> {
    // The lowest one that is free: all from there on become too many.
    let free = std::os::fd::AsRawFd::as_raw_fd(&fs::File::open("/dev/null")?);
    Limit::lowered(Resource::Nofile, free as u64)
}

async fn accept_without_descriptors<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const ROUNDS: usize = 3;
    /// Of the CPU time of a thread that spins meanwhile. A busy loop has as much as that thread,
    /// however many other processes are busy.
    const SHARE_MAX: f64 = 0.3;
    let mut listener = match listen(lab).await {
        Ok(listener) => listener,
        Err(error) => return broken(&error),
    };
    // Once before, so that the runtime has opened what it needs. No stream is closed before the
    // end: some are closed later, and a descriptor that becomes free would be used.
    let mut held = match accept::<R>(&mut listener).await {
        Ok(connection) => vec![connection.ours],
        Err(error) => return broken(&error),
    };
    let seen = "accept did not return after descriptors were free again";
    let _deadline = lab.deadline(Duration::from_secs(8), seen);
    let (mut refused, mut share) = (0, 0.0);
    for round in 0..ROUNDS {
        // The first time long enough to see a busy loop.
        let time = Duration::from_millis(if round == 0 { 1_200 } else { 50 });
        let client = match reach::<R>(&listener) {
            Ok(client) => client,
            Err(error) => return broken(&error),
        };
        let limit = match no_more_descriptors() {
            Ok(limit) => limit,
            Err(error) => return Verdict::fail(format!("no limit could be set: {error}")),
        };
        let used_before = cpu_seconds();
        let freed = Signal::default();
        let (frees, waits) = (freed.clone(), freed.wait());
        // By a thread, for runtimes whose accept waits until there is a descriptor.
        let spinning = thread::spawn(move || {
            let begun = Instant::now();
            while begun.elapsed() < time {
                std::hint::spin_loop();
            }
            let spun = plain_calls::thread_cpu_time().as_secs_f64();
            drop(limit);
            frees.set();
            spun
        });
        let first = R::accept(&mut listener).await;
        let was_freed = freed.is_set();
        waits.await;
        let Ok(spun) = spinning.join() else {
            return Verdict::fail("the thread that frees descriptors panicked");
        };
        if round == 0 {
            share = (cpu_seconds() - used_before - spun) / spun;
        }
        let accepted = match first {
            Ok(_) if !was_freed => {
                let reason = "its accept needed no new descriptor".to_owned();
                return Verdict::Unsupported { reason };
            }
            Ok(stream) => Ok(stream),
            Err(_) => {
                refused += 1;
                R::accept(&mut listener).await
            }
        };
        match accepted {
            Ok(stream) => held.push(stream),
            Err(error) => {
                let seen = "accept failed with descriptors free again";
                return Verdict::fail(format!("{seen}: {error}"));
            }
        }
        drop(client);
    }
    let seen = format!(
        "{refused} accepts returned an error and {} waited; {:.1} % of the CPU time of a busy thread \
         meanwhile",
        ROUNDS - refused,
        100.0 * share
    );
    if share <= SHARE_MAX { Verdict::pass(seen) } else { Verdict::fail(seen) }
}

async fn accept_balance<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const CONNECTIONS: usize = 1_000;
    let workers = lab.workers();
    if R::CALLS_BLOCK || workers < 2 {
        let reason = "no workers that share a listener".to_owned();
        return Verdict::Unsupported { reason };
    }
    if let Err(verdict) = enough_descriptors(2 * CONNECTIONS) {
        return verdict;
    }
    let mut listener = match listen(lab).await {
        Ok(listener) => listener,
        Err(error) => return broken(&error),
    };
    let seen = "not all connections were served";
    let _deadline = lab.deadline(Duration::from_secs(8), seen);
    let served: Arc<Mutex<HashMap<ThreadId, usize>>> = Arc::default();
    let over = Signal::default();
    let mut peers = Vec::new();
    for _ in 0..CONNECTIONS {
        let Connection { ours, mut peer } = match accept::<R>(&mut listener).await {
            Ok(connection) => connection,
            Err(error) => return broken(&error),
        };
        let (served, over) = (Arc::clone(&served), over.clone());
        lab.start_reader(ByteReader {
            stream: ours,
            before: Box::new(|| ()),
            then: Box::new(move |_| {
                let mut served = lock(&served);
                *served.entry(thread::current().id()).or_default() += 1;
                if served.values().sum::<usize>() == CONNECTIONS {
                    over.set();
                }
            }),
            back: None,
        });
        let _ = peer.write_all(b"x");
        peers.push(peer);
    }
    over.wait().await;
    let largest = lock(&served).values().copied().max().unwrap_or(0);
    let mean = CONNECTIONS as f64 / workers as f64;
    Verdict::number(largest as f64 / mean, "× the mean")
}

async fn accept_storm<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const CLIENTS: usize = 5_000;
    if let Err(verdict) = enough_descriptors(2 * CLIENTS) {
        return verdict;
    }
    let (mut listener, port) = match listen_at(lab).await {
        Ok(listening) => listening,
        Err(error) => return broken(&error),
    };
    let _deadline = lab.deadline(Duration::from_secs(15), "the clients were not accepted");
    // The port of the last client, which connects when all others have ended.
    let last = Arc::new(AtomicU16::new(0));
    let published = Arc::clone(&last);
    let clients = thread::spawn(move || connect_storm::run(port, CLIENTS, &published));
    let mut accepted = Vec::with_capacity(CLIENTS);
    loop {
        let stream = match R::accept(&mut listener).await {
            Ok(stream) => stream,
            Err(error) => return Verdict::fail(format!("accept failed: {error}")),
        };
        let from = plain_calls::peer_port(R::descriptor(&stream));
        accepted.push(stream);
        if from.is_some_and(|port| port == last.load(SeqCst)) {
            break;
        }
    }
    match clients.join() {
        Ok(Ok(storm)) => {
            let unit = match storm.refused {
                0 => "ms p99".to_owned(),
                refused => format!("ms p99, {refused} refused"),
            };
            Verdict::number(storm.p99.as_secs_f64() * 1e3, &unit)
        }
        Ok(Err(error)) => broken(&error),
        Err(_) => Verdict::fail("the clients panicked"),
    }
}

async fn connection_memory<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const CONNECTIONS: usize = 2_000;
    // What is allocated once is allocated by a first connection.
    let first = connect_many(lab, 0..1).await;
    let before = resident_bytes();
    let Many { ours, peers } = match connect_many(lab, 0..CONNECTIONS).await {
        Ok(many) => many,
        Err(verdict) => return verdict,
    };
    let begun = Arc::new(AtomicU64::new(0));
    let _deadline = lab.progress(&begun, Duration::from_secs(4), "a task did not begin to read");
    for (_, stream) in ours {
        let begun = Arc::clone(&begun);
        lab.start_reader(ByteReader {
            stream,
            before: Box::new(move || {
                begun.fetch_add(1, SeqCst);
            }),
            then: Box::new(|_| ()),
            back: None,
        });
    }
    while begun.load(SeqCst) < CONNECTIONS as u64 {
        lab.pause(Duration::from_millis(5)).await;
    }
    lab.pause(Duration::from_millis(50)).await;
    let bytes = resident_bytes().saturating_sub(before) as f64 / CONNECTIONS as f64;
    drop((peers, first));
    Verdict::number(bytes / 1024.0, "KiB")
}
