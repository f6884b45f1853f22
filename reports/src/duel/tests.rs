//! Whole duels of made-up turns.

use super::*;
use crate::random::SplitMix;
use crate::record::turns::Thawed;

/// Starts in which subject 1 is `ratio` times as fast as subject 0 and both run under the same conditions: a
/// slow drift, noise of its own in each turn, and now and then a turn that a neighbour disturbed.
fn starts(seed: u64, ratio: f64, noise: f64) -> Vec<Start> {
    let mut random = SplitMix(seed);
    let mut turn = |rate: f64| {
        let spoilt = if random.draw().is_multiple_of(20) { 0.5 } else { 1.0 };
        let rate = rate * spoilt * (1.0 + noise * random.normal());
        let operations = (rate * 0.02) as u64;
        let thawed = Thawed {
            elapsed_ns: 21_000_000,
            operations,
            cpu_ns: (15_000_000.0 / ratio) as u64,
            driver_cpu_ns: 10_000_000,
            page_faults: 0,
        };
        Turn { elapsed_ns: 20_000_000, operations, waited_ns: 0, thawed }
    };
    let mut start = |number: i32| {
        let mut subjects = vec![Vec::new(); 2];
        for round in 0..24 {
            let drift = 1.0 + 0.05 * f64::from(number * 24 + round) / 240.0;
            subjects[0].push(turn(100_000.0 * drift));
            subjects[1].push(turn(100_000.0 * drift * ratio));
        }
        subjects
    };
    (0..10).map(&mut start).collect()
}

fn verdicts(ratio_of_rates: f64, noise: f64) -> [usize; 4] {
    let mut counts = [0; 4];
    for seed in 0..200 {
        let found = ratio(&starts(seed, ratio_of_rates, noise), 1, Turn::ops_per_sec).unwrap();
        counts[found.verdict(0.01) as usize] += 1;
    }
    counts
}

#[test]
fn a_copy_is_seldom_a_difference() {
    let [more, less, ..] = verdicts(1.0, 0.01);
    assert!(more + less <= 5, "{more} faster and {less} slower of 200");
}

#[test]
fn one_per_cent_is_found_despite_noise() {
    let [_, less, ..] = verdicts(0.99, 0.005);
    assert!(less >= 190, "{less} of 200");
    let [more, ..] = verdicts(1.01, 0.005);
    assert!(more >= 190, "{more} of 200");
}

#[test]
fn cpu_time_decides_where_throughput_cannot() {
    let same_throughput = |cpu: f64, busy: f64| {
        let mut made = starts(5, 1.0, 0.05);
        for start in &mut made {
            for turn in start.iter_mut().flatten() {
                turn.thawed.cpu_ns = (turn.thawed.operations as f64 * 7_500.0) as u64;
                turn.thawed.driver_cpu_ns = (turn.thawed.elapsed_ns as f64 * busy) as u64;
            }
            for turn in &mut start[1] {
                turn.thawed.cpu_ns = (turn.thawed.cpu_ns as f64 * cpu) as u64;
            }
        }
        made
    };
    let concluded = |starts: &[Start]| conclusion(starts, 1, 0.01).unwrap();
    let by = Decisive::CpuPerOp;
    assert_eq!(concluded(&same_throughput(1.05, 0.5)), Conclusion::Behind { by });
    assert_eq!(concluded(&same_throughput(0.95, 0.5)), Conclusion::Ahead { by });
    // A driver at its limit makes all alike.
    assert_eq!(concluded(&same_throughput(1.0, 0.95)), Conclusion::Same);
    let slower = concluded(&starts(1, 0.9, 0.002));
    assert_eq!(slower, Conclusion::Behind { by: Decisive::Throughput });
}

#[test]
fn a_ratio_is_the_inverse_of_its_reverse() {
    let there = starts(3, 0.9, 0.01);
    let mut back = there.clone();
    back.iter_mut().for_each(|start| start.reverse());
    let there = ratio(&there, 1, Turn::ops_per_sec).unwrap();
    let back = ratio(&back, 1, Turn::ops_per_sec).unwrap();
    assert!((there.value * back.value - 1.0).abs() < 1e-12);
}

