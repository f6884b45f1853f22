//! Parsed scenarios: their cases are in order, their programs well-formed, and no text panics.

use std::collections::HashSet;

use proptest::prelude::*;
use quadrant::driver::arrivals::{Arrivals, Rate};
use quadrant::driver::order::{Habits, Parts};
use quadrant::spec::{self, Case, Scenario};
use quadrant_reports::record::expectation::Comparison;
use quadrant_suite::hash::{Function, Hash};
use quadrant_suite::plan::{Action, FileChoice, How, Pace, PlannedChannel, Program};

fn valid(text: &str) -> Scenario {
    spec::parse("x.yaml", text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The only case of a scenario with one task.
fn task(steps: &str) -> Case {
    let files = if steps.contains("read_file") {
        "files: { count: 3, size: 4KiB, cache: cold }\n"
    } else {
        ""
    };
    valid(&format!("name: x\nquestion: q?\n{files}tasks: [{{ name: t, steps: {steps} }}]\n"))
        .case(0)
}

fn actions(case: &Case) -> Vec<Action> {
    let program = &case.work.programs[case.work.groups[0].program];
    program.iter().map(|step| step.action.clone()).collect()
}

/// The YAML examples of the page that explains the language.
fn page_examples() -> Vec<String> {
    let pages =
        [include_str!("../../specs/README.md"), include_str!("../../specs/services/README.md")];
    let blocks = pages.into_iter().flat_map(|page| page.split("```yaml\n").skip(1));
    blocks.map(|block| block.split("```").next().unwrap_or(block).to_owned()).collect()
}

#[test]
fn every_example_of_the_page_is_valid() {
    let examples = page_examples();
    assert!(examples.len() >= 5, "{}", examples.len());
    let mut names = HashSet::new();
    for text in examples {
        assert!(names.insert(valid(&text).name));
    }
}

#[test]
fn every_step_becomes_its_action() {
    use How::*;
    let ns = 10_000_000;
    let hash = |function| {
        let hash = Hash { function, rounds: 7 };
        Action::Hash { hash, expected: hash.answer(), how: Blocking }
    };
    for (steps, expected) in [
        ("[{ sleep: 10ms }]", Action::Sleep { ns, how: Await }),
        ("[{ sleep: { for: 10ms, how: offload } }]", Action::Sleep { ns, how: Offload }),
        ("[{ cpu: 10ms }]", Action::Cpu { ns, how: Blocking }),
        ("[{ hash: 7 }]", hash(Function::Chain)),
        ("[{ hash: { rounds: 7, function: pbkdf2 } }]", hash(Function::Pbkdf2)),
        ("[read_file]", Action::ReadFile { file: FileChoice::Next, how: Await }),
        ("[{ read_file: random }]", Action::ReadFile { file: FileChoice::Random, how: Await }),
        ("[{ read_file: 2 }]", Action::ReadFile { file: FileChoice::Index(2), how: Await }),
        (
            "[{ read_file: { how: blocking } }]",
            Action::ReadFile { file: FileChoice::Next, how: Blocking },
        ),
        ("[yield]", Action::Yield),
        ("[{ yield: {} }]", Action::Yield),
        ("[{ ping_pong: 100 }]", Action::PingPong { rounds: 100 }),
        ("[{ gather: [yield, [yield, yield]] }]", Action::Gather { programs: vec![1, 2] }),
        (
            "[{ timeout: { for: 10ms, steps: [yield] } }]",
            Action::Timeout { ns, program: 1, row: 0 },
        ),
        (
            "[{ write_file: { size: 4KiB, sync: true, how: forced } }]",
            Action::WriteFile { bytes: 4_096, sync: true, how: Forced },
        ),
        ("[{ race: [yield, [yield, yield]] }]", Action::Race { programs: vec![1, 2], row: 0 }),
        (
            "[{ lock: { name: l, steps: [yield] } }]",
            Action::Lock { lock: 0, program: 1, row: 0, how: Await },
        ),
        (
            "[{ lock: { name: l, how: polling, steps: [yield] } }]",
            Action::Lock { lock: 0, program: 1, row: 0, how: Polling },
        ),
        ("[barrier]", Action::Barrier { barrier: 0, row: 0 }),
    ] {
        assert_eq!(actions(&task(steps)), [expected], "{steps}");
    }
    assert_eq!(
        actions(&task("[{ spawn: { count: 5, steps: [yield] } }, yield, join]")),
        [Action::Spawn { program: 1, count: 5 }, Action::Yield, Action::Join { how: Await }]
    );
    assert_eq!(
        actions(&task("[{ spawn: { count: 5, steps: [yield] } }, join: forced]")),
        [Action::Spawn { program: 1, count: 5 }, Action::Join { how: Forced }]
    );
}

#[test]
fn steps_without_a_name_share_the_row_of_their_word() {
    let lock = |name: &str| format!("{{ lock: {{ name: {name}, steps: [yield] }} }}");
    let case = task(&format!(
        "[{}, {}, {}, barrier, {{ barrier: {{ as: all }} }}]",
        lock("a"),
        lock("b"),
        lock("a")
    ));
    assert_eq!(case.work.rows, ["lock", "barrier", "all"]);
    assert_eq!(case.work.locks, ["a", "b"]);
    let locks: Vec<(usize, usize)> = actions(&case)
        .iter()
        .filter_map(|action| match action {
            Action::Lock { lock, row, .. } => Some((*lock, *row)),
            _ => None,
        })
        .collect();
    assert_eq!(locks, [(0, 0), (1, 0), (0, 0)]);
}

#[test]
fn tasks_of_several_groups_have_their_own_place_in_a_channel() {
    let send = "{ send_to: jobs }, { send_to: { channel: jobs, capacity: 3 } }";
    let text = format!(
        "name: x\nquestion: q?\ntasks:\n  - {{ name: a, count: 5, steps: [{send}] }}\n  - {{ name: b, count: 2, steps: [{{ receive_from: jobs }}, barrier] }}\n  - {{ name: c, count: 4, steps: [{send}] }}\n"
    );
    let work = valid(&text).case(0).work;
    let name = "jobs".to_owned();
    let channel = PlannedChannel { name, capacity: 3, producers: 9, consumers: 2 };
    assert_eq!(work.channels, [channel]);
    assert_eq!(work.barriers, [2]);
    let first = |group: usize| work.programs[work.groups[group].program][0].action.clone();
    assert_eq!(first(0), Action::SendTo { channel: 0, first: 0 });
    assert_eq!(first(1), Action::ReceiveFrom { channel: 0, first: 0 });
    assert_eq!(first(2), Action::SendTo { channel: 0, first: 5 });
}

#[test]
fn an_alias_stands_for_its_anchor() {
    let text = "name: x\nquestion: ä?\ntasks:\n  - name: t\n    count: &n 100\n    steps: &s [{ ping_pong: *n }]\n  - { name: u, steps: *s }\n";
    let work = valid(text).case(0).work;
    assert_eq!(work.groups[0].count, 100);
    for program in &work.programs {
        assert_eq!(program[0].action, Action::PingPong { rounds: 100 });
    }
}

#[test]
fn clients_have_sizes_and_habits() {
    let load = "load:
  - { name: mixed, connections: 2, send: [{ size: 64B, weight: 9 }, { size: 1KiB }] }
  - { name: slow, connections: 3, send: 64B, think: 5s, read: { of: 1B, pause: 2ms }, requests: 7 }
  - { name: queued, connections: 1, send: 64B, pipeline: 4, fragments: { of: 10B, pause: 1ms } }";
    let text = format!("name: x\nquestion: q?\nserver: {{ steps: [echo] }}\n{load}\n");
    let work = valid(&text).case(0).work;
    let [mixed, slow, queued] = &work.load[..] else { panic!("{work:?}") };
    let sizes: Vec<_> = mixed.sizes.iter().map(|size| (size.bytes, size.weight)).collect();
    assert_eq!((mixed.message_bytes, sizes), (1_024, vec![(64, 9), (1_024, 1)]));
    let read = Some(Parts { bytes: 1, pause_ns: 2_000_000 });
    let habits =
        Habits { read, think_ns: Some(5_000_000_000), requests: Some(7), ..Habits::default() };
    assert_eq!((slow.habits, slow.sizes.len()), (habits, 0));
    let fragments = Some(Parts { bytes: 10, pause_ns: 1_000_000 });
    assert_eq!(queued.habits, Habits { fragments, pipeline: Some(4), ..Habits::default() });
    let server = work.server.unwrap();
    assert_eq!((server.connections, server.message_bytes), (6, 1_024));
    assert!(server.with_lengths && server.reconnects);
}

#[test]
fn workers_come_from_the_case_or_the_machine() {
    let tasks = "tasks: [{ name: t, steps: [yield] }]";
    let asked = |rest: &str| -> Vec<Option<u32>> {
        let scenario = valid(&format!("name: x\nquestion: q?\n{rest}\n{tasks}\n"));
        (0..scenario.case_count()).map(|case| scenario.case(case).work.workers).collect()
    };
    assert_eq!(asked(""), [None]);
    assert_eq!(asked("workers: 64"), [Some(64)]);
    assert_eq!(asked("axes: { loops: [1, 2] }\nworkers: $loops"), [Some(1), Some(2)]);
}

#[test]
fn nested_lists_are_flattened() {
    let case = task(
        "[{ repeat: { times: 3, as: all, steps: [yield, { repeat: { times: 2, steps: [{ sequence: { as: pair, steps: [yield, yield] } }] } }] } }, { yield: { as: last } }]",
    );
    assert_eq!(case.work.rows, ["all", "pair", "last"]);
    assert_eq!(
        actions(&case),
        [
            Action::Open { row: 0 },
            Action::Repeat { times: 3, length: 6 },
            Action::Yield,
            Action::Repeat { times: 2, length: 4 },
            Action::Open { row: 1 },
            Action::Yield,
            Action::Yield,
            Action::Close { row: 1 },
            Action::Close { row: 0 },
            Action::Yield,
        ]
    );
    assert_eq!(case.work.programs[0].last().unwrap().row, Some(2));
}

#[test]
fn an_echo_is_a_recv_and_a_send() {
    let server = |steps: &str| {
        valid(&format!(
            "name: x\nquestion: q?\nserver: {{ steps: {steps} }}\nload: {{ connections: 5, send: 64B, rate: 100/s }}\n"
        ))
        .case(0)
        .work
    };
    let plain = server("[echo]");
    assert_eq!(plain.programs, server("[recv, send]").programs);
    assert_eq!(plain.summary, "5 connections, 64 B, 100/s");
    assert_eq!(plain.load[0].arrivals.unwrap().mean_per_sec(), 100.0);
    let arrivals = |load: &str| {
        let steps =
            format!("server: {{ steps: [echo] }}\nload: {{ connections: 5, send: 64B, {load} }}");
        valid(&format!("name: x\nquestion: q?\n{steps}\ntime: {{ measure: 3s }}\n")).case(0).work
    };
    let poisson = arrivals("rate: { from: 100/s, to: 2000/s }, arrivals: poisson");
    assert_eq!(poisson.summary, "5 connections, 64 B, 100/s to 2,000/s, Poisson");
    let rate = Rate { from: 100, to: 2_000, over_ns: 3_000_000_000 };
    assert_eq!(poisson.load[0].arrivals, Some(Arrivals::Poisson(rate)));
    let bursts = arrivals("arrivals: { burst: 50, every: 20ms }");
    assert_eq!(bursts.summary, "5 connections, 64 B, 50 every 20 ms");
    let server_part = plain.server.unwrap();
    assert_eq!((server_part.connections, server_part.message_bytes), (5, 64));
    let named = server("[{ echo: { how: polling, as: exchange } }]");
    let actions: Vec<&Action> = named.programs[0].iter().map(|step| &step.action).collect();
    assert_eq!(
        actions,
        [
            &Action::Open { row: 0 },
            &Action::Recv { how: How::Polling },
            &Action::Send { how: How::Polling },
            &Action::Close { row: 0 },
        ]
    );
}

#[test]
fn defaults_apply_and_work_is_summarized() {
    let work = task("[{ read_file: { how: offload } }]").work;
    assert_eq!(work.warmup_ns, 200_000_000);
    assert_eq!(work.measure_ns, 1_000_000_000);
    assert_eq!(work.stall_threshold_ns, 10_000_000);
    assert_eq!(work.summary, "1 task, back to back; 3 files of 4 KiB, cold");
    let work = valid(
        "name: x\nquestion: q?\naxes: { n: [1, 2] }\nserver: { steps: [echo] }\nload: { connections: $n, send: 1KiB }\ntasks:\n  - { name: a, every: 50ms, steps: [yield] }\n  - { name: b, repeat: 3, steps: [yield] }\n",
    )
    .case(0)
    .work;
    assert_eq!(work.summary, "1 KiB, closed loop; a: 1 task every 50 ms; b: 1 task, 3 times each");
    assert_eq!(work.groups[0].pace, Pace::Every { ns: 50_000_000 });
    assert_eq!(work.groups[1].pace, Pace::Repeat { times: 3 });
}

#[test]
fn expectations_follow_the_case() {
    let scenario = valid(
        "name: x\nquestion: q?\naxes: { n: [1, 5], how: [blocking, offload] }\ntasks:\n  - name: t\n    count: $n\n    steps: [{ cpu: { for: 1ms, how: $how } }]\nexpect:\n  - concurrency.peak: \"<= $n\"\n  - when: { how: [offload], n: 5 }\n    subjects: tokio\n    latency.p99: \"< 5ms\"\n",
    );
    let expected = |index: usize| -> Vec<String> {
        let case = scenario.case(index);
        let expectations = case.expectations.iter();
        expectations.map(|e| e.expectation.to_string()).collect()
    };
    assert_eq!(expected(0), ["concurrency.peak <= 1"]);
    assert_eq!(expected(2), ["concurrency.peak <= 5"]);
    assert_eq!(expected(3), ["concurrency.peak <= 5", "latency.p99 < 5000000"]);
    let last = scenario.case(3).expectations.pop().unwrap();
    assert_eq!(last.subjects.as_deref(), Some("tokio"));
    assert_eq!(last.expectation.comparison, Comparison::Below);
}

#[test]
fn a_scenario_may_name_its_subjects() {
    let about = |subjects: &str| {
        let text =
            format!("name: x\nquestion: q?\n{subjects}tasks: [{{ name: t, steps: [yield] }}]\n");
        valid(&text).subjects().to_vec()
    };
    assert_eq!(about(""), [""; 0]);
    assert_eq!(about("subjects: tokio\n"), ["tokio"]);
    assert_eq!(about("subjects: [tokio, \"**/poll\"]\n"), ["tokio", "**/poll"]);
}

#[test]
fn an_axis_may_be_the_rows() {
    let with = |table: &str| {
        let axes = "axes: { how: [await, blocking] }\n";
        let tasks = "tasks: [{ name: t, steps: [sleep: { for: 1ms, how: $how }] }]\n";
        valid(&format!("name: x\nquestion: q?\n{axes}{table}{tasks}"))
    };
    assert_eq!(with("table: { rows: how }\n").rows_axis(), Some("how"));
    assert_eq!(with("").rows_axis(), None);
}

#[test]
fn a_chosen_list_stands_in_place_of_the_choice() {
    let scenario = valid(
        "name: x\nquestion: q?\naxes: { order: [in-turn, together] }\ntasks:\n  - name: t\n    steps:\n      - yield\n      - choose:\n          by: $order\n          in-turn: [{ yield: { as: inner } }, yield]\n          together: [{ gather: [{ yield: { as: inner } }, yield] }]\n",
    );
    assert_eq!(actions(&scenario.case(0)), [Action::Yield, Action::Yield, Action::Yield]);
    assert_eq!(
        actions(&scenario.case(1)),
        [Action::Yield, Action::Gather { programs: vec![1, 2] }]
    );
    assert_eq!(scenario.case(1).work.rows, ["inner"]);
}

#[test]
fn files_are_made_only_for_cases_that_read_them() {
    let scenario = valid(
        "name: x\nquestion: q?\naxes: { with: [files, nothing] }\nfiles: { count: 1, size: 1B }\ntasks:\n  - name: t\n    steps: [{ choose: { by: $with, files: [read_file], nothing: [yield] } }]\n",
    );
    assert!(scenario.case(0).work.files.is_some());
    assert!(scenario.case(1).work.files.is_none());
}

#[test]
fn ten_thousand_cases_are_expanded_one_by_one() {
    let ten = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]";
    let scenario = valid(&format!(
        "name: x\nquestion: q?\naxes: {{ a: {ten}, b: {ten}, c: {ten}, d: {ten} }}\ntasks:\n  - name: t\n    count: $a\n    repeat: $b\n    steps: [{{ hash: $c }}, {{ ping_pong: $d }}]\n"
    ));
    assert_eq!(scenario.case_count(), 10_000);
    let case = scenario.case(9_999);
    assert_eq!(case.work.groups[0].count, 10);
    let case = scenario.case(1_234);
    let values: Vec<&str> = case.values.iter().map(|value| value.value.as_str()).collect();
    assert_eq!(values, ["2", "3", "4", "5"]);
    assert_eq!(case.values, scenario.case_values(1_234));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = String::from("name: x\nquestion: q?\naxes:\n  a: &a [x, x]\n");
    let mut last = 'a';
    for next in 'b'..='z' {
        text += &format!("  {next}: &{next} [*{last}, *{last}, *{last}, *{last}]\n");
        last = next;
    }
    assert!(spec::parse("x.yaml", &text).is_err());
    let mut text = String::from(
        "name: x\nquestion: q?\ntasks:\n  - name: t\n    steps:\n      - gather: &a [yield, yield]\n",
    );
    let mut last = 'a';
    for next in 'b'..='h' {
        text += &format!(
            "      - gather: &{next} [{}]\n",
            vec![format!("{{ gather: *{last} }}"); 9].join(", ")
        );
        last = next;
    }
    assert!(spec::parse("x.yaml", &text).is_err());
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{ sequence: [", "] }"), ("- ", "")] {
        let text = format!(
            "name: x\nquestion: q?\ntasks:\n  - name: t\n    steps: [{}yield{}]\n",
            open.repeat(20_000),
            close.repeat(20_000)
        );
        assert!(spec::parse("x.yaml", &text[..text.len().min(250_000)]).is_err());
    }
}

