//! The backend that a subject's system calls show, and whether it is the one that it claims.
//!
//! Only calls *used* for operations count, never those that merely set something up: a ring or an
//! epoll descriptor that no thread waits on proves nothing. Calls that do not decide give `unknown`.

use std::collections::BTreeMap;
use std::fmt;

use crate::record::{BackendSeen, Evidence, FilesSeen};

/// What was counted, and of what.
#[derive(Debug, Clone, Default)]
pub struct Pass {
    pub method: String,
    pub syscalls: BTreeMap<String, u64>,
    /// Those of the threads that poll tasks, where threads can be told apart.
    pub of_loops: Option<BTreeMap<String, u64>>,
    pub ops: u64,
    /// The most operations that were under way at once: one wait can serve as many.
    pub in_flight: u64,
    /// Whether operations go through sockets.
    pub uses_sockets: bool,
    /// Whether operations read files in the runtime's own way.
    pub reads_files: bool,
    /// Whether some operations go around the runtime, by the scenario's will (`how: blocking`
    /// and the like): then their calls are not the runtime's.
    pub goes_around: bool,
}

/// Calls that wait until something is ready, or hand over to the kernel and wait.
const RING: [&str; 1] = ["io_uring_enter"];
const EPOLL: [&str; 3] = ["epoll_wait", "epoll_pwait", "epoll_pwait2"];
const POLL: [&str; 4] = ["poll", "ppoll", "select", "pselect6"];
/// Calls that move the bytes of a socket and of nothing else.
const TRANSFERS: [&str; 5] = ["recvfrom", "recvmsg", "sendto", "sendmsg", "recvmmsg"];
/// Calls that wait for a time, whatever else could be done meanwhile.
const SLEEPS: [&str; 2] = ["clock_nanosleep", "nanosleep"];
const OPENS: [&str; 3] = ["open", "openat", "openat2"];
const CREATIONS: [&str; 2] = ["clone", "clone3"];
const FILE_READS: [&str; 4] = ["pread64", "preadv", "preadv2", "read"];

/// One wait for this many operations is a use; more where it can serve more of them at once.
const OPERATIONS_PER_WAIT_MAX: u64 = 100;
const IN_FLIGHT_PER_WAIT_MAX: u64 = 10;
/// Of fewer operations nothing can be said: the edges of the window weigh as much as they do.
const OPERATIONS_MIN: u64 = 20;
/// A few waits are housekeeping, however few operations there were.
const WAITS_MIN: u64 = 5;

/// The suffix of a backend that uses a ring for files only.
const FILES_BY_RING: &str = "+ring";

/// The backend that operations other than on files wait by: `epoll` of `epoll+ring`.
pub fn waits_by(claimed: &str) -> &str {
    claimed.split('+').next().unwrap_or(claimed)
}

/// Whether it takes a system with io_uring.
pub fn needs_ring(claimed: &str) -> bool {
    claimed == BackendSeen::IoUring.word() || claimed.ends_with(FILES_BY_RING)
}

/// Judges a pass; `claimed` is the backend that the subject claims.
pub fn judge(pass: Pass, claimed: &str) -> Evidence {
    let backend_seen = backend(&pass);
    let files_seen = files(&pass);
    let waits = pass.goes_around
        || backend_seen == BackendSeen::Unknown
        || !JUDGED.contains(&waits_by(claimed))
        || waits_by(claimed) == backend_seen.word();
    let reads =
        !claimed.ends_with(FILES_BY_RING) || files_seen.is_none_or(|seen| seen == FilesSeen::Ring);
    let agrees = waits && reads;
    Evidence {
        backend_seen,
        files_seen,
        agrees,
        method: pass.method,
        ops: pass.ops,
        syscalls: pass.syscalls,
    }
}

/// Other backends, such as those of tests, cannot be verified by calls.
const JUDGED: [&str; 4] = ["io_uring", "epoll", "poll", "blocking"];

