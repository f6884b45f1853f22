//! Options of runtimes: described by their adapters, set behind a subject's pattern, and in effect.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use quadrant_reports::record::{Metrics, Record, Status};
use serde_json::Value;

use crate::skip::{Need, skip};
use crate::stage::{Stage, build_kit};

/// 40 tasks that wait on the pool for blocking work, in executors with one worker.
const OFFLOADED: &str = "\
name: offloaded
question: How many threads wait?
workers: 1
subjects: [smol/multi-thread, \"smol/*?blocking-threads=3\", \"smol/multi-thread?threads=4\"]
tasks:
  - { name: t, count: 40, steps: [yield, { sleep: { for: 20ms, how: offload } }] }
time: { warmup: 100ms, measure: 400ms }
";

pub fn an_option_takes_effect_in_its_own_subject() {
    let stage = Stage::new();
    let spec = stage.write("offloaded.yaml", OFFLOADED);
    let words = [&*spec, "-r", "smol", "-x", "smol/single-thread", "--trials", "1"];
    let (_, records) = stage.measure(&words, &[], Duration::from_secs(120));
    let by_id: BTreeMap<&str, &Record> =
        records.iter().map(|record| (&*record.subject.id, record)).collect();
    let base = "smol/multi-thread/epoll";
    let ids = [base.to_owned(), format!("{base}?blocking-threads=3"), format!("{base}?threads=4")];
    assert_eq!(by_id.keys().copied().collect::<Vec<_>>(), ids);
    let threads = |id: &str| {
        let threads = &by_id[id].metrics.as_ref().unwrap().threads;
        (threads.peak, threads.loops)
    };
    let [usual, pool, many] = ids.each_ref().map(|id| threads(id));
    // By a variable of the environment: smol reads it when it makes the pool.
    assert!(usual.0 > pool.0 && pool.0 <= 8, "{usual:?} {pool:?}");
    // By the adapter.
    assert!(usual.1 <= 2 && many.1 >= 4, "{usual:?} {many:?}");
}

/// A task that waits for a new one on the spot, and one that waits so for a request. Both need another
/// worker.
const FORCED: [(&str, &str); 2] = [
    (
        "join.yaml",
        "\
name: join
question: Does another worker take a new task while this one waits for it?
workers: 2
tasks:
  - { name: t, count: 1, steps: [{ spawn: { count: 1, steps: [yield] } }, { join: forced }] }
time: { warmup: 50ms, measure: 200ms }
",
    ),
    (
        "receive.yaml",
        "\
name: receive
question: Does another worker look for events while this one waits for a request?
workers: 2
# The sleep ends on the worker that looks for events. The next request comes later.
server: { steps: [sleep: 2ms, recv: forced, send] }
load: { connections: 1, send: 64B, think: 20ms }
time: { warmup: 50ms, measure: 1s }
",
    ),
];

pub fn options_of_a_scheduler_decide_over_forced_waits() {
    let stage = Stage::new();
    let base = "tokio@epoll+unstable/multi-thread";
    for ((name, text), option) in FORCED.into_iter().zip(["lifo=off", "eager-driver-handoff=on"]) {
        let spec = stage.write(name, text);
        let with_option = format!("{base}?{option}");
        let words = [&*spec, "-r", base, "-r", &with_option, "--trials", "1", "--time-limit", "3"];
        let (_, records) = stage.measure(&words, &[], Duration::from_secs(120));
        for record in records {
            let has_option = record.subject.id.ends_with(option);
            let is_ok = record.status == Status::Ok;
            assert_eq!(is_ok, has_option, "{}: {:?}", record.subject.id, record.reason);
        }
    }
}

/// An option that changes a figure by this factor at least.
struct Effect {
    subject: &'static str,
    option: &'static str,
    text: &'static str,
    figure: fn(&Metrics) -> f64,
    factor: f64,
}

const EFFECTS: &[Effect] = &[
    // What the pool hands back waits in the queue of all workers, while this one polls its own tasks.
    Effect {
        subject: "tokio/multi-thread",
        option: "global-queue-interval=3000",
        text: "\
name: queues
question: How long does a task wait that another thread has woken?
workers: 1
tasks:
  - { name: caller, count: 1, steps: [{ sleep: { for: 100us, how: offload } }] }
  - { name: busy, count: 4, steps: [{ ping_pong: 1000 }] }
time: { warmup: 100ms, measure: 500ms }
",
        figure: |metrics| metrics.latency_ns.mean as f64,
        factor: 3.0,
    },
    // One thread empties the queues by turns; new work in the first ones keeps it from the last.
    Effect {
        subject: "tokio/multi-thread?blocking-threads=1",
        option: "sharded-blocking-queue=on",
        text: "\
name: pool
question: Does the pool serve everybody alike?
workers: 1
tasks:
  - { name: caller, count: 64, steps: [{ cpu: { for: 100us, how: offload } }] }
time: { warmup: 100ms, measure: 1s }
",
        figure: |metrics| metrics.latency_ns.p999 as f64 / metrics.latency_ns.p50 as f64,
        factor: 3.0,
    },
    // Each worker has the timers of its own tasks, so that it wakes while the other computes.
    Effect {
        subject: "tokio@epoll+unstable/multi-thread",
        option: "alt-timer=on",
        text: "\
name: timers
question: Who looks for events while one worker computes?
workers: 2
tasks:
  - { name: sleeper, count: 200, steps: [{ sleep: 1ms }] }
  - { name: busy, count: 1, steps: [{ cpu: 20ms }, sleep: 5ms] }
time: { warmup: 100ms, measure: 1s }
",
        figure: |metrics| {
            1.0 / metrics.impact_ns.as_ref().map_or(f64::INFINITY, |it| it.p90 as f64)
        },
        factor: 3.0,
    },
    Effect {
        subject: "glommio",
        option: "spin=10000",
        text: "\
name: spinning
question: What does a loop do that has nothing to do?
workers: 1
tasks:
  - { name: waiter, count: 1, steps: [{ sleep: 2ms }] }
time: { warmup: 100ms, measure: 300ms }
",
        figure: |metrics| metrics.cpu_ns as f64,
        factor: 3.0,
    },
];

pub fn options_change_what_they_name() {
    let stage = Stage::new();
    for effect in EFFECTS {
        let Effect { subject, option, .. } = effect;
        let separator = if subject.contains('?') { '&' } else { '?' };
        let with_option = format!("{subject}{separator}{option}");
        let spec = stage.write("effect.yaml", effect.text);
        let words = [&*spec, "-r", subject, "-r", &with_option, "--trials", "1"];
        let (_, records) = stage.measure(&words, &[], Duration::from_secs(120));
        let (with, without): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| record.subject.id.contains(option));
        let [with, without] = [with, without].map(|records| match records.as_slice() {
            [record] => (effect.figure)(record.metrics.as_ref().expect("figures")),
            _ => panic!("{option}: {records:?}"),
        });
        eprintln!("{option}: {with} instead of {without}");
        assert!(with >= without * effect.factor, "{option}: {with} instead of {without}");
    }
}

