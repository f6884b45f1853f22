//! Options of runtimes: described by their adapters, set behind a subject's pattern, and in effect.

use std::collections::BTreeMap;
use std::time::Duration;

use quadrant_reports::record::{Record, Status};
use serde_json::Value;

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
server: { steps: [recv: forced, send] }
load: { connections: 1, send: 64B, think: 5ms }
time: { warmup: 50ms, measure: 300ms }
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
