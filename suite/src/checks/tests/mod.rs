//! The kit against a tiny executor: right, it passes every check; with one rule broken, the check of
//! this rule fails.

mod executor;
mod on_cancel;
mod pool;
mod rule;
mod sockets;
mod tiny;

use std::env;
use std::io::Read;
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{GROUPS, Kind, Verdict, all, named, outside};
use crate::board::Board;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::scene::Scene;
use rule::Rule;
use tiny::run;

/// What the harness calls a hang. Where none is expected, other processes may take most of the CPU
/// time, and it takes four times as long to call it one.
const LIMIT: Duration = Duration::from_secs(15);

/// In the environment of a process that runs one check: the check, and the rule to break.
const ASKED: &str = "QUADRANT_TEST_CHECK";

/// Before the verdict, among what the test runner prints.
const VERDICT: &str = "verdict: ";

/// Runs a check on the executor with this rule broken, in a process of its own, as the harness does:
/// some checks count descriptors and threads, or change a limit. `None` if it hangs or crashes.
fn check(id: &str, broken: Option<Rule>) -> Option<Verdict> {
    let rule = broken.map_or_else(String::new, |rule| format!("{rule:?}"));
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "checks::tests::the_check_of_this_process_answers", "--nocapture"])
        .env(ASKED, format!("{id} {rule}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + if broken.is_some() { LIMIT } else { 4 * LIMIT };
    while Instant::now() < end && child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    let mut printed = String::new();
    child.stdout.take()?.read_to_string(&mut printed).unwrap();
    let verdict = printed.lines().find_map(|line| Some(line.split_once(VERDICT)?.1))?;
    let verdict = serde_json::from_str(verdict).unwrap();
    if let (Verdict::Answer { word, .. }, Some(check)) = (&verdict, named(id)) {
        assert!(check.answers().contains(&&**word), "{id}: `{word}` is not declared");
    }
    Some(verdict)
}

/// Does nothing, except in a process that `check` has started.
#[test]
fn the_check_of_this_process_answers() {
    let Ok(asked) = env::var(ASKED) else { return };
    // As the harness does; some checks open thousands of sockets.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let (id, rule) = asked.split_once(' ').unwrap();
    let rules = Rule::ALL.iter().chain(Rule::OTHER_WAYS).map(|(rule, _)| *rule);
    let mut rules = rules.chain(Rule::QUADRANTS.iter().filter_map(|(_, rule, _)| *rule));
    let broken = rules.find(|known| format!("{known:?}") == rule);
    let check = Some(named(id).unwrap().planned());
    let plan = Plan { check, ..Plan::empty("tiny", "none", 2, 1) };
    let hand_in = |outcome: &Outcome| {
        let Outcome::Checked(verdict) = outcome else { return };
        println!("{VERDICT}{}", serde_json::to_string(verdict).unwrap());
        process::exit(0);
    };
    let scene = Box::leak(Box::new(Scene::new(plan, Box::leak(Board::blank()), hand_in)));
    let start = || run(scene, broken);
    match outside(scene, id, &start) {
        Some(verdict) => scene.answer(verdict),
        None => drop(start()),
    }
}

#[test]
fn names_are_unique_and_questions_are_questions() {
    let mut names: Vec<&str> = all().map(|check| check.id).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    for check in all() {
        assert!(check.question.ends_with('?') || check.question.contains("? "), "{}", check.id);
        assert!(check.why.ends_with('.'), "{}", check.id);
        let is_differing = check.kind == Kind::Differs;
        assert_eq!(check.words.len() > 1, is_differing, "{} declares its answers", check.id);
    }
    assert!(GROUPS.iter().all(|(_, checks)| !checks.is_empty()));
}

#[test]
fn a_right_executor_passes_every_check() {
    let failed: Vec<String> = all()
        .filter_map(|check| {
            let verdict = check_again(check.id, |verdict| {
                matches!(
                    (check.kind, verdict),
                    (Kind::Must, Verdict::Pass { .. })
                        | (Kind::Differs, Verdict::Answer { .. })
                        | (Kind::Metric, Verdict::Number { .. })
                )
            });
            verdict.err().map(|verdict| format!("{}: {verdict:?}", check.id))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A busy machine may spoil a check that passes otherwise.
fn check_again(id: &str, expected: impl Fn(&Verdict) -> bool) -> Result<Verdict, Option<Verdict>> {
    let mut last = None;
    for _ in 0..3 {
        last = check(id, None);
        if let Some(verdict) = last.clone().filter(&expected) {
            return Ok(verdict);
        }
    }
    Err(last)
}

#[test]
fn each_broken_rule_fails_its_check() {
    let tests: Vec<_> = Rule::ALL
        .iter()
        .map(|(rule, id)| (*rule, *id, thread::spawn(|| check(id, Some(*rule)))))
        .collect();
    let mut missed = Vec::new();
    for (rule, id, test) in tests {
        // A hang is a failure too: the harness reports it.
        match test.join().unwrap() {
            None | Some(Verdict::Fail { .. }) => {}
            Some(other) => missed.push(format!("{rule:?} passes {id}: {other:?}")),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn every_rule_has_an_executor_that_breaks_it() {
    let rules = all().filter(|check| check.kind == Kind::Must);
    let unbroken: Vec<&str> = rules
        .map(|check| check.id)
        .filter(|id| !Rule::ALL.iter().any(|(_, broken)| broken == id))
        .collect();
    assert_eq!(unbroken, Vec::<&str>::new());
}

#[test]
fn both_answers_come_out_where_runtimes_differ() {
    let word = |id: &str, broken| match check(id, broken) {
        Some(Verdict::Answer { word, .. }) => word,
        // Where runtimes may differ, this is an answer as well.
        None => "hangs".to_owned(),
        other => panic!("{id}: {other:?}"),
    };
    for (rule, id) in Rule::OTHER_WAYS {
        assert_ne!(word(id, None), word(id, Some(*rule)), "{id}");
    }
    let differing = all().filter(|check| check.kind == Kind::Differs);
    for check in differing {
        let others = Rule::QUADRANTS.iter().map(|(id, ..)| id);
        let mut others = others.chain(Rule::OTHER_WAYS.iter().map(|(_, id)| id));
        let has_other = others.any(|id| *id == check.id);
        assert!(has_other, "{} has one answer", check.id);
    }
}

#[test]
fn each_operation_is_in_the_quadrant_it_was_built_for() {
    let tests: Vec<_> = Rule::QUADRANTS
        .iter()
        .map(|(id, rule, word)| (*id, *rule, *word, thread::spawn(|| check(id, *rule))))
        .collect();
    let mut missed = Vec::new();
    for (id, rule, expected, test) in tests {
        let seen = test.join().unwrap();
        if !matches!(&seen, Some(Verdict::Answer { word, .. }) if word == expected) {
            missed.push(format!("{id} with {rule:?} is not {expected}: {seen:?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
