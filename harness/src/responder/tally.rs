//! Counts what the responder answers within the window.
//!
//! Never touches a socket. The window's edges are the stamps on the board.

use quadrant_suite::board::{Board, Phase};
use quadrant_suite::clock::{ClockScale, Stamp};

use super::order::{Answers, BackendAnswers, Order};
use crate::system::clock::thread_cpu_ns;

pub(super) struct Tally<'a> {
    board: &'a Board,
    clock: ClockScale,
    answers: Answers,
    in_flight: Vec<u64>,
    start: Stamp,
    cpu_at_start: u64,
    is_finished: bool,
}

impl<'a> Tally<'a> {
    pub(super) fn new(order: &Order, board: &'a Board) -> Self {
        let names = order.backends.iter().map(|backend| backend.name.clone());
        let backends = names.map(|name| BackendAnswers { name, ..BackendAnswers::default() });
        Self {
            board,
            clock: order.clock,
            answers: Answers { backends: backends.collect(), ..Answers::default() },
            in_flight: vec![0; order.backends.len()],
            start: 0,
            cpu_at_start: 0,
            is_finished: false,
        }
    }

    /// Reads the phase from the board. Returns the result when the window has just ended.
    pub(super) fn observe(&mut self) -> Option<Answers> {
        let phase = self.board.phase();
        if self.start == 0 && phase >= Phase::Measuring {
            self.start = self.board.window_start();
            self.cpu_at_start = thread_cpu_ns();
        }
        if self.is_finished || phase != Phase::Over {
            return None;
        }
        self.is_finished = true;
        self.answers.window_ns = self.clock.ns_between(self.start, self.board.window_end());
        self.answers.busy_ns = thread_cpu_ns().saturating_sub(self.cpu_at_start);
        Some(self.answers.clone())
    }

    /// A query has arrived.
    pub(super) fn asked(&mut self, backend: usize) {
        self.in_flight[backend] += 1;
        let peak = &mut self.answers.backends[backend].in_flight_peak;
        *peak = self.in_flight[backend].max(*peak);
    }

    /// A query is no more: it is being answered, or its connection has ended.
    pub(super) fn settled(&mut self, backend: usize) {
        self.in_flight[backend] -= 1;
    }

    /// The sending of an answer begins at `now`.
    pub(super) fn answered(&mut self, backend: usize, delay_ns: u64, due: Stamp, now: Stamp) {
        self.settled(backend);
        if self.board.is_measuring() {
            self.answers.backends[backend].delay.record(delay_ns);
            self.answers.lateness.record(self.clock.ns_between(due, now));
        }
    }

    pub(super) fn count_stranger(&mut self) {
        self.answers.strangers += 1;
    }
}
