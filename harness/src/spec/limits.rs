//! How much a scenario may ask for, so that none can exhaust the machine that runs it.
//!
//! Never clamps: what lies outside is refused, and the message names the limit.

use quadrant_suite::board::ROOTS_MAX;

use super::quantity::{COUNT, DURATION, Kind, Limit, RATE, SIZE};

const fn limit(kind: &'static Kind, least: u64, most: u64) -> Limit {
    Limit { kind, least, most }
}

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
pub(super) const BACKENDS: usize = 16;
pub(super) const NAME_CHARS: usize = 64;
pub(super) const QUESTION_CHARS: usize = 300;
/// Different patterns of subjects; each is compiled.
pub(super) const PATTERNS: usize = 64;
/// Named steps; each has figures of its own.
pub(super) const ROWS: usize = 256;
/// Every case is checked, so keys and values count once for each.
pub(super) const CHECKED: usize = 2_000_000;
/// Mistakes that are reported, and how often they may be found again until the search ends.
pub(super) const MISTAKES: usize = 50;
pub(super) const MISTAKES_AGAIN: usize = 2_000;

/// `connections` times `send`: what the messages in flight may take.
pub(super) const IN_FLIGHT_BYTES: u64 = 2 * GIB;
/// Tasks alive at once, those that others spawn included.
pub(super) const TASKS: u64 = 1_000_000;
/// Queries at once to backends without a pool: each needs a connection.
pub(super) const QUERIES: u64 = 10_000;
/// All files of a scenario together, and all files being read or written at once.
pub(super) const FILES_BYTES: u64 = 4 * GIB;
/// Producers times consumers of a channel: the order of messages is checked for each pair.
pub(super) const CHANNEL_PAIRS: u64 = 4_000_000;
/// Every different hash is computed once when the scenario is loaded.
pub(super) const HASH_ROUNDS_TOGETHER: u64 = 20_000_000;
/// What a round of `pbkdf2` takes, in rounds of `chain`.
pub(super) const PBKDF2_COST: u64 = 10;

/// Groups of clients; each has figures of its own.
pub(super) const CLIENT_GROUPS: usize = 8;
pub(super) const CONNECTIONS: Limit = limit(&COUNT, 1, 50_000);
pub(super) const WEIGHT: Limit = limit(&COUNT, 1, 1_000_000);
pub(super) const PAUSE: Limit = limit(&DURATION, US, 60 * S);
pub(super) const PIPELINE: Limit = limit(&COUNT, 1, 1_000);
pub(super) const SIZES: usize = 64;
pub(super) const MESSAGE: Limit = limit(&SIZE, 1, 16 * MIB);
pub(super) const LOAD_RATE: Limit = limit(&RATE, 1, 1_000_000);
pub(super) const BURST: Limit = limit(&COUNT, 1, 100_000);
pub(super) const BURST_EVERY: Limit = limit(&DURATION, MS, 60 * S);
pub(super) const WORKERS: Limit = limit(&COUNT, 1, ROOTS_MAX as u64);
pub(super) const GROUP_TASKS: Limit = limit(&COUNT, 1, 100_000);
pub(super) const SPAWNED: Limit = limit(&COUNT, 1, 100_000);
pub(super) const EVERY: Limit = limit(&DURATION, US, 60 * S);
pub(super) const TIMES: Limit = limit(&COUNT, 1, 1_000_000_000);
pub(super) const SLEEP: Limit = limit(&DURATION, 1, 60 * S);
pub(super) const CPU: Limit = limit(&DURATION, 1, 10 * S);
pub(super) const HASH_ROUNDS: Limit = limit(&COUNT, 1, 10_000_000);
pub(super) const PING_PONG_ROUNDS: Limit = limit(&COUNT, 1, 1_000_000_000);
pub(super) const CHANNEL_CAPACITY: Limit = limit(&COUNT, 1, 1_000_000);
pub(super) const FILES: Limit = limit(&COUNT, 1, 100_000);
pub(super) const FILE_SIZE: Limit = limit(&SIZE, 1, GIB);
/// A subject that is killed in such a read ends only with the read: this is shorter than the time that a
/// killed process gets.
pub(super) const LATENCY: Limit = limit(&DURATION, 10 * US, 2 * S);
pub(super) const BACKEND_LATENCY: Limit = limit(&DURATION, 0, 10 * S);
pub(super) const ANSWER: Limit = limit(&SIZE, 1, MIB);
pub(super) const POOL: Limit = limit(&COUNT, 1, 10_000);
pub(super) const WARMUP: Limit = limit(&DURATION, 0, 60 * S);
pub(super) const MEASURE: Limit = limit(&DURATION, 10 * MS, 600 * S);
pub(super) const STALL: Limit = limit(&DURATION, 100 * US, 10 * S);

pub(super) const ANSWER_DEFAULT: usize = 64;
pub(super) const CHANNEL_CAPACITY_DEFAULT: u32 = 64;
pub(super) const WARMUP_DEFAULT_NS: u64 = 200 * MS;
pub(super) const MEASURE_DEFAULT_NS: u64 = S;
pub(super) const STALL_DEFAULT_NS: u64 = 10 * MS;
