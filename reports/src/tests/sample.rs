//! Records made up for tests.
//!
//! Never pretends to be a measurement: every figure is derived from the few a test gives.

use std::collections::BTreeMap;
use std::io::Cursor;

use quadrant_suite::histogram::Histogram;

use crate::random::SplitMix;
use crate::record::by_case::{Cases, WholeCase};
use crate::record::evidence::{Pass, contradiction, judge};
use crate::record::turns::{Thawed, Turn};
use crate::record::{
    self, AxisValue, CheckedExpectation, Concurrency, ContextSwitches, Cpus, GroupMetrics, Latency,
    LoadMetrics, Metrics, Noise, Record, Rss, SCHEMA, Stalls, Status, Subject, Threads, Turns,
};

/// A trial that completed `ops_per_sec` operations of about `latency_us` each for a second.
pub(crate) fn ok(id: &str, trial: u32, ops_per_sec: f64, latency_us: u64) -> Record {
    Record {
        metrics: Some(metrics(ops_per_sec, latency_us)),
        ..no_figures(id, trial, Status::Ok, None)
    }
}

pub(crate) fn no_figures(id: &str, trial: u32, status: Status, reason: Option<&str>) -> Record {
    let mut parts = id.split('/').map(str::to_owned);
    Record {
        schema: SCHEMA,
        run_id: "2025-01-31-a".into(),
        seed: 42,
        scenario: "echo/many-connections".into(),
        question: "How many connections does one server hold, with how many threads?".into(),
        workload: "64 B, closed loop".into(),
        case: vec![AxisValue { axis: "connections".into(), value: "1024".into() }],
        crossovers: false,
        rows_axis: None,
        claim: None,
        pass: record::Pass::Alone,
        trial,
        subject: Subject {
            id: id.into(),
            runtime: parts.next().unwrap(),
            version: "1.2.3".into(),
            executor: parts.next().unwrap(),
            backend: parts.next().unwrap(),
            workers: 2,
            note: None,
        },
        workers_asked: None,
        cpus: None,
        status,
        reason: reason.map(str::to_owned),
        metrics: None,
        turns: None,
        cut_short: None,
        layout: None,
        evidence: None,
        noise: None,
        warnings: Vec::new(),
        expectations: Vec::new(),
        took_ns: 1_350_000_000,
    }
}

pub(crate) fn metrics(ops_per_sec: f64, latency_us: u64) -> Metrics {
    Metrics {
        operation: "request".into(),
        ops: ops_per_sec as u64,
        errors: 0,
        elapsed_ns: 1_000_321_000,
        progress: Vec::new(),
        ops_per_sec,
        latency_ns: latency(latency_us),
        unended: record::Unended::default(),
        load: None,
        concurrency: Concurrency { peak: 1024, mean: 1024.0 },
        steps: BTreeMap::new(),
        cancelled: BTreeMap::new(),
        shared_types: BTreeMap::new(),
        groups: Vec::new(),
        threads: Threads {
            peak: 3,
            mean: 3.0,
            loops: 2,
            kernel: 0,
            method: "pids cgroup".into(),
            created: Some(0),
            migrations: Some(0),
            timeline: vec![(0, 3)],
            names: BTreeMap::from([("worker".to_owned(), 2)]),
        },
        stalls: Stalls { threshold_ns: 10_000_000, polls: 400_000, ..Stalls::default() },
        responder: None,
        impact_ns: Some(latency(90)),
        cpu_ns: (ops_per_sec * 5_400.0) as u64,
        page_faults: 0,
        context_switches: ContextSwitches { voluntary: 1_200, involuntary: 80 },
        rss_bytes: Rss { start: 4 << 20, peak: 11 << 20, before_load: None, with_load: None },
    }
}

/// What an idle driver has to say.
pub(crate) fn load(
    connections: u64,
    connections_served: u64,
    asked_per_sec: Option<u64>,
) -> LoadMetrics {
    LoadMetrics {
        connections,
        connections_served,
        connections_idle: 0,
        asked_per_sec,
        backlog_peak: None,
        busy_ns: 0,
        ceiling_per_sec: None,
        uncorrected_latency_ns: None,
        connect_ns: None,
        first_answer_ns: None,
        all_accepted_ns: None,
        send_lag_ns: None,
        ramp: Vec::new(),
    }
}

