//! ^C: a request to stop that is seen at the next look, so that what was measured is kept.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on ^C, a termination and a closed terminal are requests. A second ^C ends at once.
pub fn listen() {
    let requested = REQUESTED.get_or_init(Arc::default);
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // Registered before the flag is set, so it acts on the second signal only.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, requested.clone());
        let _ = signal_hook::flag::register(signal, requested.clone());
    }
    let _ = signal_hook::flag::register(signal_hook::consts::SIGHUP, requested.clone());
}

pub fn requested() -> bool {
    REQUESTED.get().is_some_and(|requested| requested.load(Ordering::Relaxed))
}
