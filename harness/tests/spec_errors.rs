//! The errors of wrong scenarios: place, message, snippet, hint.

use std::fmt::Write as _;

use quadrant::spec;

/// The beginning of a valid scenario; the tested part follows.
const HEAD: &str = "name: x\nquestion: What if?\n";

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "snapshots/spec_errors" }, {
        insta::assert_snapshot!(name, text);
    });
}

/// The messages of a list of wrong scenarios, each under its title.
fn errors_of(scenarios: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (title, rest) in scenarios {
        let error = spec::parse("x.yaml", &format!("{HEAD}{rest}"))
            .err()
            .unwrap_or_else(|| panic!("{title}: no error"));
        let _ = writeln!(text, "--- {title}\n{error}\n");
    }
    text
}

const GROUP_OF_N: &str = "tasks: [{ name: t, count: $n, steps: [yield] }]\n";

fn task(steps: &str) -> String {
    format!("tasks:\n  - name: t\n    steps: {steps}\n")
}

/// One list of steps of a task for each title.
fn errors_of_tasks(scenarios: &[(&str, &str)]) -> String {
    let whole: Vec<(&str, String)> =
        scenarios.iter().map(|(title, steps)| (*title, task(steps))).collect();
    let whole: Vec<(&str, &str)> = whole.iter().map(|(t, s)| (*t, s.as_str())).collect();
    errors_of(&whole)
}

fn errors_of_servers(scenarios: &[(&str, &str)]) -> String {
    let server = |steps: &str| {
        format!("server: {{ steps: {steps} }}\nload: {{ connections: 1, send: 1B }}\n")
    };
    let whole: Vec<(&str, String)> =
        scenarios.iter().map(|(title, steps)| (*title, server(steps))).collect();
    let whole: Vec<(&str, &str)> = whole.iter().map(|(t, s)| (*t, s.as_str())).collect();
    errors_of(&whole)
}

#[test]
fn wrong_cancelled_and_shared_steps_are_explained() {
    let in_timeout = |step: &str| format!("[{{ timeout: {{ for: 1s, steps: [{step}] }} }}]");
    let group = |name: &str, step: &str| format!("  - {{ name: {name}, steps: [{step}] }}\n");
    let tasks = |groups: &[String]| format!("tasks:\n{}", groups.concat());
    let scenarios = [
        ("tasks in a timeout", task(&in_timeout("{ gather: [yield] }"))),
        ("a barrier in a timeout", task(&in_timeout("barrier"))),
        ("sending in a lock in a timeout", task(&in_timeout("{ lock: { name: l, steps: [send_to: c] } }"))),
        ("a race of one", task("[{ race: [yield] }]")),
        ("a race of none", task("[{ race: [] }]")),
        (
            "a write that is cancelled",
            task("[{ timeout: { for: 1ms, steps: [{ write_file: 1KiB }] } }]"),
        ),
        ("too much written at once", task("[{ spawn: { count: 5000, steps: [{ write_file: 1MiB }] } }, join]")),
        ("a write without a size", task("[write_file]")),
        ("a barrier in a lock", task("[{ lock: { name: l, steps: [barrier] } }]")),
        (
            "a lock in itself",
            task("[{ lock: { name: l, steps: [{ lock: { name: l, steps: [yield] } }] } }]"),
        ),
        ("a barrier in a branch", task("[{ gather: [barrier] }]")),
        ("only consumers", task("[{ receive_from: jobs }]")),
        ("only producers", task("[{ send_to: jobs }]")),
        (
            "two capacities",
            tasks(&[
                group("a", "{ send_to: { channel: jobs, capacity: 3 } }"),
                group("b", "{ send_to: { channel: jobs, capacity: 4 } }, { receive_from: jobs }"),
            ]),
        ),
        (
            "too many pairs",
            "tasks:\n  - { name: a, count: 3000, steps: [send_to: jobs] }\n  - { name: b, count: 3000, steps: [receive_from: jobs] }\n".to_owned(),
        ),
        ("the word's row is taken", task("[{ sleep: { for: 1s, as: lock } }, { lock: { name: l, steps: [yield] } }]")),
        ("a timeout around an exchange", "server: { steps: [timeout: { for: 1s, steps: [echo] }] }\nload: { connections: 1, send: 1B }\n".to_owned()),
        ("a lock around an exchange", "server: { steps: [recv, { lock: { name: l, steps: [send] } }] }\nload: { connections: 1, send: 1B }\n".to_owned()),
    ];
    let scenarios = scenarios.each_ref().map(|(title, text)| (*title, text.as_str()));
    snapshot("sharing", &errors_of(&scenarios));
}

