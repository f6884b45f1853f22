//! Subjects that are killed at any moment: before they are ready, in the warm-up, in the window,
//! while they are observed, and while they write their outcome. Nothing of them may be left.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use quadrant_reports::record::Status;
use rustix::process::{Pid, Signal, kill_process};

use crate::command::control_groups_of;
use crate::skip::{Need, skip};
use crate::stage::Stage;

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/brief.yaml");
const KILLED: &str = "was killed by signal 9 (SIGKILL: out of memory?) and left no outcome";
const TRIALS: usize = 40;
/// A trial takes some 120 ms, so some subjects end before they are killed.
const LIFE_MS_MAX: u64 = 130;

/// A frozen control group of the first version, whose processes not even SIGKILL ends. Dropping it
/// lets them go on, so that they end.
struct Frozen(PathBuf);

impl Frozen {
    fn create() -> Option<Self> {
        let name = format!("/sys/fs/cgroup/freezer/test-{}", std::process::id());
        fs::create_dir(&name).ok().map(|()| Self(name.into()))
    }

    fn freeze(&self, pid: &str) -> std::io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), pid)?;
        fs::write(self.0.join("freezer.state"), "FROZEN")
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("freezer.state"), "THAWED");
        let end = Instant::now() + Duration::from_secs(20);
        while fs::remove_dir(&self.0).is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

pub fn a_subject_that_cannot_be_killed_is_left() {
    let Some(frozen) = Frozen::create() else {
        return skip(Need::Other, "no freezer cgroup can be made here");
    };
    let stage = Stage::new();
    let words = ["run", "--no-build", SPEC, "-r", "threads", "--trials", "1", "--starts", "0"];
    let mut running = stage.call().args(words).args(["--time-limit", "1"]).start();
    running.until("subject", || {
        let subject = stage.processes().into_iter().find(|it| it.contains("__trial"))?;
        frozen.freeze(subject.split(' ').next()?).ok()
    });
    let harness = running.id();
    let ended = running.wait();
    drop(frozen);
    stage.assert_soon_empty();
    ended.expect_code(3).expect_words(&["was killed and has not ended within 5 s"]);

    // What could not be removed is removed by the next run.
    stage.call().args(words).run().expect_code(0);
    assert_eq!(control_groups_of(harness), Vec::<PathBuf>::new());
}

/// Where they are ignored, the kernel keeps none of them to be waited for.
pub fn ignored_ends_of_children_are_seen() {
    let stage = Stage::new();
    let script = "trap '' CHLD; exec \"$0\" \"$@\"";
    let ended = stage
        .call_through(&["bash", "-c", script])
        .args(["run", "--no-build", "--with-test-adapters", SPEC, "-r", "faulty/exits"])
        .args(["--trials", "1"])
        .run()
        .expect_code(3);
    assert!(ended.stdout.contains("ended with exit code 7"), "{}", ended.stdout);
    stage.assert_empty();
}

pub fn a_killed_subject_crashes_and_leaves_nothing() {
    let stage = Stage::new();
    let out = stage.named("results");
    let trials = TRIALS.to_string();
    let words = [SPEC, "-r", "threads", "-r", "tokio/multi-thread/epoll", "--trials", &trials];
    let running = stage.run(&words).args(["--format", "json", "--out", &out]).start();
    let mut chance = 1_u64;
    let mut last = None;
    let ended = running.until_ended(|| {
        let subject = stage.processes().into_iter().find(|process| process.contains("__trial"));
        let pid = subject.and_then(|process| process.split(' ').next()?.parse::<i32>().ok());
        if pid.is_none() || pid == last {
            return;
        }
        last = pid;
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        std::thread::sleep(Duration::from_millis((chance >> 33) % LIFE_MS_MAX));
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    stage.assert_empty();
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    let records = ended.expect_code(3).records();
    assert_eq!(records.len(), 2 * TRIALS);
    let reasons = || records.iter().filter_map(|record| record.reason.as_deref());
    for record in &records {
        let reason = record.reason.as_deref().unwrap_or_default();
        match record.status {
            Status::Ok => assert!(record.metrics.is_some()),
            Status::Crashed => {
                assert_eq!(reason, KILLED);
            }
            _ => panic!("{:?}: {reason}", record.status),
        }
    }
    assert!(reasons().count() > TRIALS / 2, "too few were killed: {}", reasons().count());
}

pub fn the_load_until_a_subjects_death_is_kept() {
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/echo.yaml");
    let stage = Stage::new();
    let words = [spec, "-r", "threads", "--trials", "1", "--format", "json"];
    let mut running = stage.run(&words).start();
    running.until("load", || {
        let processes = stage.processes();
        processes.iter().any(|it| it.contains("__driver")).then_some(())
    });
    // In the middle of the window, which is a second long.
    std::thread::sleep(Duration::from_millis(300));
    let subject = stage.processes().into_iter().find(|it| it.contains("__trial")).unwrap();
    let pid = subject.split(' ').next().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
    kill_process(pid.unwrap(), Signal::KILL).unwrap();
    let records = running.wait().expect_code(3).records();
    assert_eq!(records[0].status, Status::Crashed);
    let load = records[0].cut_short.as_ref().unwrap();
    assert!(load.requests.ops > 0 && load.requests.latency_ns.p50 > 0, "{load:?}");
    assert!(load.elapsed_ns < 1_000_000_000, "{}", load.elapsed_ns);
}