/// A second on two CPUs with bad neighbours.
pub(crate) fn noise() -> Noise {
    Noise {
        capacity_ns: 2_000_000_000,
        steal_ns: 60_000_000,
        others_cpu_ns: 240_000_000,
        run_queue_ns: 31_000_000,
        load_milli: 2_310,
        governor: Some("powersave".into()),
    }
}

pub(crate) fn latency(microseconds: u64) -> Latency {
    let mut histogram = Histogram::default();
    for share in 1..=100 {
        histogram.record(microseconds * 1_000 * (90 + share / 5) / 100);
    }
    histogram.record(microseconds * 1_500);
    histogram.record(microseconds * 1_800);
    Latency::from(histogram)
}

pub(crate) fn edit(mut record: Record, change: impl FnOnce(&mut Metrics)) -> Record {
    change(record.metrics.as_mut().unwrap());
    record
}

/// Every status, remark and kind of figure in one case.
pub(crate) fn everything() -> Vec<Record> {
    let mut records = Vec::new();
    for trial in 0..3 {
        let drift = 1.0 + f64::from(trial) * 0.01;
        records.push(edit(
            ok("smol/multi-thread/epoll", trial, 121_000.0 * drift, 504),
            |metrics| {
                metrics.stalls.count = 2;
                metrics.stalls.cpu_ns = 26_000_000;
                metrics.stalls.run_queue_ns = 2_000_000;
                metrics.stalls.longest_ns = 14_100_000 + u64::from(trial);
            },
        ));
        records.push(ok("tokio/multi-thread/epoll", trial, 182_000.0 * drift, 351));
        records.push(edit(
            ok("glommio/per-core/io_uring", trial, 181_000.0 * drift, 360),
            |metrics| {
                metrics.threads.peak = 2;
                metrics.threads.kernel = 4;
                metrics.concurrency.mean = 870.2;
                metrics.rss_bytes.peak = 14 << 20;
            },
        ));
        let jitter = [1.0, 0.55, 1.3][trial as usize];
        records.push(edit(
            ok("threads/thread-per-task/blocking", trial, 96_000.0 * jitter, 640),
            |metrics| {
                metrics.threads.peak = 1_026;
                metrics.threads.loops = 1_024;
                metrics.cpu_ns *= 2;
            },
        ));
        records.push(ok("async-std/multi-thread/epoll", trial, 118_000.0 * drift, 517));
    }
    for record in &mut records {
        let metrics = record.metrics.as_ref().unwrap();
        record.warnings.push(format!("driver at {} % of its ceiling", 80 + record.trial));
        record.expectations.push(CheckedExpectation {
            expected: "stalls.count = 0".into(),
            when: Vec::new(),
            seen: Some(metrics.stalls.count as f64),
            answer: None,
            met: metrics.stalls.count == 0,
        });
        record.expectations.push(CheckedExpectation {
            expected: "latency.p99 <= 5000000".into(),
            when: Vec::new(),
            seen: Some(metrics.latency_ns.p99 as f64),
            answer: None,
            met: true,
        });
        if record.subject.runtime == "async-std" {
            record.subject.note = Some("discontinued in 2025 in favour of smol".into());
        }
    }
    records[1].noise = Some(noise());
    records[1].warnings.push("steal time 3 % during the window".into());
    records.push(ok("monoio/per-core/epoll", 0, 190_000.0, 300));
    records.push(no_figures(
        "monoio/per-core/epoll",
        1,
        Status::Failed,
        Some("reply 17 of connection 3 differs at byte 12: expected 0x5a, got 0x00"),
    ));
    records.push(ok("monoio/per-core/epoll", 2, 191_000.0, 300));
    records.push(no_figures(
        "ntex/per-core/epoll",
        0,
        Status::Crashed,
        Some("killed by signal 11 (SIGSEGV) \u{1b}[31mafter 210 ms"),
    ));
    records.push(no_figures(
        "nuclei/per-core/io_uring",
        0,
        Status::TimedOut,
        Some("did not end within 10 s after its window closed; its process group was killed"),
    ));
    records.push(no_figures(
        "heph/per-core/epoll",
        0,
        Status::Unmeasured,
        Some("would not build: error[E0277]: the trait bound `Socket: AsFd` is not satisfied"),
    ));
    records.push(no_figures("compio/per-core/io_uring", 0, Status::Unsupported, Some("io_uring is disabled here (kernel.io_uring_disabled=2); an administrator can allow it with sysctl kernel.io_uring_disabled=0")));
    records
}