fn backend(pass: &Pass) -> BackendSeen {
    if pass.ops < OPERATIONS_MIN {
        return BackendSeen::Unknown;
    }
    let of = |names: &[&str]| sum(&pass.syscalls, names);
    let (ring, epoll, poll) = (of(&RING), of(&EPOLL), of(&POLL));
    let (ring_used, epoll_used, poll_used) =
        (pass.is_used(ring), pass.is_used(epoll), pass.is_used(poll));
    let transfers = of(&TRANSFERS);
    let moves_bytes = transfers > 0 && transfers >= pass.ops / 2;
    match (ring_used, epoll_used, poll_used) {
        // A ring that is itself waited for by epoll: which of the two moves the bytes?
        (true, true, _) if pass.uses_sockets && !moves_bytes => BackendSeen::IoUring,
        (true, true, _) if pass.uses_sockets && epoll >= ring => BackendSeen::Epoll,
        // Without sockets the one may be for files and the other for timers.
        (true, true, _) => BackendSeen::Unknown,
        (true, false, false) => BackendSeen::IoUring,
        (false, true, false) => BackendSeen::Epoll,
        (false, false, true) => BackendSeen::Poll,
        (true, false, true) => larger((ring, BackendSeen::IoUring), (poll, BackendSeen::Poll)),
        (false, true, true) => larger((epoll, BackendSeen::Epoll), (poll, BackendSeen::Poll)),
        (false, false, false) if pass.uses_sockets && moves_bytes => BackendSeen::Blocking,
        (false, false, false) if !pass.uses_sockets && of(&SLEEPS) > pass.ops / 2 => {
            BackendSeen::Blocking
        }
        // Reading files decides nothing: every readiness-based runtime blocks there somewhere.
        (false, false, false) => BackendSeen::Unknown,
    }
}

impl Pass {
    fn is_used(&self, waits: u64) -> bool {
        let operations = OPERATIONS_PER_WAIT_MAX.max(IN_FLIGHT_PER_WAIT_MAX * self.in_flight);
        waits >= WAITS_MIN && waits.saturating_mul(operations) >= self.ops
    }
}

fn larger(a: (u64, BackendSeen), b: (u64, BackendSeen)) -> BackendSeen {
    if a.0 >= b.0 { a.1 } else { b.1 }
}

/// Every file is opened to be read, and nothing else is opened within a window: the thread that
/// opens a file also reads it.
fn files(pass: &Pass) -> Option<FilesSeen> {
    if !pass.reads_files || pass.ops < OPERATIONS_MIN {
        return None;
    }
    let opens_of = |syscalls| sum(syscalls, &OPENS);
    let opens = opens_of(&pass.syscalls);
    let is_by_ring = pass.is_used(sum(&pass.syscalls, &RING));
    // Some open in a pool, because not every kernel's ring can, and read by the ring. The poll
    // wrapper asks for a thread's CPU time and reads its waiting time in turn.
    let reads =
        sum(&pass.syscalls, &FILE_READS).saturating_sub(sum(&pass.syscalls, &["clock_gettime"]));
    if is_by_ring && (opens < pass.ops / 2 || reads < pass.ops / 2) {
        return Some(FilesSeen::Ring);
    }
    if opens < pass.ops / 2 {
        return None;
    }
    // Where threads come and go, it is not known which of them ran tasks.
    if sum(&pass.syscalls, &CREATIONS) * 10 > opens {
        return None;
    }
    let by_loops = opens_of(pass.of_loops.as_ref()?);
    if by_loops * 10 >= opens * 9 {
        Some(FilesSeen::Inline)
    } else if by_loops * 10 <= opens {
        Some(FilesSeen::Pool)
    } else {
        None
    }
}

fn sum(syscalls: &BTreeMap<String, u64>, names: &[&str]) -> u64 {
    names.iter().filter_map(|name| syscalls.get(*name)).sum()
}

