//! Counts what the driver does within the window.
//!
//! The window's edges are the stamps on the board, not the moments at which they are noticed. It
//! never allocates while requests run, and never touches a socket.

use quadrant_suite::board::{Board, Phase};
use quadrant_suite::clock::{ClockScale, Stamp, stamp};
use quadrant_suite::histogram::Histogram;

use super::arrivals::Arrivals;
use super::connection::{Answer, Connection, Request};
use super::in_flight::InFlight;
use super::order::{ClientGroup, Load, Order};
use super::ramp::RampTally;
use crate::system::clock::thread_cpu_ns;

pub(super) struct Tally<'a> {
    board: &'a Board,
    clock: ClockScale,
    /// The window as far as it is known; `Stamp::MAX` where it is not.
    start: Stamp,
    end: Stamp,
    /// Of all groups.
    in_flight: InFlight,
    cpu_at_start: u64,
    busy_ns: u64,
    /// Ticks within the window spent polling for the moment of a request.
    spun: u64,
    groups: Vec<GroupTally>,
    /// Errors of the whole load, and wrong answers with the first of both.
    errors: u64,
    wrong_answers: u64,
    first_error: Option<String>,
}

struct GroupTally {
    /// Open loop: requests that were due within the window.
    due: u64,
    ramp: Option<RampTally>,
    load: Load,
    /// Only where there are several: else it is that of all.
    in_flight: Option<InFlight>,
}

impl GroupTally {
    fn new(group: &ClientGroup, is_one_of_several: bool, clock: ClockScale) -> Self {
        let of_open_loop = group.arrivals.map(|_| Histogram::default());
        let ramp = group.arrivals.and_then(Arrivals::ramp);
        let load = Load {
            name: group.name.clone(),
            asked_per_sec: group.arrivals.and_then(Arrivals::exact_per_sec),
            interval_ns: group.arrivals.map(Arrivals::interval_ns),
            uncorrected_latency: of_open_loop.clone(),
            send_lag: of_open_loop,
            connect: group.habits.requests.map(|_| Histogram::default()),
            first_answer: group.habits.requests.map(|_| Histogram::default()),
            ..Load::default()
        };
        Self {
            due: 0,
            ramp: ramp.map(|rate| RampTally::new(rate, clock)),
            load,
            in_flight: is_one_of_several.then(InFlight::default),
        }
    }
}

impl<'a> Tally<'a> {
    pub(super) fn new(order: &Order, board: &'a Board) -> Self {
        let are_several = order.groups.len() > 1;
        let group = |group| GroupTally::new(group, are_several, order.clock);
        Self {
            board,
            clock: order.clock,
            start: Stamp::MAX,
            end: Stamp::MAX,
            in_flight: InFlight::default(),
            cpu_at_start: 0,
            busy_ns: 0,
            spun: 0,
            groups: order.groups.iter().map(group).collect(),
            errors: 0,
            wrong_answers: 0,
            first_error: None,
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
            let start = self.start;
            self.all_in_flight().for_each(|in_flight| in_flight.open(start));
            for ramp in self.groups.iter_mut().filter_map(|group| group.ramp.as_mut()) {
                ramp.open_window(start);
            }
            self.cpu_at_start = thread_cpu_ns();
        }
        if self.board.phase() == Phase::Over {
            self.end = self.board.window_end();
            let end = self.end;
            self.all_in_flight().for_each(|in_flight| in_flight.close(end));
            let used_ns = thread_cpu_ns().saturating_sub(self.cpu_at_start);
            self.busy_ns = used_ns.saturating_sub(self.clock.ns(self.spun));
        }
    }

    fn all_in_flight(&mut self) -> impl Iterator<Item = &mut InFlight> {
        let groups = self.groups.iter_mut().filter_map(|group| group.in_flight.as_mut());
        std::iter::once(&mut self.in_flight).chain(groups)
    }

    pub(super) fn is_over(&self) -> bool {
        self.end != Stamp::MAX
    }

    fn is_in_window(&self, at: Stamp) -> bool {
        self.start <= at && at < self.end
    }

