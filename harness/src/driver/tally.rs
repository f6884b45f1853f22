//! Counts what the driver does within the window.
//!
//! The window's edges are the stamps on the board, not the moments at which they are noticed. It
//! never allocates while requests run, and never touches a socket.

use quadrant_suite::board::{Board, Phase};
use quadrant_suite::clock::{ClockScale, Stamp, stamp};
use quadrant_suite::histogram::Histogram;
use rustix::time::{ClockId, clock_gettime};

use super::arrivals::Arrivals;
use super::connection::{Answer, Connection};
use super::in_flight::InFlight;
use super::order::{Load, Order};
use super::ramp::RampTally;

pub(super) struct Tally<'a> {
    board: &'a Board,
    clock: ClockScale,
    /// The window as far as it is known; `Stamp::MAX` where it is not.
    start: Stamp,
    end: Stamp,
    in_flight: InFlight,
    cpu_at_start: u64,
    /// Ticks within the window spent polling for the moment of a request.
    spun: u64,
    /// Open loop: requests that were due within the window.
    due: u64,
    ramp: Option<RampTally>,
    load: Load,
}

impl<'a> Tally<'a> {
    pub(super) fn new(order: &Order, board: &'a Board) -> Self {
        let of_open_loop = order.arrivals.map(|_| Histogram::default());
        let ramp = order.arrivals.and_then(Arrivals::ramp);
        Self {
            board,
            clock: order.clock,
            start: Stamp::MAX,
            end: Stamp::MAX,
            in_flight: InFlight::default(),
            cpu_at_start: 0,
            spun: 0,
            due: 0,
            ramp: ramp.map(|rate| RampTally::new(rate, order.clock)),
            load: Load {
                asked_per_sec: order.arrivals.and_then(Arrivals::exact_per_sec),
                interval_ns: order.arrivals.map(Arrivals::interval_ns),
                uncorrected_latency: of_open_loop.clone(),
                send_lag: of_open_loop,
                ..Load::default()
            },
        }
    }

