//! `quadrant check --explain`: the sections of specs/behaviours.
//!
//! Never holds a text of its own: the pages are the only place that explains a check.

use quadrant_suite::checks::{Check, Kind};

/// In the order of the groups of checks.
const PAGES: [&str; 14] = [
    include_str!("../../../../specs/behaviours/wakes.md"),
    include_str!("../../../../specs/behaviours/fairness.md"),
    include_str!("../../../../specs/behaviours/timers.md"),
    include_str!("../../../../specs/behaviours/cancelling.md"),
    include_str!("../../../../specs/behaviours/cancelling-operations.md"),
    include_str!("../../../../specs/behaviours/nesting.md"),
    include_str!("../../../../specs/behaviours/offloading.md"),
    include_str!("../../../../specs/behaviours/tcp.md"),
    include_str!("../../../../specs/behaviours/shared-stream.md"),
    include_str!("../../../../specs/behaviours/many-connections.md"),
    include_str!("../../../../specs/behaviours/files.md"),
    include_str!("../../../../specs/behaviours/process.md"),
    include_str!("../../../../specs/behaviours/quadrants.md"),
    include_str!("../../../../specs/behaviours/shutdown.md"),
];

pub fn of_all<'c>(checks: impl Iterator<Item = &'c Check>) -> String {
    checks.map(explained).collect::<Vec<_>>().join("\n")
}

fn explained(check: &Check) -> String {
    let answers = check.answers();
    let kind = match check.kind {
        Kind::Must => "must pass".to_owned(),
        Kind::Differs => format!("runtimes may differ: {}", answers.join(", ")),
        Kind::Metric => "a number".to_owned(),
    };
    let needs: Vec<String> = check.needs.iter().map(ToString::to_string).collect();
    let needs = match needs.is_empty() {
        true => String::new(),
        false => format!("; needs {}", needs.join(", ")),
    };
    let Check { id, question, why, .. } = check;
    let rest = section(id).and_then(|section| section.text.strip_prefix(question));
    let rest = rest.map_or_else(String::new, |rest| format!("\n{}\n", rest.trim()));
    format!("{id} ({kind}{needs})\n{question}\n{why}\n{rest}")
}

/// A section of the pages: its heading, and beneath it the question and the rest.
struct Section {
    id: &'static str,
    text: &'static str,
}

fn section(id: &str) -> Option<Section> {
    sections().find(|section| section.id == id)
}

fn sections() -> impl Iterator<Item = Section> {
    let of_page = |page: &'static str| page.split("\n## `").skip(1);
    PAGES.into_iter().flat_map(of_page).filter_map(|section| {
        let (id, text) = section.split_once("`\n")?;
        Some(Section { id, text: text.trim() })
    })
}

#[cfg(test)]
mod tests {
    use quadrant_suite::checks;

    use super::*;

    #[test]
    fn every_check_has_a_section_with_its_question() {
        let mut wrong = Vec::new();
        for check in checks::all() {
            match section(check.id) {
                None => wrong.push(format!("{} has no section", check.id)),
                Some(section) => match section.text.strip_prefix(check.question) {
                    None => wrong.push(format!("{} asks: {}", check.id, check.question)),
                    Some(rest) if rest.trim().len() < 80 => {
                        wrong.push(format!("{} is not explained", check.id));
                    }
                    Some(_) => {}
                },
            }
        }
        let known = |section: &Section| checks::all().any(|check| check.id == section.id);
        wrong.extend(sections().filter(|it| !known(it)).map(|it| format!("no check {}", it.id)));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn sections_are_in_the_order_of_the_kit() {
        let listed: Vec<&str> = sections().map(|section| section.id).collect();
        let checks = checks::all().map(|check| check.id).filter(|id| listed.contains(id));
        assert_eq!(listed, checks.collect::<Vec<_>>());
    }
}
