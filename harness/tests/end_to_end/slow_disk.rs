//! Slow disks: reads take their time, those at once take it once, and no mount is left, whatever ends
//! the processes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use quadrant_reports::record::Status;
use rustix::process::{Pid, Signal, kill_process};

use crate::command::read;
use crate::skip::{Need, skip};
use crate::stage::Stage;

const SPEC: &str = "\
name: slow
question: Does a slow disk cost three reads together once, or three times?
axes:
  order: [in-turn, together]
files: { count: 6, size: 4KiB, latency: 50ms }
tasks:
  - name: reader
    steps:
      - choose:
          by: $order
          in-turn: [read_file, read_file, read_file]
          together: [{ gather: [read_file, read_file, read_file] }]
time: { warmup: 0s, measure: 1s }
";

/// The slow disks of this test that are mounted.
fn mounted(stage: &Stage) -> Vec<String> {
    let folder = stage.temporary().canonicalize().unwrap().display().to_string();
    let mounts = read("/proc/self/mounts".as_ref());
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    points.filter(|point| point.starts_with(&folder)).map(str::to_owned).collect()
}

#[track_caller]
fn soon_unmounted(stage: &Stage) {
    let end = Instant::now() + Duration::from_secs(60);
    while !mounted(stage).is_empty() {
        assert!(Instant::now() < end, "{:?}", mounted(stage));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A stage with the scenario; nothing where the test is skipped.
fn stage() -> Option<(Stage, String)> {
    let stage = Stage::new();
    let ended = stage.quadrant(&["doctor", "--format", "json"]);
    let findings: Vec<serde_json::Value> = serde_json::from_str(&ended.stdout).unwrap();
    let fuse = findings.iter().find(|finding| finding["about"] == "slow disks").unwrap();
    if fuse["level"] != "ok" {
        skip(Need::Fuse, fuse["says"].as_str().unwrap());
        return None;
    }
    let spec = stage.write("slow.yaml", SPEC);
    Some((stage, spec))
}

pub fn reads_together_wait_once() {
    let Some((stage, spec)) = stage() else { return };
    // By a pool of threads, and by the kernel.
    let subjects = ["-r", "tokio/current-thread/epoll", "-r", "**/io_uring"];
    let words = [&[&*spec, "--trials", "1", "--format", "json"], &subjects[..]].concat();
    let ended = stage.run(&words).run();
    assert_eq!(mounted(&stage), Vec::<String>::new());
    stage.assert_empty();
    let mut p50s: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    for record in ended.expect_code(0).records() {
        // Not everywhere is there io_uring.
        if record.status != Status::Unsupported {
            assert_eq!(record.status, Status::Ok, "{:?}", record.reason);
            let p50 = Duration::from_nanos(record.metrics.unwrap().latency_ns.p50);
            p50s.entry(record.subject.id).or_default().push(p50);
        }
    }
    assert!(p50s.contains_key("tokio/current-thread/epoll"), "{p50s:?}");
    for (subject, p50s) in p50s {
        let [in_turn, together] = p50s[..] else { panic!("{subject}: {p50s:?}") };
        // Exact from below: a noisy machine only adds.
        assert!(in_turn >= Duration::from_millis(150), "{subject}: {in_turn:?}");
        assert!(together >= Duration::from_millis(50), "{subject}: {together:?}");
        assert!(together * 2 < in_turn, "{subject}: {together:?} together, {in_turn:?} in turn");
    }
}

pub fn a_killed_harness_leaves_no_mount() {
    let Some((stage, spec)) = stage() else { return };
    let words = [&spec, "-r", "threads", "--trials", "1"];
    for serves_on in [true, false] {
        let mut running = stage.run(&words).start();
        let server = running.until("trial", || {
            let processes = stage.processes();
            let pid_of = |role| {
                let process = processes.iter().find(|process| process.contains(role))?;
                process.split(' ').next()?.parse().ok().and_then(Pid::from_raw)
            };
            pid_of("__trial").and(pid_of("__slow-disk"))
        });
        assert_eq!(mounted(&stage).len(), 1);
        running.signal(Signal::KILL);
        if !serves_on {
            kill_process(server, Signal::KILL).unwrap();
        }
        running.wait();
        stage.assert_soon_no_process();
        if serves_on {
            soon_unmounted(&stage);
        }
    }
    // What is left of two killed processes is removed by the next run.
    stage.run(&words).run().expect_code(0);
    assert_eq!(mounted(&stage), Vec::<String>::new());
    stage.assert_empty();
}

pub fn without_fuse_the_case_is_unsupported() {
    let Some((stage, spec)) = stage() else { return };
    let script = "mount --bind /dev/null /dev/fuse && exec \"$0\" \"$@\"";
    let ended = stage
        .call_through(&["unshare", "--mount", "sh", "-c", script])
        .args(["run", "--no-build", &spec, "-r", "threads", "--trials", "1", "--format", "json"])
        .run()
        .expect_code(4);
    for record in ended.records() {
        assert_eq!(record.status, Status::Unsupported);
        let reason = record.reason.unwrap();
        assert!(reason.contains("slow disk") && reason.contains("run as root"), "{reason}");
    }
}
