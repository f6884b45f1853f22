//! The driver's event loop: one thread, one wait, and per request one read and one write.
//!
//! It never runs any code of a runtime, and never decides when the trial moves on: the board does.

use std::io;
use std::time::Duration;

use anyhow::ensure;
use mio::Events;
use quadrant_suite::board::{Board, Phase};
use quadrant_suite::clock::{ClockScale, stamp};

use super::arrivals::Arrivals;
use super::clients::Clients;
use super::order::{Load, Order, Report, connections};
use crate::system::child::orphaned;
use crate::system::timed_poll::{TimedPoll, of_sockets, timer_ended};

/// Before a request is due the loop polls for so long: a sleep as short as that ends too late.
const SPIN_NS: u64 = 50_000;
const EVENTS_MAX: usize = 1_024;

/// Runs one trial's load to its end. `send` passes reports to the harness.
pub(super) fn drive(
    order: &Order,
    board: &Board,
    send: &mut dyn FnMut(Report) -> io::Result<()>,
) -> anyhow::Result<()> {
    ensure!(connections(&order.groups) > 0, "a load needs a connection");
    for group in &order.groups {
        ensure!(group.message_bytes > 0, "a message has at least one byte");
        let rate = group.arrivals.map_or(1.0, Arrivals::mean_per_sec);
        ensure!(rate.is_normal(), "a rate is more than nothing");
    }

    let poll = TimedPoll::new()?;
    let clients = Clients::connect(order, board, poll.registry().try_clone()?)?;
    send(Report::Connected(clients.connected() as u32))?;
    let load = run(clients, poll, order, board)?;
    send(Report::Finished(Box::new(load)))?;
    Ok(())
}

/// Returns when the trial is over.
fn run(
    mut clients: Clients<'_>,
    mut poll: TimedPoll,
    order: &Order,
    board: &Board,
) -> anyhow::Result<Load> {
    let mut events = Events::with_capacity(EVENTS_MAX.min(clients.connected() + 1));
    let mut started = false;
    loop {
        clients.tally.observe();
        if clients.tally.is_over() {
            return Ok(clients.finish());
        }
        if !started && board.phase() >= Phase::Warmup {
            started = true;
            clients.begin();
        }
        if let Some(start) = clients.tally.start() {
            clients.open_window(start);
        }
        clients.go_on();
        clients.send_due();
        wait(&mut clients, order.clock, &mut poll, &mut events)?;
        clients.pings.at(stamp());
        ensure!(!timer_ended(&events) || !orphaned(order.parent), "the harness is gone");
        // In the kernel's order: it queues a connection behind all others when something arrives
        // on it, so none is served twice before another.
        for event in of_sockets(&events) {
            clients.on_event(event);
            if clients.tally.is_over() {
                break;
            }
        }
    }
}

/// Waits for the sockets, but not past the moment at which a request or a ping is due or a pause
/// ends.
fn wait(
    clients: &mut Clients<'_>,
    clock: ClockScale,
    poll: &mut TimedPoll,
    events: &mut Events,
) -> io::Result<()> {
    let now = stamp();
    let left_ns = |due| clock.ns_between(now, due);
    let until_request = clients.next_due().map_or(u64::MAX, left_ns);
    if until_request <= SPIN_NS {
        poll.wait(events, Duration::ZERO)?;
        if of_sockets(events).next().is_none() {
            clients.tally.spun(now, stamp());
        }
        return Ok(());
    }
    let until_wake = clients.next_wake().map_or(u64::MAX, left_ns);
    let until_due = (until_request - SPIN_NS).min(left_ns(clients.pings.next_due()));
    poll.wait(events, Duration::from_nanos(until_due.min(until_wake)))
}
