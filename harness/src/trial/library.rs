//! Loads an adapter library, after looking at what it is.
//!
//! Runs only in a child process made for it: a library is never loaded into the harness
//! itself, and never unloaded, because what it started may still be running.

#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::mem::ManuallyDrop;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Result, anyhow, ensure};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use quadrant_suite::board::Board;
use quadrant_suite::boundary::{ABI_VERSION, MAGIC, SYMBOL, Sink, Table};

/// A loaded adapter.
pub struct AdapterLibrary {
    table: &'static Table,
}

impl AdapterLibrary {
    /// Loads the open file, where the system has a path to it. Another may lie at its path.
    pub fn load(path: &Path, file: RawFd) -> Result<Self> {
        let shown = path.display();
        let opened = PathBuf::from(format!("/proc/self/fd/{file}"));
        let place = if opened.exists() { &opened } else { path };
        // SAFETY: loading runs the library's constructors. This process exists to run that
        // code, holds nothing else of value, and is watched by its parent.
        let library = unsafe { Library::open(Some(place), RTLD_NOW | RTLD_LOCAL) };
        let library = library.map_err(|error| {
            anyhow!("{shown} cannot be loaded: {}", plain_reason(&error, place))
        })?;
        // Never dropped: unloading a runtime's code under its threads would crash.
        let library = ManuallyDrop::new(library);
        let name = CString::new(SYMBOL).expect("the symbol's name holds no zero");
        // SAFETY: the symbol is taken as the address of a static, whatever it is; it is
        // checked field by field below before it is used.
        let symbol = unsafe { library.get::<*const c_void>(name.as_bytes_with_nul()) };
        let symbol = symbol.map_err(|_| {
            anyhow!(
                "{shown} is no Quadrant adapter: it does not export `{SYMBOL}` (`export!` does that)"
            )
        })?;
        let table: *const Table = symbol.into_raw().cast();
        // SAFETY: magic, version and size are plain integers at the table's beginning, and a
        // symbol of this name is at least that large in every version of the interface.
        let (magic, version, size) =
            unsafe { ((*table).magic, (*table).abi_version, (*table).size) };
        ensure!(
            magic == MAGIC,
            "{shown} exports `{SYMBOL}`, but not as a Quadrant table: it begins with {magic:#018x}"
        );
        ensure!(
            version == ABI_VERSION,
            "{shown} was built for version {version} of the adapter interface, this is version \
             {ABI_VERSION}: build it again"
        );
        let expected = size_of::<Table>();
        ensure!(
            size as usize == expected,
            "{shown} has an adapter table of {size} bytes where {expected} are right: build it again"
        );
        // SAFETY: it is a table of this very version, and its library stays loaded.
        Ok(Self { table: unsafe { &*table } })
    }

    /// The adapter's description of itself.
    pub fn describe(&self) -> Option<String> {
        extern "C" fn take(context: *const c_void, text: *const u8, length: usize) {
            // SAFETY: the context is the cell below, which outlives the call to `describe`;
            // the adapter passes a text that stays as it is during this call.
            let (cell, text) = unsafe {
                let cell = &*context.cast::<Mutex<Option<String>>>();
                (cell, std::slice::from_raw_parts(text, length))
            };
            if let Ok(mut cell) = cell.lock() {
                *cell = Some(String::from_utf8_lossy(text).into_owned());
            }
        }
        let cell = Mutex::new(None);
        (self.table.describe)(Sink { context: (&raw const cell).cast(), take });
        cell.into_inner().ok().flatten()
    }

    /// Runs the plan; `take` receives the outcome, on any thread.
    pub fn run(&self, plan: &str, board: &'static Board, take: fn(&[u8])) {
        extern "C" fn hand_on(context: *const c_void, text: *const u8, length: usize) {
            // SAFETY: the context is the function pointer passed below, and the adapter passes
            // a text that stays as it is during this call.
            let (take, text) = unsafe {
                let take: fn(&[u8]) = std::mem::transmute(context);
                (take, std::slice::from_raw_parts(text, length))
            };
            take(text);
        }
        let sink = Sink { context: take as *const c_void, take: hand_on };
        (self.table.run)(plan.as_ptr(), plan.len(), board, sink);
    }
}

/// The loader's message without the path, which ours has already.
fn plain_reason(error: &libloading::Error, place: &Path) -> String {
    let text = match error {
        libloading::Error::DlOpen { source } => source.to_string(),
        other => other.to_string(),
    };
    let reason = text.strip_prefix(&format!("{}: ", place.display())).map(str::to_owned);
    reason.unwrap_or(text)
}
