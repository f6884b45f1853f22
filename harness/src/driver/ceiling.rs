//! The load driver's ceiling: how many requests a second it could send if the other side cost
//! nothing.
//!
//! It is computed from the CPU time that the driver needs for a request, against a server that only
//! echoes: a second divided by that. The throughput that the two reach together is lower: with few
//! connections they wait for each other, and both are mostly idle. Only for a saturated driver the
//! two are the same.
//!
//! Never runs beside a trial, and leaves nothing running.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use quadrant_suite::clock::ClockScale;

use super::alone;
use super::null_server::NullServer;
use super::order::{ClientGroup, Load, Order};
use crate::system::cpus::Division;

const WARMUP: Duration = Duration::from_millis(50);
const WINDOW: Duration = Duration::from_millis(150);
/// For opening the connections; it takes no tenth of it on an idle machine.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// With fewer requests there is no result.
const REQUESTS_MIN: u64 = 100;

/// Requests a second of clients like these, which send on without a rate, with driver and server on
/// the CPUs that driver and subject will have. Takes some 250 ms; an interruption ends it at once.
pub fn measure(
    executable: &Path,
    clients: &ClientGroup,
    clock: ClockScale,
    cpus: &Division,
) -> anyhow::Result<u64> {
    let server = NullServer::start(&cpus.subject)?;
    let clients = ClientGroup { arrivals: None, ..clients.clone() };
    let order = Order {
        cpus: cpus.driver.clone(),
        connect_limit_ns: CONNECT_MAX.as_nanos() as u64,
        ..Order::new(server.port, vec![clients], clock)
    };
    of(&alone::run(executable, &order, WARMUP, WINDOW)?)
}

fn of(load: &Load) -> anyhow::Result<u64> {
    ensure!(load.first_error.is_none(), "{:?}", load.first_error);
    ensure!(
        load.requests >= REQUESTS_MIN && load.busy_ns > 0,
        "only {} requests were answered",
        load.requests
    );
    let ceiling = u128::from(load.requests) * 1_000_000_000 / u128::from(load.busy_ns);
    Ok(u64::try_from(ceiling)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_is_one_second_by_the_cost() {
        let load = |requests, busy_ns| Load {
            requests,
            busy_ns,
            window_ns: 150_000_000,
            ..Load::default()
        };
        // Saturated: what it reaches. Half idle: twice that.
        assert_eq!(of(&load(30_000, 150_000_000)).unwrap(), 200_000);
        assert_eq!(of(&load(30_000, 75_000_000)).unwrap(), 400_000);
        assert!(of(&load(99, 75_000_000)).is_err());
        assert!(of(&load(30_000, 0)).is_err());
        let broken = Load { first_error: Some("it was closed".into()), ..load(30_000, 1) };
        assert!(of(&broken).is_err());
    }
}