/// A scenario with other tasks and named steps, measured at a fixed rate.
pub(crate) fn open_loop() -> Vec<Record> {
    let mut records = Vec::new();
    for trial in 0..3 {
        for (id, hashes, latency_us) in [
            ("tokio/multi-thread/epoll", 18.1, 900),
            ("smol/multi-thread/epoll", 17.9, 700),
            ("tokio/current-thread/epoll", 9.4, 21_000),
        ] {
            let mut record = edit(ok(id, trial, 2_000.0, latency_us), |metrics| {
                metrics.groups.push(GroupMetrics {
                    name: "hasher".into(),
                    ops: 18,
                    ops_per_sec: hashes,
                    latency_ns: latency(50_000),
                    concurrency: Concurrency { peak: 1, mean: 0.9 },
                    load: None,
                });
                metrics.concurrency = Concurrency { peak: 50, mean: 12.4 };
                metrics.load = Some(load(50, 50, Some(2_000)));
                metrics.steps.insert("db".into(), latency(latency_us / 2));
                metrics.steps.insert("render".into(), latency(latency_us / 3));
            });
            record.scenario = "mixed/hash-on-the-loop".into();
            record.question =
                "When one request hashes a password on the loop, what happens to everyone else?"
                    .into();
            record.workload = "50 connections, 2000/s, 64 B".into();
            record.case = vec![AxisValue { axis: "how".into(), value: "offload".into() }];
            records.push(record);
        }
    }
    records
}

/// Two workers asked for, of an executor that can have several and of two that cannot.
pub(crate) fn with_workers() -> Vec<Record> {
    let subjects = [
        ("tokio/multi-thread/epoll", 2, 180_000.0),
        ("tokio/current-thread/epoll", 1, 120_000.0),
        ("threads/thread-per-task/blocking", 0, 90_000.0),
    ];
    subjects
        .into_iter()
        .map(|(id, workers, ops_per_sec)| {
            let mut record = ok(id, 0, ops_per_sec, 350);
            record.subject.workers = workers;
            record.workers_asked = Some(2);
            record.cpus = Some(Cpus { subject: vec![0, 1, 2], driver: vec![3] });
            record
        })
        .collect()
}

/// A run with evidence: one subject that does what it says, one that does not, one unseen.
pub(crate) fn with_evidence() -> Vec<Record> {
    let seen = |claimed: &str, syscalls: &[(&str, u64)]| {
        let pass = Pass {
            method: "bpf at sys_enter".into(),
            syscalls: syscalls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            ops: 30_000,
            in_flight: 64,
            uses_sockets: true,
            ..Pass::default()
        };
        judge(pass, claimed)
    };
    let mut records = Vec::new();
    for trial in 0..3 {
        for (id, syscalls) in [
            (
                "tokio/multi-thread/epoll",
                &[("epoll_wait", 9_000), ("recvfrom", 61_000), ("sendto", 30_000)][..],
            ),
            ("boast/per-core/io_uring", &[("recvfrom", 30_000), ("sendto", 30_000)]),
            ("silent/per-core/io_uring", &[]),
        ] {
            let mut record = ok(id, trial, 100_000.0, 350);
            let evidence = seen(&record.subject.backend, syscalls);
            record.warnings.extend(contradiction(&evidence, &record.subject.backend));
            record.evidence = Some(evidence);
            records.push(record);
        }
        records.push(ok("without/any/epoll", trial, 90_000.0, 400));
    }
    records
}

/// A case in turns. Every start has a speed of its own, which all subjects share, as has every
/// round; what is left is each subject's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InTurns<'a> {
    pub starts: u32,
    pub group: u32,
    pub reference: Option<&'a str>,
    /// How fast the machine is.
    pub machine: f64,
    /// Standard deviation from start to start of a subject's throughput; of its CPU time per
    /// operation it is a fifth of that.
    pub noise: f64,
    pub driver_busy: f64,
    pub seed: u64,
}

const ROUNDS: u32 = 16;

impl<'a> InTurns<'a> {
    pub(crate) fn new(starts: u32) -> Self {
        let (group, reference) = (0, None);
        Self { starts, group, reference, machine: 1.0, noise: 0.02, driver_busy: 0.6, seed: 7 }
    }