    /// Reads the phase from the board. It has to be called before anything is counted, because the
    /// phase may have changed; one load of a shared line, mostly unchanged.
    #[inline]
    pub(super) fn observe(&mut self) {
        if self.is_over() {
            return;
        }
        if self.start == Stamp::MAX {
            if self.board.phase() < Phase::Measuring {
                return;
            }
            self.start = self.board.window_start();
            self.in_flight.open(self.start);
            if let Some(ramp) = &mut self.ramp {
                ramp.open_window(self.start);
            }
            self.cpu_at_start = thread_cpu_ns();
        }
        if self.board.phase() == Phase::Over {
            self.end = self.board.window_end();
            self.in_flight.close(self.end);
            let used_ns = thread_cpu_ns().saturating_sub(self.cpu_at_start);
            self.load.busy_ns = used_ns.saturating_sub(self.clock.ns(self.spun));
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.end != Stamp::MAX
    }

    fn is_in_window(&self, at: Stamp) -> bool {
        self.start <= at && at < self.end
    }

    /// The connection's answer was complete at `at`; `next` is when the request was due that is
    /// sent now on the same connection, if there is one. Call `observe` first.
    #[inline]
    pub(super) fn answered(
        &mut self,
        connection: &mut Connection,
        answer: Answer,
        at: Stamp,
        next: Option<Stamp>,
    ) {
        if answer == Answer::Wrong {
            self.load.wrong_answers += 1;
            let number = connection.answers;
            self.note_error(format!(
                "a wrong answer: request {number} of a connection came back changed"
            ));
        } else {
            self.board.count_answer();
            if self.is_in_window(at) {
                self.count_answer(connection, at);
            } else if self.end <= at {
                self.unanswered(connection.due_at);
            }
        }
        // The first request of a connection is not in flight: it may wait in the accept queue.
        match (connection.answers > 1, next.is_some()) {
            (true, false) => self.in_flight.remove(at),
            (false, true) => self.in_flight.add(at),
            _ => {}
        }
        connection.free_at = at;
        if let Some(due) = next {
            self.begin(connection, due, at);
        }
    }

    #[inline]
    fn begin(&mut self, connection: &mut Connection, due: Stamp, at: Stamp) {
        self.due(due);
        let is_in_window = self.is_in_window(at);
        if let Some(send_lag) = self.load.send_lag.as_mut().filter(|_| is_in_window) {
            let sendable = due.max(connection.free_at);
            send_lag.record(self.clock.ns_between(sendable, at));
        }
        connection.begin(due, at);
    }

    /// Counts a right answer within the window.
    #[inline]
    fn count_answer(&mut self, connection: &mut Connection, at: Stamp) {
        self.load.requests += 1;
        let latency_ns = self.clock.ns_between(connection.due_at, at);
        self.load.latency.record(latency_ns);
        if let Some(ramp) = &mut self.ramp {
            ramp.answered(connection.due_at, latency_ns);
        }
        if let Some(uncorrected) = &mut self.load.uncorrected_latency {
            uncorrected.record(self.clock.ns_between(connection.sent_at, at));
        }
        if !connection.served_in_window {
            connection.served_in_window = true;
            self.load.connections_served += 1;
        }
    }

    /// A request is sent on a connection that had none.
    pub(super) fn sent(&mut self, connection: &mut Connection, due: Stamp, at: Stamp) {
        self.observe();
        self.begin(connection, due, at);
        if connection.answers > 0 {
            self.in_flight.add(at);
        }
    }

    /// A connection has ended. After the window the subject may close it.
    pub(super) fn lost(&mut self, connection: &Connection, error: String) {
        self.observe();
        if connection.busy && connection.answers > 0 {
            self.in_flight.remove(stamp());
        }
        if !self.is_over() {
            self.load.errors += 1;
            self.note_error(error);
        }
    }

    /// Connections that could not be opened.
    pub(super) fn refused(&mut self, missing: u32, error: String) {
        self.load.errors += u64::from(missing);
        self.note_error(error);
    }

    /// This many requests were due at `at` with no free connection.
    pub(super) fn backlog(&mut self, waiting: u64, at: Stamp) {
        if self.start <= at {
            self.load.backlog_peak = self.load.backlog_peak.max(waiting);
            if let Some(ramp) = &mut self.ramp {
                ramp.backlog(waiting, at);
            }
        }
    }

    /// A request was due. To be called once for each, when it is sent or never will be.
    #[inline]
    pub(super) fn due(&mut self, due: Stamp) {
        if self.is_in_window(due) {
            self.due += 1;
            if let Some(ramp) = &mut self.ramp {
                ramp.due(due);
            }
        }
    }

    /// The driver polled without a pause from `from` to `to`, and nothing had arrived.
    pub(super) fn spun(&mut self, from: Stamp, to: Stamp) {
        if !self.is_over() && self.start <= from {
            self.spun += to.saturating_sub(from);
        }
    }

    /// When the window began, once it has.
    pub(super) fn start(&self) -> Option<Stamp> {
        (self.start != Stamp::MAX).then_some(self.start)
    }

    /// When the window ended.
    pub(super) fn end(&self) -> Stamp {
        self.end
    }

    /// A request that was due at `due` has no answer at the window's end.
    pub(super) fn unanswered(&mut self, due: Stamp) {
        let age_ns = self.clock.ns_between(due, self.end);
        self.load.unanswered.record(age_ns);
        if let Some(ramp) = &mut self.ramp {
            ramp.unanswered(due, age_ns);
        }
    }

    pub(super) fn finish(mut self, connections: u32) -> Load {
        // A window that never opened or closed has no length.
        let is_whole = self.start < self.end && self.is_over();
        let window_ns = if is_whole { self.clock.ns_between(self.start, self.end) } else { 0 };
        let per_sec = |requests: u64| -> u64 {
            let rate = (u128::from(requests) * 1_000_000_000).checked_div(window_ns.into());
            rate.and_then(|rate| rate.try_into().ok()).unwrap_or(0)
        };
        self.load.achieved_per_sec = per_sec(self.load.requests);
        if self.load.interval_ns.is_some() {
            self.load.asked_per_sec.get_or_insert(per_sec(self.due));
        }
        self.load.ramp = self.ramp.map_or_else(Vec::new, RampTally::finish);
        self.load.window_ns = window_ns;
        self.load.in_flight_peak = self.in_flight.peak();
        self.load.in_flight_mean_milli = self.in_flight.mean_milli();
        self.load.connections = connections;
        self.load
    }

    #[cold]
    fn note_error(&mut self, error: String) {
        self.load.first_error.get_or_insert(error);
    }
}

/// The CPU time of the driver's only thread.
fn thread_cpu_ns() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}
