//! The library's exported table: correct, broken by a cargo feature, or with a sink that corrupts what
//! is passed to the host.

#![allow(unsafe_code)]

use std::ffi::c_void;

use quadrant_suite::board::Board;
use quadrant_suite::boundary::{Sink, Table};
use quadrant_suite::plan::Plan;

use crate::fault::Fault;
use crate::operations::Faulty;

const SOUND: Table = Table::new::<Faulty>();

// SAFETY: the name is this project's own, and a library exports one adapter.
#[cfg_attr(not(feature = "table-missing"), unsafe(no_mangle))]
#[cfg_attr(feature = "table-missing", allow(dead_code))]
pub(crate) static QUADRANT_ADAPTER: Table = table();

const fn table() -> Table {
    let mut table = Table { run, ..SOUND };
    if cfg!(feature = "table-wrong-magic") {
        table.magic = u64::from_be_bytes(*b"TRIANGLE");
    }
    if cfg!(feature = "table-wrong-version") {
        table.abi_version += 1_000;
    }
    if cfg!(feature = "table-wrong-size") {
        table.size += 8;
    }
    if cfg!(feature = "describe-given") {
        table.describe = describe_given;
    }
    table
}

/// The description is the text of a file that a test names.
extern "C" fn describe_given(sink: Sink) {
    let file = std::env::var_os("FAULTY_DESCRIPTION").unwrap_or_default();
    send(&sink, &std::fs::read(file).unwrap_or_default());
}

/// Runs the plan with a sink in between, for the faults of passing on the outcome.
extern "C" fn run(plan: *const u8, plan_length: usize, board: *const Board, sink: Sink) {
    // SAFETY: the host passes a text that stays as it is during this call.
    let text = unsafe { std::slice::from_raw_parts(plan, plan_length) };
    let fault =
        serde_json::from_slice(text).ok().and_then(|plan: Plan| Fault::named(&plan.executor));
    let take = match fault {
        Some(Fault::ReturnsGarbage) => take_garbage,
        Some(Fault::ReturnsNoText) => take_no_text,
        Some(Fault::ReturnsTwice) => take_twice,
        Some(Fault::ReturnsNothing) => take_nothing,
        _ => return (SOUND.run)(plan, plan_length, board, sink),
    };
    // Lives until the process ends, as a sink's context has to.
    let context: *const Sink = Box::leak(Box::new(sink));
    (SOUND.run)(plan, plan_length, board, Sink { context: context.cast(), take });
}

extern "C" fn take_garbage(context: *const c_void, _text: *const u8, _length: usize) {
    send(host(context), b"It went rather well.");
}

extern "C" fn take_no_text(context: *const c_void, _text: *const u8, _length: usize) {
    send(host(context), b"{\"finished\": \"\xFF\xFE\"}");
}

extern "C" fn take_twice(context: *const c_void, text: *const u8, length: usize) {
    let host = host(context);
    (host.take)(host.context, text, length);
    (host.take)(host.context, text, length);
}

extern "C" fn take_nothing(_context: *const c_void, _text: *const u8, _length: usize) {}

/// The host's sink, out of the context of one that `run` has put before it.
fn host(context: *const c_void) -> &'static Sink {
    // SAFETY: the context is the sink that `run` leaked, passed on by the engine as it came.
    unsafe { &*context.cast::<Sink>() }
}

fn send(sink: &Sink, bytes: &[u8]) {
    (sink.take)(sink.context, bytes.as_ptr(), bytes.len());
}

/// What the loader calls before anybody could look at the table.
#[cfg(feature = "load-aborts")]
mod constructor {
    // SAFETY: the section holds pointers to functions that the loader calls; this is one.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static ABORT: extern "C" fn() = abort;

    extern "C" fn abort() {
        std::process::abort();
    }
}
