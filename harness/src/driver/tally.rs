//! Counts what the driver does within the window.
//!
//! The window's edges are the stamps on the board, not the moments at which they are noticed. It
//! never allocates while requests run, and never touches a socket.

use quadrant_suite::board::{Board, Phase};
use quadrant_suite::clock::{ClockScale, Stamp, stamp};
use quadrant_suite::histogram::Histogram;
use rustix::time::{ClockId, clock_gettime};

use super::connection::{Answer, Connection};
use super::in_flight::InFlight;
use super::order::{Load, Order};

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
    load: Load,
}

impl<'a> Tally<'a> {
    pub(super) fn new(order: &Order, board: &'a Board) -> Self {
        let of_open_loop = order.rate_per_sec.map(|_| Histogram::default());
        Self {
            board,
            clock: order.clock,
            start: Stamp::MAX,
            end: Stamp::MAX,
            in_flight: InFlight::default(),
            cpu_at_start: 0,
            spun: 0,
            load: Load {
                asked_per_sec: order.rate_per_sec,
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
        self.load.latency.record(self.clock.ns_between(connection.due_at, at));
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
        }
    }

    /// The driver polled without a pause from `from` to `to`, and nothing had arrived.
    pub(super) fn spun(&mut self, from: Stamp, to: Stamp) {
        if !self.is_over() && self.start <= from {
            self.spun += to.saturating_sub(from);
        }
    }

    /// When the window ended.
    pub(super) fn end(&self) -> Stamp {
        self.end
    }

    /// A request that was due at `due` has no answer at the window's end.
    pub(super) fn unanswered(&mut self, due: Stamp) {
        self.load.unanswered.record(self.clock.ns_between(due, self.end));
    }

    pub(super) fn finish(mut self, connections: u32) -> Load {
        // A window that never opened or closed has no length.
        let is_whole = self.start < self.end && self.is_over();
        let window_ns = if is_whole { self.clock.ns_between(self.start, self.end) } else { 0 };
        let achieved = u128::from(self.load.requests) * 1_000_000_000;
        let achieved = achieved.checked_div(window_ns.into()).and_then(|rate| rate.try_into().ok());
        self.load.achieved_per_sec = achieved.unwrap_or(0);
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
