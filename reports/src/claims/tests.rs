//! Verdicts on the records of scenarios with ratios and claims.

use super::*;
use crate::record::{CheckedExpectation, Status};
use crate::style::Style;
use crate::tests::sample::{self, InTurns};
use crate::{markdown, terminal};

fn value(axis: &str, value: &str) -> AxisValue {
    AxisValue { axis: axis.into(), value: value.into() }
}

/// Five trials of a case, with these rates.
fn case(claim: &Claim, values: &[(&str, &str)], subject: &str, rate: f64) -> Vec<Record> {
    let drift = [1.0, 1.01, 0.99, 1.02, 0.98];
    let trial = |(number, drift): (usize, f64)| {
        let mut record = sample::ok(subject, number as u32, rate * drift, 5);
        record.case = values.iter().map(|(axis, at)| value(axis, at)).collect();
        record.claim = Some(claim.clone());
        record
    };
    drift.into_iter().enumerate().map(trial).collect()
}

fn claim(sentence: Option<&str>, is: &str) -> Claim {
    let ratio = Ratio {
        of: vec![value("order", "together")],
        to: vec![value("order", "in-turn")],
        is: is.to_owned(),
    };
    Claim { sentence: sentence.map(str::to_owned), ratios: vec![ratio] }
}

fn judged(cases: &[Vec<Record>]) -> Judged {
    let mut claims = Claims::default();
    cases.iter().for_each(|records| claims.add(records));
    let first = &cases[0][0];
    claims.end(&first.run_id, &first.scenario)
}

#[test]
fn each_subject_has_a_verdict_with_its_figures() {
    let claim = claim(Some("Together is at least twice as fast."), "ops_per_sec >= 2");
    let of = |order, subject, rate| case(&claim, &[("order", order)], subject, rate);
    let cases = [
        [of("in-turn", "a/b/c", 100.0), of("in-turn", "d/e/f", 100.0)].concat(),
        [of("together", "a/b/c", 300.0), of("together", "d/e/f", 110.0)].concat(),
    ];
    let judged = judged(&cases);
    assert_eq!(judged.missed, 0);
    insta::assert_snapshot!(terminal::draw(&judged.parts, Style::PLAIN));
}

#[test]
fn a_claim_needs_all_of_its_ratios() {
    let mut claim = claim(Some("Together is two to four times as fast."), "ops_per_sec >= 2");
    let below = Ratio { is: "ops_per_sec <= 4".to_owned(), ..claim.ratios[0].clone() };
    claim.ratios.push(below);
    for (speed, verdict) in
        [(3.0, "holds"), (1.0, "does not hold"), (5.0, "does not hold"), (2.0, "cannot tell")]
    {
        let of = |order, rate| case(&claim, &[("order", order)], "a/b/c", rate);
        let judged = judged(&[of("in-turn", 100.0), of("together", 100.0 * speed)]);
        let text = terminal::draw(&judged.parts, Style::PLAIN);
        assert!(text.contains(&format!(" a/b/c            {verdict}\n")), "{speed}: {text}");
    }
}

/// `speeds` are those of the ratio's sides, by the value of an axis of numbers.
fn along_an_axis(speeds: [(&str, f64); 3]) -> Judged {
    let claim = claim(None, "ops_per_sec > 1.5");
    let at = |connections, order, rate| {
        case(&claim, &[("connections", connections), ("order", order)], "a/b/c", rate)
    };
    let pair = |(connections, speed)| {
        [at(connections, "in-turn", 100.0), at(connections, "together", 100.0 * speed)]
    };
    judged(&speeds.into_iter().flat_map(pair).collect::<Vec<_>>())
}

#[test]
fn along_an_axis_it_holds_from_some_value_on() {
    let judged = along_an_axis([("512", 4.0), ("1", 1.0), ("64", 2.0)]);
    assert_eq!(judged.missed, 1);
    insta::assert_snapshot!(terminal::draw(&judged.parts, Style::PLAIN));
}

/// What cannot be told at one place is no answer there.
#[test]
fn along_an_axis_it_does_not_hold_from_some_value_on() {
    let judged = along_an_axis([("512", 1.0), ("1", 1.5), ("64", 1.0)]);
    let text = terminal::draw(&judged.parts, Style::PLAIN);
    assert!(text.contains("does not hold from connections=64 on\n"), "{text}");
}

/// What is expected of a case, and the figures seen in its trials.
fn seen(records: &mut [Record], when: &[(&str, &str)], expected: &str, figures: &[f64]) {
    for (record, figure) in records.iter_mut().zip(figures) {
        record.expectations.push(CheckedExpectation {
            expected: expected.to_owned(),
            when: when.iter().map(|(axis, at)| value(axis, at)).collect(),
            seen: Some(*figure),
            answer: None,
            met: false,
        });
    }
}