    /// Of subjects that would each do so many operations per second, three quarters of the time
    /// on the CPU.
    pub(crate) fn records(&self, subjects: &[(&str, f64)]) -> Vec<Record> {
        let subjects: Vec<(&str, f64, f64)> =
            subjects.iter().map(|(id, rate)| (*id, *rate, 0.75e9 / rate)).collect();
        self.with_cpu(&subjects)
    }

    /// The same with the CPU time per operation of each.
    pub(crate) fn with_cpu(&self, subjects: &[(&str, f64, f64)]) -> Vec<Record> {
        let mut random = SplitMix(self.seed ^ u64::from(self.group) << 32);
        let mut records = Vec::new();
        for start in 0..self.starts {
            let around = 1.0 + 0.1 * random.normal();
            let of_rounds: Vec<f64> =
                (0..ROUNDS).map(|_| around * (1.0 + 0.05 * random.normal())).collect();
            for (id, rate, cpu) in subjects {
                let own = (self.noise * random.normal()).exp();
                let own_cpu = (self.noise / 5.0 * random.normal()).exp();
                let rounds = of_rounds.iter().map(|speed| {
                    let speed = speed * self.machine;
                    turn(rate * own * speed, cpu * own_cpu / speed, self.driver_busy)
                });
                let turns = Turns {
                    group: self.group,
                    reference: self.reference.map(str::to_owned),
                    operation: "request".into(),
                    rounds: rounds.collect(),
                };
                records.push(Record {
                    pass: record::Pass::Turns,
                    turns: Some(turns),
                    ..no_figures(id, start, Status::Ok, None)
                });
            }
        }
        records
    }
}

/// Longer than a real one, so that counts need no rounding.
fn turn(rate: f64, cpu_ns_per_op: f64, driver_busy: f64) -> Turn {
    let (elapsed_ns, thawed_ns) = (100_000_000, 110_000_000);
    let operations = (rate * 0.1) as u64;
    let thawed = Thawed {
        elapsed_ns: thawed_ns,
        operations: (rate * 0.11) as u64,
        cpu_ns: ((rate * 0.11).floor() * cpu_ns_per_op) as u64,
        driver_cpu_ns: (thawed_ns as f64 * driver_busy) as u64,
        page_faults: 0,
    };
    Turn { elapsed_ns, operations, waited_ns: 0, thawed }
}

/// A case of both passes: a reference that was not asked for, a leading group, and a subject with
/// two speeds that gives memory back and takes it again.
pub(crate) fn both_passes() -> Vec<Record> {
    let case = InTurns { reference: Some("mio/callbacks/epoll"), noise: 0.008, ..InTurns::new(10) };
    let subjects = [
        ("mio/callbacks/epoll", 210_000.0, 4_100.0),
        ("tokio/current-thread/epoll", 180_000.0, 4_900.0),
        ("smol/multi-thread/epoll", 179_000.0, 5_500.0),
        ("monoio/per-core/io_uring", 143_000.0, 6_000.0),
        ("threads/thread-per-task/blocking", 96_000.0, 9_800.0),
    ];
    let mut records: Vec<Record> =
        subjects[1..].iter().map(|(id, rate, _)| ok(id, 0, *rate, 350)).collect();
    records.extend(case.with_cpu(&subjects));
    edit_turns(&mut records, "monoio/per-core/io_uring", |start, turn| {
        if start % 3 == 0 {
            turn.operations = (turn.operations as f64 * 1.13) as u64;
        } else {
            turn.thawed.page_faults = turn.thawed.operations * 16;
        }
    });
    records
}

/// Changes every turn of a subject.
pub(crate) fn edit_turns(records: &mut [Record], id: &str, change: impl Fn(u32, &mut Turn)) {
    for record in records.iter_mut().filter(|record| record.subject.id == id) {
        let start = record.trial;
        let rounds = record.turns.iter_mut().flat_map(|turns| &mut turns.rounds);
        rounds.for_each(|turn| change(start, turn));
    }
}

/// A file that holds these records.
pub(crate) fn file(records: &[Record]) -> Cases<Cursor<Vec<u8>>> {
    let mut text = Vec::new();
    for record in records {
        serde_json::to_writer(&mut text, record).unwrap();
        text.push(b'\n');
    }
    Cases::find(Cursor::new(text)).unwrap()
}

/// The cases of such a file.
pub(crate) fn whole_cases(records: &[Record]) -> Vec<WholeCase> {
    let mut cases = file(records);
    std::iter::from_fn(|| cases.next_case().unwrap()).collect()
}