#[test]
fn wrong_shapes_are_explained() {
    snapshot(
        "shape",
        &errors_of(&[
            ("unknown key", "taks: []\n"),
            ("unknown key that is near to nothing", "workload: []\n"),
            ("unknown key inside", "load: { conections: 5 }\n"),
            (
                "a group of clients without a name",
                "server: { steps: [echo] }\nload:\n  - { connections: 1, send: 1B }\n",
            ),
            (
                "two groups with one name",
                "server: { steps: [echo] }\nload:\n  - { name: a, connections: 1, send: 1B }\n  - { name: a, connections: 2, send: 1B }\n",
            ),
            (
                "clients and tasks with one name",
                &format!(
                    "server: {{ steps: [echo] }}\nload: [{{ name: t, connections: 1, send: 1B }}]\n{}",
                    task("[yield]")
                ),
            ),
            ("no groups of clients", "server: { steps: [echo] }\nload: []\n"),
            (
                "a schedule and a pause to think",
                "server: { steps: [echo] }\nload: { connections: 1, send: 1B, rate: 1/s, think: 1s }\n",
            ),
            (
                "a size without room for the length",
                "server: { steps: [echo] }\nload: { connections: 1, send: [{ size: 3B }, { size: 8B }] }\n",
            ),
            ("no sizes", "server: { steps: [echo] }\nload: { connections: 1, send: [] }\n"),
            ("an empty list of subjects", &format!("subjects: []\n{}", task("[yield]"))),
            ("a bad pattern", &format!("subjects: [tokio, \"smol/[\"]\n{}", task("[yield]"))),
            ("subjects left empty", "subjects:\n"),
            ("doubled key", "name: y\n"),
            ("doubled key inside", "load:\n  send: 1B\n  send: 2B\n"),
            ("missing key", "load: { connections: 5 }\n"),
            ("a value instead of a list", "tasks: 5\n"),
            ("a value instead of a map", "load: 5\n"),
            ("a list instead of a value", "load: { connections: [1, 2], send: 1B }\n"),
            ("an empty value", "load: { connections: , send: 1B }\n"),
            ("an optional key left empty", "load: { connections: 1, send: 1B, rate: }\n"),
            ("empty axes", "axes:\n"),
            ("empty tasks", "tasks:\n"),
            ("empty time", "time:\ntasks: [{ name: t, steps: [yield] }]\n"),
            ("empty expect", "expect:\ntasks: [{ name: t, steps: [yield] }]\n"),
            (
                "empty step",
                "tasks: [{ name: t, steps: [yield, ] }, ]\nserver:\n  steps:\n    - recv\n    -\n",
            ),
            ("invalid YAML", "tasks: [\n"),
            ("a tab", "load:\n\tconnections: 5\n"),
            ("a second document", "---\nname: y\n"),
            ("a merge key", "<<: { a: 1 }\n"),
            ("an unknown tag", "stall: !ms 5\n"),
            ("neither server nor tasks", ""),
            ("a server without load", "server: { steps: [echo] }\n"),
            ("a load without server", "load: { connections: 1, send: 1B }\n"),
            (
                "files that no step reads",
                "files: { count: 1, size: 1B }\ntasks:\n  - { name: t, steps: [yield] }\n",
            ),
            (
                "tasks with every and repeat",
                "tasks:\n  - { name: t, every: 1s, repeat: 2, steps: [yield] }\n",
            ),
            (
                "two groups of one name",
                "tasks:\n  - { name: t, steps: [yield] }\n  - { name: t, steps: [yield] }\n",
            ),
            ("a bad name", "tasks:\n  - { name: My Tasks, steps: [yield] }\n"),
            ("a name that is taken", "tasks:\n  - { name: request, steps: [yield] }\n"),
        ]),
    );
}