fn sentence(text: &str) -> Claim {
    Claim { sentence: Some(text.to_owned()), ratios: Vec::new() }
}

#[test]
fn expectations_alone_decide_a_claim() {
    let claim = sentence("Waiting for many needs one thread, blocking as many.");
    let of = |tasks, how, threads: [f64; 3]| {
        let mut records = case(&claim, &[("how", how), ("tasks", tasks)], "a/b/c", 100.0);
        records.truncate(3);
        let expected = if how == "await" { "threads.peak <= 4" } else { "threads.peak >= 100" };
        seen(&mut records, &[("how", how)], expected, &threads);
        records
    };
    let cases = [
        of("1000", "blocking", [1001.0; 3]),
        of("1000", "await", [2.0; 3]),
        of("10", "await", [2.0; 3]),
        of("10", "blocking", [11.0; 3]),
        of("100", "await", [2.0, 2.0, 3.0]),
        of("100", "blocking", [101.0; 3]),
    ];
    let judged = judged(&cases);
    assert_eq!(judged.missed, 0);
    insta::assert_snapshot!(terminal::draw(&judged.parts, Style::PLAIN));
}

#[test]
fn a_condition_of_one_value_counts_at_all() {
    let claim = sentence("It is so.");
    let of = |tasks, expected, figure| {
        let mut records = case(&claim, &[("tasks", tasks)], "a/b/c", 100.0);
        let when: &[_] = if tasks == "1" { &[("tasks", "1")] } else { &[] };
        seen(&mut records, when, expected, &[figure; 5]);
        records
    };
    let verdict = |one: f64| {
        let cases = [
            of("1", "threads.peak <= 4", one),
            of("8", "stalls.count = 0", 0.0),
            of("64", "stalls.count = 0", 3.0),
        ];
        terminal::draw(&judged(&cases).parts, Style::PLAIN)
    };
    for (one, expected) in [(1.0, "holds up to tasks=8"), (9.0, "does not hold")] {
        let text = verdict(one);
        assert!(text.contains(&format!(" a/b/c            {expected}\n")), "{text}");
    }
}

#[test]
fn a_trial_without_figures_leaves_a_claim_open() {
    let claim = sentence("It is so.");
    let mut records = case(&claim, &[], "a/b/c", 100.0);
    seen(&mut records, &[], "threads.peak <= 4", &[1.0; 5]);
    for record in &mut records {
        record.expectations[0].seen = None;
    }
    let text = terminal::draw(&judged(&[records]).parts, Style::PLAIN);
    assert!(text.contains("cannot tell: there are no figures\n"), "{text}");
}

#[test]
fn missed_conditions_of_a_claim_are_no_demands() {
    let mut record = case(&sentence("It is so."), &[], "a/b/c", 100.0).remove(0);
    seen(std::slice::from_mut(&mut record), &[], "threads.peak <= 4", &[9.0]);
    let mut behaviour = record.expectations[0].clone();
    behaviour.answer = Some("panics".to_owned());
    record.expectations.push(behaviour);
    assert_eq!((record.conditions().count(), record.demands().count()), (1, 1));
    record.claim = None;
    assert_eq!((record.conditions().count(), record.demands().count()), (0, 2));
}

fn between_backends(is: &str) -> Claim {
    let ratio = Ratio {
        of: vec![value("backend", "io_uring")],
        to: vec![value("backend", "epoll")],
        is: is.to_owned(),
    };
    Claim { sentence: Some("io_uring is faster than epoll.".to_owned()), ratios: vec![ratio] }
}

#[test]
fn parts_of_subjects_pair_those_that_differ_by_them() {
    let claim = between_backends("ops_per_sec > 1");
    let of = |connections: &str, speeds: [f64; 4]| {
        let subjects =
            ["a/b/epoll", "a/b/io_uring", "a/b/io_uring?spin=9", "c/d/epoll"].into_iter();
        let each = subjects
            .zip(speeds)
            .flat_map(|(id, speed)| case(&claim, &[("connections", connections)], id, speed));
        each.collect::<Vec<_>>()
    };
    let cases = [of("1", [100.0, 60.0, 1.0, 1.0]), of("64", [100.0, 150.0, 1.0, 1.0])];
    insta::assert_snapshot!(terminal::draw(&judged(&cases).parts, Style::PLAIN));
}

