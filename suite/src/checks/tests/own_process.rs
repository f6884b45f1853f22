//! Checks that change a limit of their process or measure all of it: each runs in a process of its
//! own, which is this test program again, with one test.

use std::env;
use std::process::Command;

use super::executor::Rule;
use super::{Verdict, check_here};

const ID: &str = "QUADRANT_TEST_CHECK";
const RULE: &str = "QUADRANT_TEST_RULE";
const MARK: &str = "verdict: ";

pub(super) fn is_needed(id: &str) -> bool {
    ["accept-emfile", "accept-storm", "conn-memory"].contains(&id)
}

pub(super) fn check(id: &str, broken: Option<Rule>) -> Option<Verdict> {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "checks::tests::own_process::the_check_that_is_asked_for", "--nocapture"])
        .env(ID, id)
        .env(RULE, broken.map_or_else(String::new, |rule| format!("{rule:?}")))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let verdict = text.lines().find_map(|line| line.split_once(MARK)).map(|(_, verdict)| verdict);
    serde_json::from_str(verdict.unwrap_or_else(|| panic!("{id}: no verdict in {text}"))).unwrap()
}

/// Does nothing among the other tests.
#[test]
fn the_check_that_is_asked_for() {
    let Ok(id) = env::var(ID) else { return };
    let name = env::var(RULE).unwrap();
    let broken = Rule::ALL.iter().map(|(rule, _)| *rule).find(|rule| format!("{rule:?}") == name);
    assert_eq!(broken.is_none(), name.is_empty(), "{name}");
    println!("{MARK}{}", serde_json::to_string(&check_here(&id, broken)).unwrap());
}