/// What follows from a mistake is none of its own: the misspelt `recv`, `count` and `files` do not
/// make `send`, `count` and `read_file` wrong.
#[test]
fn all_mistakes_are_reported_in_their_order() {
    let text = "\
name: X
question: How many
subjects: [\"smol/[\", \"{\"]
axes:
  pause: [1ms, 2 weeks]
  size: 5
workers: 65
allocator: mine
fiels: { count: 1, size: 1B }
server:
  steps: [rcv, { sleep: { fro: 1ms, as: A } }, send]
load: { connections: 0, send: $size, rate: 5 }
tasks:
  - name: t
    cuont: 3
    every: 1s
    repeat: 0
    steps:
      - read_file
      - sleep: $pause
      - spawn: { count: 1, steps: [echo, slep] }
      - join
      - gather: [sleep, { cpu: 1h }]
  - steps: []
time: { warmup: 1h, measure: 1 }
expect:
  - when: { pause: 3ms, siez: 5 }
    latency.p98: 5ms
    errors: few
    steps.A.p99: 5ms
  - { errors: [] }
";
    snapshot("all", &format!("{}\n", spec::parse("x.yaml", text).unwrap_err()));
}

#[test]
fn a_value_wrong_in_many_cases_is_reported_once() {
    let values = |unit: &str| (1..=8).map(|n| format!("{n}{unit}, ")).collect::<String>();
    let (hours, sizes) = (values("h"), values("GiB"));
    let text = format!(
        "{HEAD}axes: {{ a: [{hours}], b: [{sizes}] }}\nfiles: {{ count: 1, size: $b }}\n{}",
        task("[{ sleep: $a }, read_file, yeild]")
    );
    let errors = spec::parse("x.yaml", &text).unwrap_err();
    let places: Vec<_> = errors.all().iter().map(|error| error.position().unwrap()).collect();
    let distinct = std::collections::BTreeSet::from_iter(&places);
    // Each value of `a`, all of `b` but the first, and the step.
    assert_eq!((places.len(), distinct.len()), (8 + 7 + 1, 8 + 7 + 1), "{errors}");
}

#[test]
fn mistakes_that_yaml_invites_get_advice() {
    let group = |lines: &str| format!("tasks:\n  - name: t\n{lines}");
    let groups: Vec<(&str, String)> = [
        ("no dash", "    steps:\n      - yield\n      yield\n"),
        ("no dash before a step with a value", "    steps:\n      - yield\n      cpu: 1ms\n"),
        ("no dash at all", "    steps:\n      sleep: 1ms\n"),
        ("no space after the first dash", "    steps:\n      -yield\n"),
        ("no space after a dash", "    steps:\n      - yield\n      -cpu: 1ms\n"),
        ("no dash before a group", "    steps: [yield]\n  name: u\n    steps: [yield]\n"),
        ("an indented group without dash", "    steps: [yield]\n    name: u\n"),
        ("a tab before a key", "\tsteps: [yield]\n"),
        ("a tab after spaces", "    steps:\n    \t- yield\n"),
        ("a colon", "    steps: a: b\n"),
        ("a colon and quotes", "    steps: a: \"b\"\n"),
    ]
    .into_iter()
    .map(|(title, lines)| (title, group(lines)))
    .collect();
    let groups: Vec<(&str, &str)> = groups.iter().map(|(t, text)| (*t, text.as_str())).collect();
    snapshot("advice", &errors_of(&groups));
}

#[test]
fn wrong_heads_are_explained() {
    let mut text = String::new();
    for wrong in [
        "",
        "- a\n",
        "name: x\n",
        "name: X y\nquestion: a?\n",
        "name: x\nquestion: What it is.\n",
        "name: x\nquestion: |\n  one\n  two?\n",
    ] {
        let error = spec::parse("x.yaml", wrong).unwrap_err();
        let _ = writeln!(text, "{error}\n");
    }
    snapshot("heads", &text);
}

#[test]
fn wrong_steps_are_explained() {
    snapshot(
        "steps",
        &errors_of_tasks(&[
            ("unknown step", "[slep]"),
            ("unknown step with a value", "[{ slep: 10ms }]"),
            ("a step near to nothing", "[write_file]"),
            ("a step that lacks its value", "[sleep]"),
            ("a step with an empty value", "[{ sleep: }]"),
            ("a list instead of a value", "[{ sleep: [10ms] }]"),
            ("a list instead of a map", "[{ yield: [x] }]"),
            ("a forgotten dash", "[{ sleep: 1ms, cpu: 1ms }]"),
            ("an unknown key of a step", "[{ sleep: { fro: 1ms } }]"),
            ("a missing key of a step", "[{ sleep: { how: await } }]"),
            ("no steps", "[]"),
            ("no steps inside", "[{ repeat: { times: 2, steps: [] } }]"),
            ("a list that is none", "[{ repeat: { times: 2, steps: yield } }]"),
            ("an empty gather", "[{ gather: [] }]"),
            ("recv in a task", "[recv]"),
            ("echo in a spawned task", "[{ spawn: { count: 1, steps: [echo] } }, join]"),
            ("send in a branch", "[{ gather: [send] }]"),
            ("join of nothing", "[join]"),
            ("join of what is joined", "[{ spawn: { count: 1, steps: [yield] } }, join, join]"),
            ("spawn without join", "[{ spawn: { count: 1, steps: [yield] } }]"),
            (
                "spawn in repeat, join outside",
                "[{ repeat: { times: 9, steps: [{ spawn: { count: 1, steps: [yield] } }] } }, join]",
            ),
            ("an impossible how", "[{ hash: { rounds: 1, how: polling } }]"),
            ("an unknown function", "[{ hash: { rounds: 1, function: pbkdf } }]"),
            ("forced computing", "[{ cpu: { for: 1ms, how: forced } }]"),
            ("no how at all", "[{ sleep: { for: 1ms, how: bloking } }]"),
            ("read_file without files", "[{ read_file: next }]"),
            ("a doubled row", "[{ sleep: { for: 1ms, as: a } }, { cpu: { for: 1ms, as: a } }]"),
            ("a bad row name", "[{ yield: { as: $x } }]"),
            (
                "nested too deeply",
                &format!(
                    "{}yield{}",
                    "[{ sequence: ".repeat(9) + "[",
                    "]".to_owned() + &" }]".repeat(9)
                ),
            ),
        ]),
    );
}

#[test]
fn wrong_servers_are_explained() {
    snapshot(
        "servers",
        &errors_of_servers(&[
            ("no exchange", "[yield]"),
            ("recv alone", "[recv]"),
            ("send alone", "[send, yield]"),
            ("the wrong way round", "[send, recv]"),
            ("received twice", "[recv, recv, send]"),
            ("answered twice", "[echo, send]"),
            ("echoed twice", "[echo, echo]"),
            ("in repeat", "[{ repeat: { times: 2, steps: [echo] } }]"),
        ]),
    );
}

#[test]
fn wrong_quantities_are_explained() {
    snapshot(
        "quantities",
        &errors_of_tasks(&[
            ("no unit of time", "[{ sleep: 10 fortnights }]"),
            ("a number without unit", "[{ sleep: 10 }]"),
            ("negative", "[{ cpu: -5ms }]"),
            ("zero", "[{ sleep: 0ms }]"),
            ("too long", "[{ cpu: 11s }]"),
            ("overflow", "[{ sleep: 99999999999999999999s }]"),
            ("a fraction of a count", "[{ ping_pong: 1.5 }]"),
            ("no number", "[{ hash: .nan }]"),
            ("a number in another notation", "[{ ping_pong: 0x10 }]"),
            ("too many rounds", "[{ hash: 20000000 }]"),
        ]),
    );
    snapshot(
        "quantities_elsewhere",
        &errors_of(&[
            (
                "too many connections",
                "server: { steps: [echo] }\nload: { connections: 1000000000, send: 64B }\n",
            ),
            ("no workers", &format!("workers: 0\n{}", task("[yield]"))),
            (
                "too many workers in one case",
                &format!("axes: {{ loops: [1, 65] }}\nworkers: $loops\n{}", task("[yield]")),
            ),
            ("workers left empty", &format!("workers:\n{}", task("[yield]"))),
            ("no connections", "server: { steps: [echo] }\nload: { connections: 0, send: 64B }\n"),
            (
                "a size of 1,000s",
                "server: { steps: [echo] }\nload: { connections: 1, send: 64KB }\n",
            ),
            (
                "too much in flight",
                "server: { steps: [echo] }\nload: { connections: 10000, send: 16MiB }\n",
            ),
            (
                "a rate without unit",
                "server: { steps: [echo] }\nload: { connections: 1, send: 1B, rate: 2000 }\n",
            ),
            (
                "unknown arrivals",
                "server: { steps: [echo] }\nload: { connections: 1, send: 1B, rate: 5/s, arrivals: poison }\n",
            ),
            (
                "arrivals without a rate",
                "server: { steps: [echo] }\nload: { connections: 1, send: 1B, arrivals: poisson }\n",
            ),
            (
                "bursts with a rate",
                "server: { steps: [echo] }\nload: { connections: 1, send: 1B, rate: 5/s, arrivals: { burst: 5, every: 1s } }\n",
            ),
            (
                "too many bursts",
                "server: { steps: [echo] }\nload: { connections: 1, send: 1B, arrivals: { burst: 5000, every: 2ms } }\n",
            ),
            (
                "half a ramp",
                "server: { steps: [echo] }\nload: { connections: 1, send: 1B, rate: { from: 5/s } }\n",
            ),
            (
                "too many tasks",
                "tasks:\n  - name: t\n    count: 100000\n    steps: [{ spawn: { count: 100000, steps: [yield] } }, join]\n",
            ),
            (
                "too short a measurement",
                "time: { measure: 1ms }\ntasks: [{ name: t, steps: [yield] }]\n",
            ),
            (
                "too much of files",
                "files: { count: 100000, size: 1GiB }\ntasks: [{ name: t, steps: [read_file] }]\n",
            ),
            (
                "too many readers",
                "files: { count: 1, size: 1GiB }\ntasks: [{ name: t, count: 5, steps: [read_file] }]\n",
            ),
            (
                "no such file",
                "files: { count: 10, size: 1B }\ntasks: [{ name: t, steps: [{ read_file: 10 }] }]\n",
            ),
            (
                "no such choice",
                "files: { count: 10, size: 1B }\ntasks: [{ name: t, steps: [{ read_file: randm }] }]\n",
            ),
            (
                "no such cache",
                "files: { count: 10, size: 1B, cache: warm }\ntasks: [{ name: t, steps: [read_file] }]\n",
            ),
            (
                "a cache of a slow disk",
                "files: { count: 10, size: 1B, cache: hot, latency: 1s }\ntasks: [{ name: t, steps: [read_file] }]\n",
            ),
            (
                "too many rounds of an expensive function",
                "tasks: [{ name: t, steps: [{ hash: { rounds: 2000001, function: pbkdf2 } }] }]\n",
            ),
            (
                "too many different hashes",
                "tasks: [{ name: t, steps: [{ hash: 9999999 }, { hash: 9999998 }, { hash: 9999997 }] }]\n",
            ),
        ]),
    );
}

#[test]
fn wrong_axes_are_explained() {
    let used = "tasks: [{ name: t, steps: [{ sleep: { for: $pause, how: $how } }] }]\n";
    let with = |axes: &str| format!("axes: {axes}\n{used}");
    let many = format!("{{ how: [await], pause: [{}] }}", "1s, ".repeat(65));
    let values: Vec<String> = (1..=64).map(|n| format!("{n}ms")).collect();
    let values = values.join(", ");
    let cube = format!("{{ pause: [{values}], b: [{values}], c: [{values}] }}");
    let nine: Vec<String> = (0..9).map(|n| format!("a{n}: [1]")).collect();
    let nine = format!("{{ {} }}", nine.join(", "));
    snapshot(
        "axes",
        &errors_of(&[
            ("undefined", &with("{ pauses: [1ms], how: [await] }")),
            ("undefined, and there is none", &with("{}")),
            ("never used", &with("{ pause: [1ms], how: [await], files: [1, 2] }")),
            ("doubled", &with("{ pause: [1ms], pause: [2ms] }")),
            ("empty", &with("{ pause: [], how: [await] }")),
            ("no list", &with("{ pause: 5ms, how: [await] }")),
            ("a repeated value", &with("{ pause: [1ms, 2ms, 1ms], how: [await] }")),
            ("a value that does not fit", &with("{ pause: [1ms, 10fortnights], how: [await] }")),
            ("a value out of range", &with("{ pause: [1ms, 61s], how: [await] }")),
            ("a how that does not fit", &with("{ pause: [1ms], how: [await, forked] }")),
            ("bad characters in a value", &with("{ pause: [1 ms], how: [await] }")),
            ("a bad name", &with("{ Pause: [1ms], how: [await] }")),
            ("too many values", &with(&many)),
            ("too many cases", &with(&cube)),
            ("too many axes", &with(&nine)),
        ]),
    );
}

#[test]
fn wrong_choices_are_explained() {
    let with = |choose: &str| {
        format!(
            "axes: {{ order: [first, second] }}\n{}",
            task(&format!("[{{ choose: {choose} }}]"))
        )
    };
    snapshot(
        "choices",
        &errors_of(&[
            ("by is missing", &with("{ first: [yield], second: [yield] }")),
            ("by is no axis", &with("{ by: order, first: [yield], second: [yield] }")),
            ("by is an unknown axis", &with("{ by: $ordre, first: [yield], second: [yield] }")),
            ("a value is missing", &with("{ by: $order, first: [yield] }")),
            ("a value too many", &with("{ by: $order, first: [yield], second: [], secnd: [] }")),
            ("a value twice", &with("{ by: $order, first: [yield], first: [], second: [] }")),
            ("nothing left to do", &with("{ by: $order, first: [yield], second: [] }")),
        ]),
    );
}

#[test]
fn wrong_expectations_are_explained() {
    let with = |expect: &str| {
        format!(
            "axes: {{ how: [blocking, offload] }}\n{}expect:\n  - {expect}\n",
            task("[{ hash: { rounds: 10, how: $how, as: work } }]")
        )
    };
    snapshot(
        "expectations",
        &errors_of(&[
            ("unknown figure", &with("stalls.cuont: 0")),
            ("unknown figure of a step", &with("steps.work.p98: 0")),
            ("unknown step", &with("steps.wrk.p99: 5ms")),
            ("unknown group", &with("groups.x.ops: 5")),
            ("the first group", &with("groups.t.ops: 5")),
            ("no number", &with("stalls.count: few")),
            ("a comparison of nothing", &with("stalls.count: \"<=\"")),
            ("no duration", &with("latency.p99: 5")),
            ("an unquoted sign", &with("stalls.count: >= 5")),
            ("nothing expected", &with("when: { how: offload }")),
            ("a map of wanted values", &with("{ when: { how: { a: b } }, errors: 0 }")),
            ("a list of amounts", &with("{ errors: [0] }")),
            ("unknown axis", &with("{ when: { hwo: offload }, errors: 0 }")),
            ("unknown value", &with("{ when: { how: ofload }, errors: 0 }")),
            ("a bad pattern", &with("{ subjects: \"tokio/[\", errors: 0 }")),
            ("a doubled figure", &with("{ errors: 0, errors: 1 }")),
        ]),
    );
}

#[test]
fn wrong_claims_are_explained() {
    let with = |rest: &str| {
        format!(
            "axes: {{ how: [blocking, offload], n: [1, 2] }}\n{}{rest}",
            "tasks: [{ name: t, count: $n, steps: [{ hash: { rounds: 10, how: $how } }] }]\n"
        )
    };
    let ratio = |ratio: &str| with(&format!("expect:\n  - ratio: {ratio}\n"));
    let good = "of: { how: offload }, to: { how: blocking }, figure: ops_per_sec";
    let figure = "figure: ops, is: \"< 2\"";
    let of = |of: &str, to: &str| ratio(&format!("{{ of: {of}, to: {to}, {figure} }}"));
    let with_backend =
        ratio(&format!("{{ of: {{ backend: 1 }}, to: {{ backend: 2 }}, {figure} }}"));
    let with_backend = with_backend.replace(" n: [", " backend: [").replace("$n", "$backend");
    snapshot(
        "claims",
        &errors_of(&[
            ("a claim without a ratio", &with("claim: It is faster.\n")),
            ("a claim that asks", &with("claim: Is it faster?\n")),
            ("no figure", &ratio("{ of: { how: offload }, to: { how: blocking }, is: \"< 2\" }")),
            ("an unknown figure", &ratio(&format!("{{ {}x, is: \"< 2\" }}", good))),
            ("no comparison", &ratio(&format!("{{ {good}, is: 2 }}"))),
            ("no number", &ratio(&format!("{{ {good}, is: \"< few\" }}"))),
            ("an unknown axis", &of("{ hwo: offload }", "{ how: blocking }")),
            ("an unknown value", &of("{ how: ofload }", "{ how: blocking }")),
            (
                "a part and a misspelt axis",
                &of("{ backend: poll, m: 1 }", "{ backend: epoll, m: 2 }"),
            ),
            ("different parts", &of("{ backend: poll }", "{ executor: local }")),
            ("a part that is an axis", &with_backend),
            ("different axes", &of("{ how: offload }", "{ n: 1 }")),
            ("the same cases", &of("{ how: offload }", "{ how: offload }")),
            ("no case", &of("{}", "{}")),
            ("no other side", &ratio(&format!("{{ of: {{ runtime: threads }}, {figure} }}"))),
            ("another key", &with("expect:\n  - { ratio: {}, when: {} }\n")),
        ]),
    );
}

#[test]
fn wrong_rows_are_explained() {
    let with = |table: &str| format!("axes: {{ n: [1, 2] }}\n{table}{}", GROUP_OF_N);
    snapshot(
        "rows",
        &errors_of(&[
            ("an unknown axis", &with("table: { rows: m }\n")),
            ("an axis with its sign", &with("table: { rows: $n }\n")),
            ("no rows", &with("table: {}\n")),
            ("another key", &with("table: { columns: n }\n")),
            ("no map", &with("table: n\n")),
            ("no axes", "table: { rows: n }\ntasks: [{ name: t, steps: [yield] }]\n"),
        ]),
    );
}

#[test]
fn wrong_behaviours_are_explained() {
    let with = |behaviours: &str| format!("behaviours: {behaviours}\n{}", task("[yield]"));
    snapshot(
        "behaviours",
        &errors_of(&[
            ("an unknown check", &with("{ handle-drp: cancels }")),
            ("an answer of no check", &with("{ handle-drop: cancel, sleep-max: passes }")),
            ("a number", &with("{ wake-latency: 10 }")),
            ("a list", &with("[handle-drop]")),
            ("two answers", &with("{ handle-drop: [cancels, detaches] }")),
        ]),
    );
}

#[test]
fn unreadable_files_are_explained() {
    let folder = std::env::temp_dir().join(format!("quadrant-spec-errors-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let message = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        spec::load(&path).unwrap_err().all()[0].message().to_owned()
    };
    assert_eq!(message("latin1.yaml", b"name: \xE9\n"), "is not written in UTF-8");
    assert_eq!(
        message("long.yaml", "é".repeat(1 << 18).as_bytes()),
        "is too long; a scenario can have 256 KiB"
    );
    let missing = spec::load(&folder.join("missing.yaml")).unwrap_err();
    assert!(missing.to_string().contains("missing.yaml: cannot be read: "), "{missing}");
    assert_eq!(missing.all()[0].position(), None);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn wrong_backends_are_explained() {
    let scenarios = [
        ("no backend", "[query]", ""),
        ("which one", "[query]", "backends: { a: { latency: 1ms }, b: { latency: 1ms } }"),
        ("another name", "[query: bb]", "backends: { b: { latency: 1ms } }"),
        ("never asked", "[yield]", "backends: { latency: 1ms }"),
        ("one of two", "[query: a]", "backends: { a: { latency: 1ms }, b: { latency: 1ms } }"),
        ("no latency", "[query]", "backends: { db: { answer: 1KiB } }"),
        ("no map", "[query]", "backends: { db: 10ms }"),
        ("too long", "[query]", "backends: { latency: 11s }"),
        (
            "two kinds",
            "[query]",
            "backends: { latency: { exponential: 1ms, uniform: [1ms, 2ms] } }",
        ),
        ("no kind", "[query]", "backends: { latency: { normal: 1ms } }"),
        ("wrong order", "[query]", "backends: { latency: { uniform: [2ms, 1ms] } }"),
        ("falling", "[query]", "backends: { latency: { quantiles: { p50: 2ms, p99: 1ms } } }"),
        ("no point", "[query]", "backends: { latency: { quantiles: { p98: 2ms } } }"),
        ("new and pool", "[query: { new: true }]", "backends: { latency: 1ms, pool: 2 }"),
        ("nothing to connect to", "[connect]", ""),
        (
            "connect to which one",
            "[connect]",
            "backends: { a: { latency: 1ms }, b: { latency: 1ms } }",
        ),
        ("connect to another name", "[connect: bb]", "backends: { b: { latency: 1ms } }"),
        ("connect beside a pool", "[query, connect]", "backends: { latency: 1ms, pool: 2 }"),
        ("connect anew", "[connect: { new: true }]", "backends: { latency: 1ms }"),
        ("an impossible how", "[connect: { how: pooling }]", "backends: { latency: 1ms }"),
        (
            "a taken row",
            "[{ yield: { as: db-wait } }, query]",
            "backends: { db: { latency: 1ms, pool: 1 } }",
        ),
        (
            "too many at once",
            "[{ spawn: { count: 10001, steps: [query] } }, join]",
            "backends: { latency: 1ms }",
        ),
        (
            "too many connects at once",
            "[{ spawn: { count: 10001, steps: [connect] } }, join]",
            "backends: { latency: 1ms }",
        ),
    ];
    let texts = scenarios.map(|(title, steps, backends)| {
        let task = format!("tasks: [{{ name: t, steps: {steps} }}]");
        (title, format!("{backends}\n{task}\n"))
    });
    let texts: Vec<(&str, &str)> = texts.iter().map(|(title, text)| (*title, &**text)).collect();
    snapshot("wrong_backends", &errors_of(&texts));
}