#[test]
fn one_start_or_idle_turns_have_no_ratio() {
    let starts = starts(1, 1.0, 0.01);
    assert_eq!(ratio(&starts[..1], 1, Turn::ops_per_sec), None);
    let idle = vec![vec![Turn::default(); 2]; 2];
    assert_eq!(ratio(&[idle.clone(), idle], 1, Turn::ops_per_sec), None);
}

fn case(scenario: &str, result: Result<Vec<Start>, NoResult>) -> DuelCase {
    DuelCase {
        scenario: scenario.to_owned(),
        question: "How many connections does one server hold?".to_owned(),
        workload: "64 B, closed loop".to_owned(),
        case: vec![AxisValue { axis: "connections".to_owned(), value: "64".to_owned() }],
        operation: "request".to_owned(),
        subjects: vec!["tokio/multi-thread/epoll".to_owned(), "smol/multi-thread/epoll".to_owned()],
        result,
        warnings: vec![Warning {
            subject: Some("smol/multi-thread/epoll".to_owned()),
            text: "its load driver was busy 93 % of the time".to_owned(),
        }],
    }
}

fn cases() -> Vec<DuelCase> {
    let nothing = |status, subject: Option<&str>, reason: &str| {
        Err(NoResult { subject: subject.map(str::to_owned), status, reason: reason.to_owned() })
    };
    vec![
        case("echo/slower", Ok(starts(1, 0.9, 0.002))),
        case("echo/copy", Ok(starts(2, 1.0, 0.0))),
        case("echo/unclear", Ok(starts(3, 1.004, 0.05))),
        case(
            "echo/crash",
            nothing(Status::Crashed, Some("smol/multi-thread/epoll"), "killed by signal 11"),
        ),
        case("echo/rate", nothing(Status::Unsupported, None, "its load comes at a fixed rate")),
    ]
}

fn written(format: Format) -> String {
    let mut output = Vec::new();
    let style = Style { color: false, width: 120 };
    write(&cases(), 0.01, &mut output, format, style).unwrap();
    String::from_utf8(output).unwrap()
}

#[test]
fn every_end_as_tables() {
    insta::assert_snapshot!(written(Format::Table));
}

#[test]
fn every_end_as_a_page() {
    insta::assert_snapshot!(written(Format::Markdown));
}

#[test]
fn json_has_every_turn() {
    let whole: serde_json::Value = serde_json::from_str(&written(Format::Json)).unwrap();
    let slower = &whole["cases"][0];
    assert_eq!(slower["subjects"][1]["throughput"]["verdict"], "less");
    assert_eq!(slower["subjects"][1]["cpu_per_op"]["verdict"], "more");
    let again: Vec<Start> = serde_json::from_value(slower["starts"].clone()).unwrap();
    assert_eq!(again, starts(1, 0.9, 0.002));
    assert_eq!(whole["cases"][3]["status"], "crashed");
    assert_eq!(whole["cases"][3]["at_fault"], "smol/multi-thread/epoll");
}

#[test]
fn the_exit_code_follows_from_the_cases() {
    let cases = cases();
    assert_eq!(exit_code(&cases[..3]), 0);
    assert_eq!(exit_code(&cases), 3);
    assert_eq!(exit_code(&cases[4..]), 4);
    assert_eq!(exit_code(&[cases[0].clone(), cases[4].clone()]), 0);
}

#[test]
fn a_bisection_takes_only_what_is_sure() {
    let case = |result| DuelCase {
        scenario: String::new(),
        question: String::new(),
        workload: String::new(),
        case: Vec::new(),
        operation: String::new(),
        subjects: vec!["a".to_owned(), "b".to_owned()],
        result,
        warnings: Vec::new(),
    };
    let of = |ratio, noise| case(Ok(starts(1, ratio, noise)));
    let none = NoResult { subject: None, status: Status::Crashed, reason: String::new() };
    let failed = case(Err(none));
    assert_eq!(bisect_code(&[of(1.0, 0.002), of(1.1, 0.002)], 0.01), 0);
    assert_eq!(bisect_code(&[failed.clone(), of(0.9, 0.002)], 0.01), 1);
    assert_eq!(bisect_code(&[of(1.1, 0.002), failed], 0.01), UNTESTABLE);
}
