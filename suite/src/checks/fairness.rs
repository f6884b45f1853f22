//! Fairness: whether one task can keep others from running.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::{Connection, broken, connect};
use super::lab::{in_micros, percentile};
use super::{Lab, Verdict, checks};
use crate::check_part::{Part, Signal};
use crate::ping_pong::{Exchange, Side};
use crate::runtime::Runtime;

checks! {
    "timer-vs-ready", Task, Must, [Timers], timer_beside_ready,
        "Does a timer fire beside a task that always yields?",
        "A loop that looks at its timers only when it is idle delays them for ever.";
    "wake-vs-ready", Task, Must, [], wake_beside_ready,
        "Is a wake by another thread seen beside a task that always yields?",
        "A loop that looks at such wakes only when it is idle loses channels and pools under load.";
    "yield-fair", Task, Must, [], yield_fair,
        "Do four tasks that yield share the time?",
        "A `yield` that continues the same task is no yield.";
    "root-yield", Root, Must, [], root_yield,
        "Does a root that yields let tasks run?",
        "Some executors poll the root again before any task.";
    "root-yield-timer", Root, Must, [Timers], timer_beside_ready,
        "Does a root that yields let a timer of 30 ms fire?",
        "A root that polls something in a loop must not stop all timers.";
    "pingpong", Task, Must, [], beside_ping_pong,
        "Does a third task run beside two that wake each other all the time?",
        "A slot for the task woken last may keep all others from running.";
    "timers-vs-io", Task, Must, [Timers, Tcp], timers_beside_io,
        "Do timers fire beside busy sockets, and are sockets read beside 5,000 timers?",
        "smol-rs/async-io#250: many timers kept the reactor from its sockets.";
    "always-ready-io", Task, Differs("runs", "waits"), [Tcp], always_ready_io,
        "Does another task run beside one whose reads never have to wait?",
        "One fast client starves all others on its thread if it does not.";
    "child-behind-blocker", Task, Metric, [], child_behind_blocker,
        "After how long does a task start whose parent blocks its thread for 300 ms?",
        "A slot for the task spawned last may be closed to other workers.";
    "driver-held", Task, Differs("stand still", "fire"), [Timers], driver_held,
        "Do the timers of other tasks fire while one task blocks its thread?",
        "The worker that waits for the system's events may be the one that is blocked.";
    "inject-latency", Task, Metric, [ForeignSpawn], inject_latency,
        "How long does a task from another thread wait beside four that yield, as a median?",
        "Loops look at the queue for such tasks only now and then.";
}

const BOUND: Duration = Duration::from_secs(2);

/// Yields here until the signal is set, or the bound has passed.
async fn yield_until<R: Runtime>(lab: &Lab<R>, signal: &Signal) -> (bool, u64) {
    let begun = Instant::now();
    let mut yields = 0;
    while !signal.is_set() && begun.elapsed() < BOUND {
        lab.runtime.yield_now().await;
        yields += 1;
    }
    (signal.is_set(), yields)
}

async fn timer_beside_ready<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let fired = Signal::default();
    let sender = fired.clone();
    let time = Duration::from_millis(30);
    lab.start(Part::Sleep { time, then: Box::new(move || sender.set()) });
    match yield_until(lab, &fired).await {
        (true, yields) => Verdict::pass(format!("after {yields} yields")),
        (false, yields) => {
            Verdict::fail(format!("a sleep of 30 ms did not end within 2 s and {yields} yields"))
        }
    }
}

async fn yield_fair<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const TASKS: usize = 4;
    let stop = Arc::new(AtomicBool::new(false));
    let counts: Vec<Arc<AtomicU64>> = (0..TASKS).map(|_| Arc::default()).collect();
    let _deadline = lab.deadline(BOUND, "the four tasks did not end");
    let part = |count| Part::Yield { stop: Arc::clone(&stop), count: Arc::clone(count) };
    let tasks: Vec<R::Join> = counts.iter().map(|count| lab.spawn_part(part(count))).collect();
    let stopper = Arc::clone(&stop);
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        stopper.store(true, SeqCst);
    });
    for task in tasks {
        let _ = R::join(task).await;
    }
    let counts: Vec<u64> = counts.iter().map(|count| count.load(SeqCst)).collect();
    // One more than none: a task that is first polled at the end yields once.
    if counts.iter().all(|count| *count > 1) {
        Verdict::pass(format!("yields in 200 ms: {counts:?}"))
    } else {
        Verdict::fail(format!("a task did not run; yields in 200 ms: {counts:?}"))
    }
}