/// 256 tasks, each with a thread, in 64 GiB of address space.
pub fn threads_have_the_stack_they_ask_for() {
    let stage = Stage::new();
    let wrapper = ["prlimit", "--as=68719476736"];
    if !Command::new(wrapper[0]).args([wrapper[1], "true"]).status().is_ok_and(|it| it.success()) {
        return skip(Need::Other, "there is no `prlimit` here");
    }
    let text = "name: many\nquestion: Is there room?\ntasks: [{ name: t, count: 256, steps: [sleep: 5ms] }]\n\
                time: { warmup: 100ms, measure: 200ms }\n";
    let spec = stage.write("many.yaml", text);
    let call = stage.call_through(&wrapper).args(["run", "--no-build", "--format", "json", &spec]);
    let call = call.args(["-r", "threads", "-r", "threads?stack=1073741824", "--trials", "1"]);
    let records = call.args(["--out", &stage.named("results")]).run().records();
    let has_room =
        |record: &Record| (record.subject.id.contains("stack="), record.status == Status::Ok);
    let mut seen: Vec<_> = records.iter().map(has_room).collect();
    seen.sort();
    assert_eq!(seen, [(false, true), (true, false)], "{records:?}");
    stage.assert_empty();
}

pub fn options_are_listed_with_values_and_default() {
    let stage = Stage::new();
    let list = |words: &[&str]| stage.call().args(["list", "subjects", "--no-build"]).args(words);
    let patterns = ["-r", "tokio/multi-thread", "-r", "tokio/*?event-interval=7"];
    let ended = list(&patterns).args(["--format", "json"]).run().expect_code(0);
    let listed: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    let ids: Vec<&str> = listed.iter().map(|subject| subject["id"].as_str().unwrap()).collect();
    let executors = ["current-thread", "local", "multi-thread", "per-core"];
    let with_option = executors.map(|name| format!("tokio/{name}/epoll?event-interval=7"));
    let mut expected: Vec<&str> = with_option.iter().map(String::as_str).collect();
    expected.insert(2, "tokio/multi-thread/epoll");
    assert_eq!(ids, expected);
    let options = listed[2]["options"].as_array().unwrap();
    let event_interval = options.iter().find(|it| it["name"] == "event-interval").unwrap();
    assert_eq!(event_interval["default"], "61");
    let ended = list(&["-r", "threads"]).run().expect_code(0);
    for words in ["threads?stack=", "2097152", "what it sets"] {
        assert!(ended.stdout.contains(words), "{}", ended.stdout);
    }
}