    /// The connection's answer was complete at `at`; `next` is when the request was due that is
    /// sent now on the same connection, if there is one, and its size. Call `observe` first.
    #[inline]
    pub(super) fn answered(
        &mut self,
        connection: &mut Connection,
        (request, answer): (Request, Answer),
        at: Stamp,
        next: Option<(Stamp, usize)>,
    ) {
        if answer == Answer::Wrong {
            self.wrong_answers += 1;
            let number = connection.answers;
            self.note_error(format!(
                "a wrong answer: request {number} of a connection came back changed"
            ));
        } else {
            self.board.count_answer();
            if self.is_in_window(at) {
                self.count_answer(connection, &request, at);
            } else if self.end <= at {
                self.unanswered(connection.group, request.due_at);
            }
        }
        // The first request of a connection is not in flight: it may wait in the accept queue.
        match (connection.answers > 1, next.is_some()) {
            (true, false) => self.remove_in_flight(connection.group, at),
            (true, true) => {}
            // From the first answer on they are, with those that were sent before it.
            (false, follows) => (0..connection.requests.len() + usize::from(follows))
                .for_each(|_| self.add_in_flight(connection.group, at)),
        }
        connection.free_at = at;
        if let Some((due, bytes)) = next {
            self.begin(connection, due, at, bytes);
        }
    }

    #[inline]
    fn begin(&mut self, connection: &mut Connection, due: Stamp, at: Stamp, bytes: usize) {
        self.due(connection.group, due);
        let is_in_window = self.is_in_window(at);
        let load = &mut self.groups[connection.group].load;
        if let Some(send_lag) = load.send_lag.as_mut().filter(|_| is_in_window) {
            let sendable = due.max(connection.free_at);
            send_lag.record(self.clock.ns_between(sendable, at));
        }
        connection.begin(due, at, bytes);
    }

    /// Counts a right answer within the window.
    #[inline]
    fn count_answer(&mut self, connection: &mut Connection, request: &Request, at: Stamp) {
        let GroupTally { load, ramp, .. } = &mut self.groups[connection.group];
        load.requests += 1;
        let latency_ns = self.clock.ns_between(request.due_at, at);
        load.latency.record(latency_ns);
        if let Some(ramp) = ramp {
            ramp.answered(request.due_at, latency_ns);
        }
        if let Some(uncorrected) = &mut load.uncorrected_latency {
            uncorrected.record(self.clock.ns_between(request.sent_at, at));
        }
        if !connection.served_in_window {
            connection.served_in_window = true;
            load.connections_served += 1;
        }
    }

    #[inline]
    fn add_in_flight(&mut self, group: usize, at: Stamp) {
        self.in_flight.add(at);
        if let Some(in_flight) = &mut self.groups[group].in_flight {
            in_flight.add(at);
        }
    }

    #[inline]
    fn remove_in_flight(&mut self, group: usize, at: Stamp) {
        self.in_flight.remove(at);
        if let Some(in_flight) = &mut self.groups[group].in_flight {
            in_flight.remove(at);
        }
    }

    /// A request of `bytes` bytes is sent on a connection that had room for it.
    pub(super) fn sent(
        &mut self,
        connection: &mut Connection,
        due: Stamp,
        at: Stamp,
        bytes: usize,
    ) {
        self.observe();
        self.begin(connection, due, at, bytes);
        if connection.answers > 0 {
            self.add_in_flight(connection.group, at);
        }
    }

    /// A connection has ended. After the window the subject may close it.
    pub(super) fn lost(&mut self, connection: &Connection, error: String) {
        self.observe();
        // As when they were sent.
        let counted = if connection.answers > 0 { connection.requests.len() } else { 0 };
        (0..counted).for_each(|_| self.remove_in_flight(connection.group, stamp()));
        if !self.is_over() {
            self.errors += 1;
            self.note_error(error);
        }
    }

    /// A connection of this group was opened.
    pub(super) fn connected(&mut self, group: usize) {
        self.groups[group].load.connections += 1;
    }

    /// Connections that could not be opened.
    pub(super) fn refused(&mut self, missing: u32, error: String) {
        self.errors += u64::from(missing);
        self.note_error(error);
    }