async fn wake_beside_ready<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    lab.start(Part::Yield { stop: Arc::clone(&stop), count: Arc::clone(&count) });
    let _deadline = lab.deadline(BOUND, "no poll followed the wake");
    lab.pause(Duration::from_millis(30)).await;
    stop.store(true, SeqCst);
    Verdict::pass(format!("after {} yields of the other task", count.load(SeqCst)))
}

async fn root_yield<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let ran = Signal::default();
    let sender = ran.clone();
    let task = lab.spawn(async move { sender.set() });
    let (has_run, yields) = yield_until(lab, &ran).await;
    let _ = R::detach(task);
    if has_run {
        Verdict::pass(format!("the task ran after {yields} yields of the root"))
    } else {
        Verdict::fail(format!("the task did not run within 2 s and {yields} yields of the root"))
    }
}

async fn beside_ping_pong<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const ROUNDS: u32 = 1_000_000;
    let exchange = Exchange::new();
    for side in [Side::Opener, Side::Partner] {
        let exchange = Arc::clone(&exchange);
        lab.start(Part::Future(Box::pin(async move {
            let _ = exchange.run(side, ROUNDS).await;
        })));
    }
    let ran = Signal::default();
    let sender = ran.clone();
    let _deadline = lab.deadline(BOUND, "a third task did not run");
    lab.pause(Duration::from_millis(20)).await;
    lab.start(Part::Future(Box::pin(async move { sender.set() })));
    ran.wait().await;
    Verdict::pass("a third task ran")
}

async fn timers_beside_io<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const SOURCES: usize = 4;
    let timers: u64 = if R::CALLS_BLOCK { 100 } else { 5_000 };
    let received: Vec<Arc<AtomicU64>> = (0..SOURCES).map(|_| Arc::default()).collect();
    for bytes in &received {
        let port = Box::new(|port| {
            thread::spawn(move || send_without_end(port));
        });
        lab.start(Part::Receive { port, bytes: Arc::clone(bytes) });
    }
    let counts = || received.iter().map(|bytes| bytes.load(SeqCst)).collect::<Vec<_>>();
    {
        let _deadline = lab.deadline(BOUND, "the sockets were not read, even without timers,");
        while counts().contains(&0) {
            lab.pause(Duration::from_millis(1)).await;
        }
    }
    let fired = Arc::new(AtomicU64::new(0));
    for number in 0..timers {
        let count = Arc::clone(&fired);
        let time = Duration::from_micros(50_000 + 300_000 * number / timers);
        let then = Box::new(move || {
            count.fetch_add(1, SeqCst);
        });
        lab.start(Part::Sleep { time, then });
        // And as many that do not fire.
        lab.start(Part::Sleep { time: Duration::from_secs(3_600), then: Box::new(|| ()) });
    }
    {
        let _deadline = lab.progress(&fired, BOUND, "timers beside busy sockets did not fire");
        while fired.load(SeqCst) < timers {
            lab.pause(Duration::from_millis(1)).await;
        }
    }
    let before = counts();
    let _deadline = lab.deadline(BOUND, "a busy socket was not read beside the timers");
    while counts().iter().zip(&before).any(|(now, before)| now <= before) {
        lab.pause(Duration::from_millis(1)).await;
    }
    Verdict::pass(format!("{timers} timers fired, and {SOURCES} sockets were read"))
}

/// Sends to a port of this machine until the connection is closed.
fn send_without_end(port: u16) {
    if let Ok(mut peer) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
        // So much at once that a sender which seldom runs keeps its socket full.
        while peer.write_all(&[b'x'; 256 * 1024]).is_ok() {}
    }
}