pub fn impossible_options_are_refused_with_a_hint() {
    build_kit();
    let stage = Stage::new();
    for (pattern, words) in [
        ("tokio?evnt-interval=7", "tokio/per-core/epoll: did you mean `event-interval`?"),
        ("tokio?event-interval=0", "cannot be `0`; possible here: 1…4294967295"),
        ("tokio/multi-thread?lifo=off", "Variants may have others: `quadrant list subjects -r"),
        ("mio?lifo=off", "no option `lifo` of mio/"),
    ] {
        let call = stage.call().args(["check", "wake-in-poll", "--no-build", "-r", pattern]);
        call.run().expect_code(2).expect_words(&[pattern, words]);
    }
}

pub fn checks_and_duels_name_the_option() {
    build_kit();
    let stage = Stage::new();
    let [plain, spinning] =
        ["tokio/multi-thread/epoll", "tokio/multi-thread/epoll?event-interval=7"];
    let call = stage.call().args(["check", "wake-in-poll", "--no-build", "--format", "json"]);
    let ended = call.args(["-r", plain, "-r", spinning]).run().expect_code(0);
    let findings: Value = serde_json::from_str(&ended.stdout).unwrap();
    let answers = findings["answers"].as_array().unwrap();
    let ids: Vec<&str> = answers.iter().map(|it| it["subject"].as_str().unwrap()).collect();
    assert_eq!(ids, [plain, spinning]);
    let words = ["check", "wake-in-poll", "--no-build", "--between", plain, spinning];
    stage.call().args(words).run().expect_code(0);
    let spec =
        stage.write("x.yaml", "name: x\nquestion: Which?\ntasks: [{ name: t, steps: [yield] }]\n");
    let call = stage.call().args(["duel", plain, spinning, &spec, "--no-build"]);
    let ended = call.args(["--time", "1", "--starts", "5"]).run();
    assert!(ended.stdout.contains(spinning), "{}\n{}", ended.stdout, ended.stderr);
}
