//! How much a scenario may ask for, so that none can exhaust the machine that runs it.
//!
//! Never clamps: what lies outside is refused, and the message says the limit.

use quadrant_suite::board::ROOTS_MAX;

use super::quantity::Limit;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

pub(super) const SPEC_BYTES: u64 = 256 << 10;
pub(super) const AXES: usize = 8;
pub(super) const AXIS_VALUES: usize = 64;
pub(super) const CASES: usize = 10_000;
pub(super) const STEPS: usize = 1_000;
/// Step lists inside step lists.
pub(super) const NESTING: usize = 8;
pub(super) const NAME_CHARS: usize = 64;
pub(super) const QUESTION_CHARS: usize = 300;

/// `connections` times `send`: what the messages in flight may take.
pub(super) const IN_FLIGHT_BYTES: u64 = 2 * GIB;
/// Tasks alive at once, those that others spawn included.
pub(super) const TASKS: u64 = 1_000_000;
/// All files of a scenario together, and all files being read at once.
pub(super) const FILES_BYTES: u64 = 4 * GIB;
/// Every different number of rounds is computed once when the scenario is loaded.
pub(super) const HASH_ROUNDS_TOGETHER: u64 = 20_000_000;

pub(super) const CONNECTIONS: Limit = Limit::count(1, 10_000);
pub(super) const MESSAGE: Limit = Limit::size(1, 16 * MIB);
pub(super) const RATE: Limit = Limit::rate(1, 1_000_000);
pub(super) const WORKERS: Limit = Limit::count(1, ROOTS_MAX as u64);
pub(super) const GROUP_TASKS: Limit = Limit::count(1, 100_000);
pub(super) const SPAWNED: Limit = Limit::count(1, 100_000);
pub(super) const EVERY: Limit = Limit::duration(US, 60 * S);
pub(super) const TIMES: Limit = Limit::count(1, 1_000_000_000);
pub(super) const SLEEP: Limit = Limit::duration(1, 60 * S);
pub(super) const CPU: Limit = Limit::duration(1, 10 * S);
pub(super) const HASH_ROUNDS: Limit = Limit::count(1, 10_000_000);
pub(super) const PING_PONG_ROUNDS: Limit = Limit::count(1, 1_000_000_000);
pub(super) const FILES: Limit = Limit::count(1, 100_000);
pub(super) const FILE_SIZE: Limit = Limit::size(1, GIB);
pub(super) const WARMUP: Limit = Limit::duration(0, 60 * S);
pub(super) const MEASURE: Limit = Limit::duration(10 * MS, 600 * S);
pub(super) const STALL: Limit = Limit::duration(100 * US, 10 * S);

pub(super) const WARMUP_DEFAULT_NS: u64 = 200 * MS;
pub(super) const MEASURE_DEFAULT_NS: u64 = S;
pub(super) const STALL_DEFAULT_NS: u64 = 10 * MS;