/// Every `Repeat` has steps, and they end inside its program and inside the outer `Repeat`.
fn assert_well_formed(program: &Program) {
    let mut ends = vec![program.len()];
    for (index, step) in program.iter().enumerate() {
        while ends.last().is_some_and(|end| *end <= index) {
            ends.pop();
        }
        if let Action::Repeat { length, .. } = step.action {
            let end = index + 1 + length;
            assert!(length > 0 && ends.last().is_some_and(|outer| end <= *outer), "{program:?}");
            ends.push(end);
        }
    }
    let mut open = Vec::new();
    for step in program {
        match step.action {
            Action::Open { row } => open.push(row),
            Action::Close { row } => assert_eq!(open.pop(), Some(row)),
            _ => {}
        }
    }
    assert!(open.is_empty());
}

/// Any list of steps that a task can have. To make names unique, `@` is replaced by a number.
fn any_steps() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("yield".to_owned()),
        Just("{ sleep: { for: 1ms, as: r@ } }".to_owned()),
        Just("{ hash: 3 }".to_owned()),
        (1..50_u32).prop_map(|rounds| format!("{{ ping_pong: {rounds} }}")),
    ];
    let step = leaf.prop_recursive(4, 40, 4, |inner| {
        let list = prop::collection::vec(inner, 1..4).prop_map(|steps| steps.join(", "));
        (list, 0..7, 1..9_u32).prop_map(|(list, kind, n)| match kind {
            0 => format!("{{ repeat: {{ times: {n}, as: r@, steps: [{list}] }} }}"),
            1 => format!("{{ repeat: {{ times: {n}, steps: [{list}] }} }}"),
            2 => format!("{{ sequence: {{ as: r@, steps: [{list}] }} }}"),
            3 => format!("{{ sequence: [{{ spawn: {{ count: {n}, steps: [{list}] }} }}, join] }}"),
            4 => format!("{{ lock: {{ name: l{n}, as: r@, steps: [{{ repeat: {{ times: {n}, steps: [yield] }} }}] }} }}"),
            5 => format!("{{ timeout: {{ for: {n}ms, steps: [yield, {{ race: [yield, yield] }}] }} }}"),
            _ => format!("{{ gather: [{list}] }}"),
        })
    });
    prop::collection::vec(step, 1..5).prop_map(|steps| {
        let text = steps.join(", ");
        let parts = text.split('@').enumerate();
        let numbered =
            parts.map(|(n, part)| if n == 0 { part.to_owned() } else { format!("{n}{part}") });
        format!("[{}]", numbered.collect::<String>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn cases_are_all_combinations_in_order(sizes in prop::collection::vec(1..6_usize, 1..5)) {
        let mut text = String::from("name: x\nquestion: q?\naxes:\n");
        let mut steps = Vec::new();
        for (axis, size) in sizes.iter().enumerate() {
            let values: Vec<String> = (1..=*size).map(|value| value.to_string()).collect();
            text += &format!("  a{axis}: [{}]\n", values.join(", "));
            steps.push(format!("{{ ping_pong: $a{axis} }}"));
        }
        text += &format!("tasks: [{{ name: t, steps: [{}] }}]\n", steps.join(", "));
        let scenario = valid(&text);
        prop_assert_eq!(scenario.case_count(), sizes.iter().product::<usize>());
        let mut before: Option<Vec<u32>> = None;
        for index in 0..scenario.case_count() {
            let case = scenario.case(index);
            let rounds: Vec<u32> = actions(&case).iter().map(|action| match action {
                Action::PingPong { rounds } => *rounds,
                other => panic!("{other:?}"),
            }).collect();
            let written: Vec<u32> = case.values.iter().map(|value| value.value.parse().unwrap()).collect();
            prop_assert_eq!(&rounds, &written);
            // Larger than the case before, compared from the first axis on: in order, none twice.
            prop_assert!(before.as_ref().is_none_or(|before| *before < rounds));
            before = Some(rounds);
        }
    }

    #[test]
    fn programs_are_well_formed(steps in any_steps()) {
        let work = task(&steps).work;
        let mut referred = HashSet::from([work.groups[0].program]);
        for program in &work.programs {
            assert_well_formed(program);
            for step in program {
                match &step.action {
                    Action::Spawn { program, .. } => assert!(referred.insert(*program)),
                    Action::Timeout { program, .. } | Action::Lock { program, .. } => {
                        assert!(referred.insert(*program));
                    }
                    Action::Gather { programs } | Action::Race { programs, .. } => {
                        programs.iter().for_each(|program| assert!(referred.insert(*program)));
                    }
                    Action::Hash { hash, expected, .. } => assert_eq!(*expected, hash.answer()),
                    _ => {}
                }
            }
        }
        prop_assert_eq!(referred.len(), work.programs.len());
    }

    #[test]
    fn no_text_causes_a_panic(text in "\\PC{0,200}") {
        let _ = spec::parse("x.yaml", &text).map_err(|error| error.to_string());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_damaged_scenario_causes_a_panic(
        which in 0..5_usize,
        cuts in prop::collection::vec((0.0..1.0_f64, 0..12_usize, "[-:{}\\[\\]$&*!|>'\"%@#,? \n\tä0-9a-z.]{0,6}"), 1..4),
    ) {
        let mut text: Vec<char> = page_examples()[which].chars().collect();
        for (at, length, inserted) in cuts {
            let from = (at * text.len() as f64) as usize;
            let to = (from + length).min(text.len());
            text.splice(from..to, inserted.chars());
        }
        let text: String = text.into_iter().collect();
        match spec::parse("x.yaml", &text) {
            Ok(scenario) => (0..scenario.case_count()).for_each(|case| drop(scenario.case(case))),
            Err(error) => prop_assert!(error.to_string().starts_with("x.yaml"), "{error}"),
        }
    }
}

#[test]
fn the_language_page_names_every_figure() {
    let page = include_str!("../../specs/README.md");
    // A row such as "`latency.min`, `.p50`" names both; its first figure has the family's name.
    let row_of = |family: &str| {
        let begins = [format!("| `{family}`"), format!("| `{family}.")];
        page.lines().find(|line| begins.iter().any(|begin| line.starts_with(begin)))
    };
    for name in quadrant_reports::record::expectation::metric_names() {
        let named = match name.split_once('.') {
            Some((family, point)) => row_of(family).is_some_and(|row| {
                row.contains(&format!("`.{point}`")) || row.contains(&format!("`{name}`"))
            }),
            None => page.contains(&format!("`{name}`")),
        };
        assert!(named, "{name} is not in specs/README.md");
    }
}

#[test]
fn queries_name_their_backend_and_pools_have_rows() {
    let case = valid(
        "name: x\nquestion: q?\nbackends:\n  db: { latency: { uniform: [1ms, 2ms] }, pool: 3 }\n  \
         other: { latency: { exponential: 1ms }, answer: 1KiB }\ntasks:\n  - name: t\n    steps:\n      \
         - query: db\n      - query: { backend: other, how: offload, new: true, as: o }\n      \
         - query: { backend: db, as: d }\n",
    )
    .case(0);
    let queries = actions(&case).into_iter().map(|action| match action {
        Action::Query(query) => (query.backend, query.how, query.new),
        other => panic!("{other:?}"),
    });
    let expected = [(0, How::Await, false), (1, How::Offload, true), (0, How::Await, false)];
    assert_eq!(queries.collect::<Vec<_>>(), expected);
    assert_eq!(case.work.rows, ["db-wait", "o", "d"]);
    let pools = case.work.backends.iter().map(|backend| backend.pool.map(|it| it.wait_row));
    assert_eq!(pools.collect::<Vec<_>>(), [Some(0), None]);
    let sizes = case.work.backends.iter().map(|backend| backend.answer_bytes);
    assert_eq!(sizes.collect::<Vec<_>>(), [64, 1_024]);
}

#[test]
fn connections_name_their_backend_as_queries_do() {
    let case = valid(
        "name: x\nquestion: q?\nbackends: { db: { latency: 1ms, pool: 3 }, other: { latency: 1ms } }\n\
         tasks:\n  - name: t\n    steps:\n      - query: db\n      - connect: other\n      \
         - connect: { backend: other, how: polling, as: c }\n",
    )
    .case(0);
    let connect = |how, row| Action::Connect { backend: 1, how, row };
    assert_eq!(actions(&case)[1..], [connect(How::Await, None), connect(How::Polling, Some(1))]);
    assert_eq!(case.work.rows, ["db-wait", "c"]);
    let alone = valid(
        "name: x\nquestion: q?\nbackends: { latency: 1ms }\ntasks: [{ name: t, steps: [connect] }]\n",
    );
    let connect = Action::Connect { backend: 0, how: How::Await, row: None };
    assert_eq!(actions(&alone.case(0)), [connect]);
}

#[test]
fn a_backend_may_stand_alone() {
    let case = valid(
        "name: x\nquestion: q?\nbackends: { latency: 10ms, pool: 1 }\n\
         tasks: [{ name: t, steps: [query] }]\n",
    )
    .case(0);
    assert_eq!(case.work.rows, ["backend-wait"]);
    assert_eq!(case.work.summary, "1 task, back to back; a backend of 10 ms");
}
