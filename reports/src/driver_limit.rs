//! When a load driver came so near to what it can do that a figure may be its own.
//!
//! Never says so of a driver that waited: an idle driver limits nobody.

/// Above this share of its ceiling the driver may be what is measured.
const SHARE_MAX: f64 = 0.7;
/// Above this share of its time requests wait for the driver as well.
pub const BUSY_MAX: f64 = 0.9;

/// Which of its limits a driver was near to, and the share of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DriverLimit {
    Ceiling { share: f64, per_sec: u64 },
    Busy { share: f64 },
}

/// What a driver did in a window, and its ceiling where that is known.
pub fn driver_limit(
    achieved_per_sec: f64,
    ceiling_per_sec: Option<u64>,
    busy_ns: u64,
    window_ns: u64,
) -> Option<DriverLimit> {
    if let Some(per_sec) = ceiling_per_sec.filter(|per_sec| *per_sec > 0) {
        let share = achieved_per_sec / per_sec as f64;
        if share > SHARE_MAX {
            return Some(DriverLimit::Ceiling { share, per_sec });
        }
    }
    let share = busy_ns as f64 / window_ns.max(1) as f64;
    (share > BUSY_MAX).then_some(DriverLimit::Busy { share })
}