/// The sentence for a subject whose calls contradict its claim.
pub fn contradiction(evidence: &Evidence, claimed: &str) -> Option<String> {
    if evidence.agrees {
        return None;
    }
    let mut most: Vec<(&String, u64)> =
        evidence.syscalls.iter().map(|(name, count)| (name, *count)).collect();
    most.retain(|(name, _)| name.as_str() != "clock_gettime");
    most.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let most: Vec<String> = most
        .into_iter()
        .take(3)
        .map(|(name, count)| format!("{:.2} {name}", count as f64 / evidence.ops.max(1) as f64))
        .collect();
    let seen = match evidence.backend_seen {
        seen if seen.word() == waits_by(claimed) || seen == BackendSeen::Unknown => {
            match evidence.files_seen {
                Some(FilesSeen::Inline) => "reads files inline".to_owned(),
                _ => "reads files in a pool".to_owned(),
            }
        }
        BackendSeen::Blocking => "makes blocking calls".to_owned(),
        seen => format!("uses {seen}"),
    };
    Some(format!(
        "claims {claimed} but {seen}: {} for each operation; its figures are not those of {claimed}",
        most.join(", ")
    ))
}

impl BackendSeen {
    pub fn word(self) -> &'static str {
        match self {
            BackendSeen::IoUring => "io_uring",
            BackendSeen::Epoll => "epoll",
            BackendSeen::Poll => "poll",
            BackendSeen::Blocking => "blocking",
            BackendSeen::Unknown => "unknown",
        }
    }
}

impl fmt::Display for BackendSeen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

impl FilesSeen {
    pub fn word(self) -> &'static str {
        match self {
            FilesSeen::Ring => "ring",
            FilesSeen::Pool => "pool",
            FilesSeen::Inline => "inline",
        }
    }
}

