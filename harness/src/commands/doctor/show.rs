//! Findings for people: one line each, with what it costs and what to do hanging beneath.
//!
//! Never leaves a good finding out: what was looked at is part of the answer.

use quadrant_reports::paint::{Paint, Style};
use quadrant_reports::prose::wrap;

use super::finding::{Finding, Level};

/// `obstacle` and two spaces.
const LEVEL: usize = 10;

pub fn table(findings: &[Finding], style: Style) -> String {
    let paint = Paint::new(style);
    let about = findings.iter().map(|finding| finding.about.len()).max().unwrap_or(0) + 2;
    let indent = 1 + LEVEL + about;
    let mut lines = Vec::new();
    let mut hang = |head: String, label: &str, text: &str| {
        let width = style.width.saturating_sub(indent + label.len());
        for (index, line) in wrap(text, width).into_iter().enumerate() {
            let (head, label) = match index {
                0 => (head.clone(), paint.dim(label)),
                _ => (" ".repeat(indent), " ".repeat(label.len())),
            };
            lines.push(format!("{head}{label}{line}\n"));
        }
    };
    for finding in findings {
        let word = finding.level.word();
        let painted = match finding.level {
            Level::Ok => paint.good(word),
            Level::Warning => paint.doubtful(word),
            Level::Obstacle => paint.bad(word),
        };
        let head = format!(" {painted}{}{:about$}", " ".repeat(LEVEL - word.len()), finding.about,);
        hang(head, "", &finding.says);
        let below = " ".repeat(indent);
        if let Some(costs) = &finding.costs {
            hang(below.clone(), "costs  ", costs);
        }
        if let Some(remedy) = &finding.remedy {
            hang(below, "do     ", remedy);
        }
    }
    lines.push(format!("\n{}\n", summary(findings)));
    lines.concat()
}

fn summary(findings: &[Finding]) -> String {
    let of = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    match (of(Level::Warning), of(Level::Obstacle)) {
        (0, 0) => "all is as it should be".to_owned(),
        (warnings, obstacles) => format!(
            "{} of {} as it should be, {}, {}",
            of(Level::Ok),
            findings.len(),
            counted(warnings, "warning"),
            counted(obstacles, "obstacle")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok("CPUs", "there are 4"),
            Finding::warning("load", "other processes use 74 %", "figures vary", "stop them"),
            Finding::obstacle("io_uring", "it is forbidden", "some do not run", "allow it"),
        ]
    }

    #[test]
    fn a_finding_with_its_cost_and_remedy() {
        let expected = "
 ok        CPUs      there are 4
 warning   load      other processes use 74 %
                     costs  figures vary
                     do     stop them
 obstacle  io_uring  it is forbidden
                     costs  some do not run
                     do     allow it

1 of 3 as it should be, 1 warning, 1 obstacle
";
        assert_eq!(table(&findings(), Style::PLAIN), expected[1..]);
        assert!(table(&findings()[..1], Style::PLAIN).ends_with("all is as it should be\n"));
    }

    #[test]
    fn a_narrow_terminal_wraps_beneath_itself() {
        let text = table(&findings(), Style { color: false, width: 50 });
        assert!(text.lines().all(|line| line.chars().count() <= 50), "{text}");
    }
}