#[test]
fn a_side_without_subjects_cannot_be_judged() {
    let claim = between_backends("ops_per_sec > 1");
    let mut records = case(&claim, &[], "a/b/epoll", 100.0);
    let alone = judged(&[records.clone()]);
    insta::assert_snapshot!(terminal::draw(&alone.parts, Style::PLAIN));
    // A condition that is met does not make the claim true.
    seen(&mut records, &[], "threads.peak <= 4", &[1.0; 5]);
    let text = terminal::draw(&judged(&[records]).parts, Style::PLAIN);
    assert!(text.contains(" a/b/epoll        cannot tell\n"), "{text}");
}

#[test]
fn a_pair_of_subjects_without_figures_shows() {
    let claim = between_backends("ops_per_sec > 1");
    let mut failed = sample::no_figures("a/b/io_uring", 0, Status::Failed, None);
    failed.claim = Some(claim.clone());
    failed.case.clear();
    let records = [case(&claim, &[], "a/b/epoll", 100.0), vec![failed]].concat();
    let text = terminal::draw(&judged(&[records]).parts, Style::PLAIN);
    assert!(text.contains(" a/b/*            cannot tell: there are no figures on"), "{text}");
}

#[test]
fn several_claims_end_in_a_summary() {
    let mut claims = Claims::default();
    let ratio = claim(Some("Together is at least twice as fast."), "ops_per_sec >= 2");
    for (order, rate) in [("in-turn", 100.0), ("together", 300.0)] {
        for id in ["a/b/c", "d/e/f"] {
            let slower = if id == "d/e/f" { 1.0 } else { rate / 100.0 };
            claims.add(&case(&ratio, &[("order", order)], id, 100.0 * slower));
        }
    }
    claims.end_all();
    assert_eq!(claims.summary(true), []);
    let plain = sentence("One thread is enough.");
    let mut records = case(&plain, &[], "a/b/c", 100.0);
    seen(&mut records, &[], "threads.peak <= 4", &[1.0; 5]);
    claims.add(&records);
    claims.end_all();
    insta::assert_snapshot!(terminal::draw(&claims.summary(false), Style::PLAIN));
    insta::assert_snapshot!("on_a_page", markdown::write(&claims.summary(true)));
}

#[test]
fn a_page_counts_the_subjects_of_the_usual_verdict() {
    let verdicts = |verdicts: &[(&str, Verdict)]| {
        let named = verdicts.iter().map(|(name, verdict)| ((*name).to_owned(), verdict.clone()));
        ClaimAnswer {
            scenario: String::new(),
            sentence: "It is so.".into(),
            verdicts: named.collect(),
        }
    };
    let names = ["a", "b", "c", "d", "e"];
    let up_to = |value: &str| Verdict::InPart(Some(format!("up to tasks={value}")));
    let all = names.map(|name| (name, Verdict::Holds));
    let most = [&[("f", up_to("8")), ("g", Verdict::DoesNotHold(None))], &all[..]].concat();
    let parts = names.map(|name| (name, up_to("1")));
    let in_parts = [&parts[..], &[("f", up_to("8")), ("g", up_to("8"))]].concat();
    let answers = [&all[..4], &all, &most, &in_parts].map(verdicts);
    insta::assert_snapshot!(markdown::write(&[Part::Table(page::subjects(&answers))]));
}

#[test]
fn what_a_subject_cannot_run_is_told() {
    let claim = sentence("It is so.");
    let of = |tasks, id, status| {
        let mut record = sample::no_figures(id, 0, status, None);
        record.claim = Some(claim.clone());
        record.case = vec![value("tasks", tasks)];
        vec![record]
    };
    let mut cases = [
        [case(&claim, &[("tasks", "1")], "a/b/c", 1.0), of("1", "d/e/f", Status::Unsupported)]
            .concat(),
        [of("9", "a/b/c", Status::Unsupported), of("9", "d/e/f", Status::Unsupported)].concat(),
    ];
    for records in &mut cases {
        let figures = vec![1.0; records.len()];
        seen(records, &[], "threads.peak <= 4", &figures);
        for record in records.iter_mut().filter(|record| record.metrics.is_none()) {
            record.expectations[0].seen = None;
        }
    }
    insta::assert_snapshot!(terminal::draw(&judged(&cases).parts, Style::PLAIN));
}

#[test]
fn a_side_of_all_parts_is_a_subject() {
    let parts = [value("executor", "b"), value("runtime", "a"), value("backend", "c")];
    assert_eq!(words::side(&parts), "a/b/c");
    assert_eq!(
        words::side(&[&[value("how", "await")][..], &parts].concat()),
        "a/b/c with how=await"
    );
    assert_eq!(words::side(&parts[1..]), "runtime=a, backend=c");
}