    /// This many requests of a group were due at `at` with no free connection.
    pub(super) fn backlog(&mut self, group: usize, waiting: u64, at: Stamp) {
        if self.start <= at {
            let GroupTally { load, ramp, .. } = &mut self.groups[group];
            load.backlog_peak = load.backlog_peak.max(waiting);
            if let Some(ramp) = ramp {
                ramp.backlog(waiting, at);
            }
        }
    }

    /// A request of a group was due. To be called once for each, when it is sent or never will be.
    #[inline]
    pub(super) fn due(&mut self, group: usize, due: Stamp) {
        if self.is_in_window(due) {
            let GroupTally { due: count, ramp, .. } = &mut self.groups[group];
            *count += 1;
            if let Some(ramp) = ramp {
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

    /// A connection is open at the window's end.
    pub(super) fn left(&mut self, connection: &Connection) {
        for request in &connection.requests {
            self.unanswered(connection.group, request.due_at);
        }
        // One that asked only in the second half is not starving: it may be answered in a moment.
        let half = self.start.midpoint(self.end);
        let asked_late = connection.requests.front().is_none_or(|request| request.due_at > half);
        if asked_late && !connection.served_in_window {
            self.groups[connection.group].load.connections_idle += 1;
        }
    }

    /// A connection that was begun anew is open at `at`.
    pub(super) fn reconnected(&mut self, connection: &Connection, at: Stamp) {
        self.observe();
        let taken_ns = self.clock.ns_between(connection.began_at, at);
        let is_in_window = self.is_in_window(at);
        let connect = self.groups[connection.group].load.connect.as_mut();
        if let Some(connect) = connect.filter(|_| is_in_window) {
            connect.record(taken_ns);
        }
    }

    /// The first answer on a connection that was begun anew is complete at `at`.
    pub(super) fn answered_first(&mut self, connection: &Connection, at: Stamp) {
        let taken_ns = self.clock.ns_between(connection.began_at, at);
        let is_in_window = self.is_in_window(at);
        let first = self.groups[connection.group].load.first_answer.as_mut();
        if let Some(first) = first.filter(|_| is_in_window) {
            first.record(taken_ns);
        }
    }

    /// A request of a group that was due at `due` has no answer at the window's end.
    pub(super) fn unanswered(&mut self, group: usize, due: Stamp) {
        let age_ns = self.clock.ns_between(due, self.end);
        let GroupTally { load, ramp, .. } = &mut self.groups[group];
        load.unanswered.record(age_ns);
        if let Some(ramp) = ramp {
            ramp.unanswered(due, age_ns);
        }
    }

    pub(super) fn finish(self) -> Load {
        // A window that never opened or closed has no length.
        let is_whole = self.start < self.end && self.is_over();
        let window_ns = if is_whole { self.clock.ns_between(self.start, self.end) } else { 0 };
        let per_sec = |requests: u64| -> u64 {
            let rate = (u128::from(requests) * 1_000_000_000).checked_div(window_ns.into());
            rate.and_then(|rate| rate.try_into().ok()).unwrap_or(0)
        };
        let finished = |load: &mut Load, in_flight: &InFlight| {
            load.achieved_per_sec = per_sec(load.requests);
            load.window_ns = window_ns;
            load.in_flight_peak = in_flight.peak();
            load.in_flight_mean_milli = in_flight.mean_milli();
        };
        let groups = self.groups.into_iter().map(|group| {
            let GroupTally { due, ramp, mut load, in_flight } = group;
            if load.interval_ns.is_some() {
                load.asked_per_sec.get_or_insert(per_sec(due));
            }
            load.ramp = ramp.map_or_else(Vec::new, RampTally::finish);
            finished(&mut load, in_flight.as_ref().unwrap_or(&self.in_flight));
            load
        });
        let mut groups: Vec<Load> = groups.collect();
        let mut all = Load::together(&groups);
        finished(&mut all, &self.in_flight);
        groups.retain(|group| !group.name.is_empty());
        Load {
            groups,
            errors: self.errors,
            wrong_answers: self.wrong_answers,
            first_error: self.first_error,
            busy_ns: self.busy_ns,
            ..all
        }
    }

    #[cold]
    fn note_error(&mut self, error: String) {
        self.first_error.get_or_insert(error);
    }
}
