//! Latency rows and error counters of a trial.
//!
//! Threads write to shards, so that two loops seldom touch the same cache line. The size depends on
//! the rows of the plan, never on the number of tasks.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::histogram::{Histogram, SharedHistogram};

const SHARDS: usize = 8;

/// The shard of the calling thread.
#[inline]
fn shard() -> usize {
    thread_local! {
        static SHARD: Cell<usize> = const { Cell::new(SHARDS) };
    }
    match SHARD.get() {
        SHARDS => {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            SHARD.set(NEXT.fetch_add(1, Relaxed) % SHARDS);
            SHARD.get()
        }
        shard => shard,
    }
}

/// One latency row. A shard is allocated when it is first written.
#[derive(Default)]
pub(crate) struct Row {
    shards: [OnceLock<Box<SharedHistogram>>; SHARDS],
}

impl Row {
    pub(crate) fn record(&self, ns: u64) {
        self.shards[shard()].get_or_init(Box::default).record(ns);
    }

    pub(crate) fn total(&self) -> Histogram {
        let mut total = Histogram::default();
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            shard.add_to(&mut total);
        }
        total
    }
}

/// Errors of the whole trial, with the text of the first.
#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) errors: AtomicU64,
    pub(crate) wrong_answers: AtomicU64,
    pub(crate) panics: AtomicU64,
    first: Mutex<Option<String>>,
}

impl Faults {
    pub(crate) fn error(&self, text: String) {
        self.errors.fetch_add(1, Relaxed);
        self.keep_first(text);
    }

    pub(crate) fn wrong_answer(&self, text: String) {
        self.wrong_answers.fetch_add(1, Relaxed);
        self.error(text);
    }

    pub(crate) fn panic(&self, text: &str) {
        self.panics.fetch_add(1, Relaxed);
        self.error(format!("a task panicked: {text}"));
    }

    pub(crate) fn first(&self) -> Option<String> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep_first(&self, mut text: String) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            if let Some((end, _)) = text.char_indices().nth(500) {
                text.truncate(end);
            }
            *first = Some(text);
        }
    }
}