#[test]
fn an_axis_in_when_may_have_the_name_of_a_part() {
    let claim = sentence("It is so.");
    let records = ["a/b/c", "a/b/d"].map(|id| {
        let mut records = case(&claim, &[("backend", "c")], id, 1.0);
        seen(&mut records, &[("backend", "c")], "threads.peak <= 4", &[1.0; 5]);
        records
    });
    let text = terminal::draw(&judged(&[records.concat()]).parts, Style::PLAIN);
    assert!(text.contains(" a/b/c ") && text.contains(" a/b/d "), "{text}");
}

#[test]
fn turns_decide_between_subjects_of_one_case() {
    let claim = between_backends("ops_per_sec > 1");
    let in_turns = InTurns { noise: 0.002, ..InTurns::new(10) };
    let mut records = in_turns.records(&[("a/b/epoll", 100.0), ("a/b/io_uring", 105.0)]);
    for id in ["a/b/epoll", "a/b/io_uring"] {
        // By themselves they were equal.
        records.extend(case(&claim, &[], id, 100.0));
    }
    for record in &mut records {
        record.claim = Some(claim.clone());
        record.case.clear();
    }
    let text = terminal::draw(&judged(&[records.clone()]).parts, Style::PLAIN);
    assert!(text.contains(" a/b/*            holds: 1.0"), "{text}");
    assert!(claim.suits_turns());

    let mut other = between_backends("latency.mean > 1");
    assert!(!other.suits_turns());
    other.ratios[0].is = "ops_per_sec > 1".to_owned();
    other.ratios[0].of.push(value("how", "await"));
    assert!(!other.suits_turns());
}

#[test]
fn other_programs_read_verdicts_as_json() {
    let claim = claim(Some("Together is at least twice as fast."), "ops_per_sec >= 2");
    let of = |order, rate| case(&claim, &[("order", order)], "a/b/c", rate);
    let mut claims = Claims::default();
    [of("in-turn", 100.0), of("together", 110.0)].iter().for_each(|records| claims.add(records));
    claims.end_all();
    let json = claims.into_json();
    let verdict = &json[0];
    assert_eq!(json.as_array().map(Vec::len), Some(1));
    for (field, expected) in [
        ("scenario", "echo/many-connections"),
        ("claim", "Together is at least twice as fast."),
        ("subject", "a/b/c"),
        ("verdict", "does not hold"),
    ] {
        assert_eq!(verdict[field], expected, "{verdict}");
    }
    let condition = &verdict["conditions"][0];
    assert_eq!(condition["answer"], "no");
    assert!(condition["figure"].as_str().unwrap().starts_with("1.1"), "{condition}");
}

#[test]
fn without_another_side_each_other_subject_is_compared() {
    let mut claim =
        claim(Some("a/b/c is at least half as fast as any other."), "ops_per_sec >= 0.5");
    let parts = [("runtime", "a"), ("executor", "b"), ("backend", "c")];
    claim.ratios[0].of = parts.map(|(part, name)| value(part, name)).to_vec();
    claim.ratios[0].to.clear();
    let of = |tasks, subject, rate| case(&claim, &[("tasks", tasks)], subject, rate);
    let cases = [
        [of("1", "a/b/c", 100.0), of("1", "d/e/f", 150.0), of("1", "g/h/i", 900.0)].concat(),
        [of("64", "a/b/c", 100.0), of("64", "d/e/f", 400.0), of("64", "g/h/i", 200.0)].concat(),
    ];
    insta::assert_snapshot!(terminal::draw(&judged(&cases).parts, Style::PLAIN));
    // Of g/h/i at 64 more trials may decide, and those of a/b/c count as much.
    assert_eq!(undecided(&cases).into_iter().collect::<Vec<_>>(), ["a/b/c", "g/h/i"]);
}

#[test]
fn more_trials_are_for_what_they_can_decide() {
    let claim = claim(Some("Together is at least twice as fast."), "ops_per_sec >= 2");
    let of = |order, subject, rate| case(&claim, &[("order", order)], subject, rate);
    let in_turn = ["a/b/c", "d/e/f", "g/h/i"].map(|subject| of("in-turn", subject, 100.0)).concat();
    let mut failed = of("together", "g/h/i", 200.0);
    for record in &mut failed {
        (record.status, record.metrics) = (Status::Failed, None);
    }
    let together = [of("together", "a/b/c", 300.0), of("together", "d/e/f", 200.0), failed];
    let undecided = undecided(&[in_turn, together.concat()]);
    assert_eq!(undecided.into_iter().collect::<Vec<_>>(), ["d/e/f"]);
}