impl Evidence {
    /// Without those of the poll wrapper, which asks for a thread's CPU time and then, if that has
    /// been off its CPU, reads its waiting time. Where it has not, up to one call a millisecond
    /// stays in. `None` when nothing was completed.
    pub fn syscalls_per_op(&self) -> Option<f64> {
        let of = |name| self.syscalls.get(name).copied().unwrap_or(0);
        let wrapper = 2 * of("clock_gettime").min(of("pread64"));
        let all: u64 = self.syscalls.values().sum();
        (self.ops > 0).then(|| (all - wrapper) as f64 / self.ops as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BackendSeen::{Blocking, Epoll, IoUring, Poll, Unknown};

    fn counts(syscalls: &[(&str, u64)]) -> BTreeMap<String, u64> {
        syscalls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    /// An echo of 1,000 round trips at one connection.
    fn echo(syscalls: &[(&str, u64)]) -> Pass {
        Pass {
            method: "made up".to_owned(),
            syscalls: counts(syscalls),
            ops: 1_000,
            in_flight: 1,
            uses_sockets: true,
            ..Pass::default()
        }
    }

    #[track_caller]
    fn check(pass: Pass, expected: BackendSeen) {
        let shown = format!("{pass:?}");
        assert_eq!(judge(pass, "epoll").backend_seen, expected, "{shown}");
    }

    #[test]
    fn the_signatures_of_an_echo() {
        let tokio = [("epoll_wait", 2_000), ("recvfrom", 4_000), ("sendto", 2_000)];
        check(echo(&tokio), Epoll);
        let smol = [
            ("epoll_pwait", 2_000),
            ("epoll_ctl", 6_000),
            ("timerfd_settime", 2_000),
            ("recvfrom", 2_000),
            ("sendto", 1_000),
        ];
        check(echo(&smol), Epoll);
        check(echo(&[("io_uring_enter", 2_000)]), IoUring);
        check(echo(&[("poll", 1_000), ("recvfrom", 1_000), ("sendto", 1_000)]), Poll);
        check(echo(&[("ppoll", 1_000), ("recvfrom", 1_000), ("sendto", 1_000)]), Poll);
        check(echo(&[("recvfrom", 1_000), ("sendto", 1_000)]), Blocking);
        check(echo(&[("recvfrom", 1_000), ("sendto", 1_000), ("futex", 9_000)]), Blocking);
    }

    #[test]
    fn what_is_open_and_not_used_proves_nothing() {
        let plain = [("recvfrom", 1_000), ("sendto", 1_000)];
        for idle in ["io_uring_setup", "io_uring_register", "epoll_create1", "epoll_ctl"] {
            check(echo(&[plain[0], plain[1], (idle, 3)]), Blocking);
        }
        // A few waits of a timer's thread beside many operations.
        check(echo(&[plain[0], plain[1], ("epoll_wait", 4)]), Blocking);
        check(echo(&[plain[0], plain[1], ("io_uring_enter", 9)]), Blocking);
        check(echo(&[("futex", 20_000)]), Unknown);
        check(echo(&[]), Unknown);
        // A ring that a thread of the kernel's looks after needs no calls.
        check(echo(&[("io_uring_enter", 3)]), Unknown);
    }

    #[test]
    fn few_operations_contradict_no_claim() {
        let slow = |ops| Pass { ops, ..echo(&[("epoll_wait", 4), ("recvfrom", 9), ("sendto", 9)]) };
        check(slow(9), Unknown);
        check(slow(18), Unknown);
    }

    #[test]
    fn one_wait_may_serve_all_operations_in_flight() {
        let batched = |in_flight| Pass {
            ops: 100_000,
            in_flight,
            ..echo(&[("epoll_wait", 100), ("recvfrom", 100_000), ("sendto", 100_000)])
        };
        check(batched(1_024), Epoll);
        check(batched(1), Blocking);
    }

    #[test]
    fn a_ring_beside_epoll_is_judged_by_transfers() {
        // Tries the socket first, and waits for it by the ring.
        check(echo(&[("io_uring_enter", 1_000), ("recvfrom", 1_000), ("sendto", 1_000)]), IoUring);
        // Waits for its ring by epoll.
        check(echo(&[("io_uring_enter", 1_000), ("epoll_wait", 1_000)]), IoUring);
        // A ring for files, epoll for sockets.
        let sockets = [("epoll_wait", 1_000), ("recvfrom", 1_000), ("sendto", 1_000)];
        check(echo(&[sockets[0], sockets[1], sockets[2], ("io_uring_enter", 500)]), Epoll);
        let files = Pass {
            uses_sockets: false,
            ..echo(&[("io_uring_enter", 1_000), ("epoll_wait", 1_000)])
        };
        check(files, Unknown);
    }

    #[test]
    fn sleeps_show_the_backend_too() {
        let sleeping = |syscalls: &[(&str, u64)]| Pass { uses_sockets: false, ..echo(syscalls) };
        check(sleeping(&[("clock_nanosleep", 1_000)]), Blocking);
        check(sleeping(&[("epoll_pwait", 1_000), ("timerfd_settime", 1_000)]), Epoll);
        check(sleeping(&[("futex", 1_000)]), Unknown);
        // The odd pause beside work without system calls.
        check(sleeping(&[("clock_nanosleep", 100)]), Unknown);
    }

    #[track_caller]
    fn check_files(
        all: &[(&str, u64)],
        of_loops: Option<&[(&str, u64)]>,
        expected: Option<FilesSeen>,
    ) {
        let pass = Pass {
            uses_sockets: false,
            reads_files: true,
            of_loops: of_loops.map(counts),
            ..echo(all)
        };
        assert_eq!(judge(pass, "epoll").files_seen, expected, "{all:?}");
    }

    #[test]
    fn threads_that_read_files() {
        let by_calls = [("openat", 1_000), ("read", 2_000), ("statx", 1_000)];
        check_files(&[("io_uring_enter", 4_000)], Some(&[]), Some(FilesSeen::Ring));
        check_files(&[("io_uring_enter", 4_000)], None, Some(FilesSeen::Ring));
        let opens_in_a_pool = [("io_uring_enter", 2_000), ("openat", 1_000)];
        check_files(&opens_in_a_pool, Some(&[]), Some(FilesSeen::Ring));
        let with_ring = [by_calls[0], by_calls[1], ("io_uring_enter", 1_000)];
        check_files(&with_ring, Some(&[("io_uring_enter", 1_000)]), Some(FilesSeen::Pool));
        check_files(&by_calls, Some(&[("epoll_wait", 900)]), Some(FilesSeen::Pool));
        check_files(&by_calls, Some(&by_calls), Some(FilesSeen::Inline));
        check_files(&by_calls, Some(&[("openat", 500)]), None);
        check_files(&by_calls, None, None);
        let by_new_threads = [by_calls[0], by_calls[1], ("clone3", 1_000)];
        check_files(&by_new_threads, Some(&[]), None);
        check_files(&[("futex", 5)], Some(&[]), None);
        // Without files to read there is no reader to look for.
        assert_eq!(judge(echo(&by_calls), "epoll").files_seen, None);
    }

    #[test]
    fn a_ring_beside_a_backend_is_judged_by_both() {
        let sockets = [("epoll_wait", 1_000), ("recvfrom", 1_000), ("sendto", 1_000)];
        let told = |pass: Pass| contradiction(&judge(pass, "epoll+ring"), "epoll+ring");
        assert_eq!(told(echo(&sockets)), None);
        assert_eq!(told(echo(&[("futex", 9_000)])), None);
        let by_poll = told(echo(&[("poll", 1_000), sockets[1], sockets[2]])).unwrap();
        assert!(by_poll.starts_with("claims epoll+ring but uses poll: "), "{by_poll}");

        let files = |all: &[(&str, u64)], of_loops: &[(&str, u64)]| {
            let of_loops = Some(counts(of_loops));
            told(Pass { uses_sockets: false, reads_files: true, of_loops, ..echo(all) })
        };
        let waits = ("epoll_wait", 1_000);
        assert_eq!(files(&[waits, ("io_uring_enter", 4_000)], &[]), None);
        let calls = [waits, ("openat", 1_000), ("read", 2_000)];
        let in_pool = files(&calls, &[]).unwrap();
        assert!(in_pool.starts_with("claims epoll+ring but reads files in a pool: "), "{in_pool}");
        let inline = files(&calls, &calls).unwrap();
        assert!(inline.starts_with("claims epoll+ring but reads files inline: "), "{inline}");
        assert!(needs_ring("epoll+ring") && needs_ring("io_uring") && !needs_ring("epoll"));
    }

    #[test]
    fn the_observers_own_calls_are_not_the_subjects() {
        let calls = [("recvfrom", 1_000), ("sendto", 1_000), ("clock_gettime", 300)];
        let with = |reads| judge(echo(&[calls[0], calls[1], calls[2], ("pread64", reads)]), "x");
        assert_eq!(with(300).syscalls_per_op(), Some(2.0));
        assert_eq!(with(800).syscalls_per_op(), Some(2.5));
        assert_eq!(judge(Pass { ops: 0, ..echo(&calls) }, "x").syscalls_per_op(), None);
    }

    #[test]
    fn only_a_wrong_claim_gives_a_warning() {
        let blocking = [("recvfrom", 1_000), ("sendto", 1_500)];
        let evidence = judge(echo(&blocking), "io_uring");
        assert!(!evidence.agrees);
        assert_eq!(
            contradiction(&evidence, "io_uring").unwrap(),
            "claims io_uring but makes blocking calls: 1.50 sendto, 1.00 recvfrom for each operation; \
             its figures are not those of io_uring"
        );
        let epoll = [("epoll_wait", 1_000), ("recvfrom", 1_000), ("sendto", 1_000)];
        let text = contradiction(&judge(echo(&epoll), "io_uring"), "io_uring").unwrap();
        assert!(text.starts_with("claims io_uring but uses epoll: 1.00 epoll_wait"), "{text}");

        assert_eq!(contradiction(&judge(echo(&epoll), "epoll"), "epoll"), None);
        // Nothing seen, nothing claimed that could be, or not the runtime's own doing.
        assert!(judge(echo(&[]), "io_uring").agrees);
        assert!(judge(echo(&epoll), "none").agrees);
        assert!(judge(Pass { goes_around: true, ..echo(&blocking) }, "epoll").agrees);
    }
}