async fn always_ready_io<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const REFILLS: usize = 10;
    const BYTES: usize = 8 * 1_024;
    let Connection { mut ours, mut peer } = match connect(lab).await {
        Ok(connection) => connection,
        Err(error) => return broken(&error),
    };
    let mut buffer = vec![0; 1];
    // Read once, so that the socket is known to the loop.
    let _ = peer.write_all(b"x");
    let _ = R::read(&mut ours, &mut buffer, 0..1).await;
    let ran = Signal::default();
    let sender = ran.clone();
    lab.start(Part::Future(Box::pin(async move { sender.set() })));
    let mut reads = 0;
    for _ in 0..REFILLS {
        // On this thread, so that all of it has arrived when the reads go on. Other threads of the
        // runtime have some time for the other task.
        if let Err(error) = peer.write_all(&[b'x'; BYTES]) {
            return broken(&error);
        }
        thread::sleep(Duration::from_millis(10));
        for _ in 0..BYTES {
            match R::read(&mut ours, &mut buffer, 0..1).await {
                Ok(1) => reads += 1,
                other => return Verdict::fail(format!("a read brought {other:?}, not 1 byte")),
            }
            if ran.is_set() {
                return Verdict::answer("runs", format!("during the first {reads} reads"));
            }
        }
    }
    Verdict::answer("waits", format!("it did not run during {reads} reads"))
}

async fn child_behind_blocker<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let begun = Instant::now();
    let delay = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&delay);
    let child = lab.spawn(async move {
        if let Ok(mut slot) = slot.lock() {
            *slot = Some(begun.elapsed());
        }
    });
    thread::sleep(Duration::from_millis(300));
    let _ = R::join(child).await;
    delay.lock().ok().and_then(|delay| *delay).map_or_else(
        || Verdict::fail("the task did not run"),
        |delay| Verdict::number(delay.as_nanos() as f64 / 1e6, "ms"),
    )
}

async fn driver_held<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const ROUNDS: u64 = 10;
    const BLOCK: Duration = Duration::from_millis(60);
    let (stop, ticks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let period = Duration::from_millis(5);
    lab.start(Part::Tick { period, stop: Arc::clone(&stop), count: Arc::clone(&ticks) });
    let mut held = 0;
    for _ in 0..ROUNDS {
        // By a timer, so that this is the thread that has waited for it.
        lab.runtime.sleep(Duration::from_millis(7)).await;
        let before = ticks.load(SeqCst);
        thread::sleep(BLOCK);
        // One may have been on its way.
        held += u64::from(ticks.load(SeqCst) <= before + 1);
    }
    stop.store(true, SeqCst);
    let seen = format!("a tick of 5 ms stood still in {held} of {ROUNDS} blocks of 60 ms");
    Verdict::answer(if 2 * held >= ROUNDS { "stand still" } else { "fire" }, seen)
}

async fn inject_latency<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const TASKS: usize = 200;
    let (stop, yields) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    for _ in 0..4 {
        lab.start(Part::Yield { stop: Arc::clone(&stop), count: Arc::clone(&yields) });
    }
    let _deadline = lab.deadline(Duration::from_secs(5), "the tasks did not run");
    let took = Arc::new(Mutex::new(Vec::new()));
    let (spawn, over, slot) = (lab.runtime.spawner(), Signal::default(), Arc::clone(&took));
    let sender = over.clone();
    thread::spawn(move || {
        for _ in 0..TASKS {
            thread::sleep(Duration::from_micros(500));
            let (slot, begun, sender) = (Arc::clone(&slot), Instant::now(), sender.clone());
            spawn(Box::pin(async move {
                let waited = begun.elapsed();
                if let Ok(mut took) = slot.lock() {
                    took.push(waited);
                    if took.len() == TASKS {
                        sender.set();
                    }
                }
            }));
        }
    });
    over.wait().await;
    stop.store(true, SeqCst);
    let took = took.lock().map(|took| took.clone()).unwrap_or_default();
    in_micros(percentile(took, 50))
}
