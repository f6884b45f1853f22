//! `quadrant doctor`: what on this machine would spoil a measurement or keep a backend from
//! running, and what to do about it.
//!
//! Never changes the machine. Each check is a function of the facts that were read, so that it can be
//! tested with any facts.

mod finding;
mod machine;
mod permissions;
mod supplies;

use clap::Args;
use quadrant_reports::format::Format;
use quadrant_reports::number::counted;
use quadrant_reports::table::{Item, Part, Table, Tint};
use quadrant_reports::terminal;

use crate::commands::arguments;
use crate::commands::failure::Failure;
use crate::terminal::color::Color;
use crate::terminal::standard_output;
pub use finding::{Finding, Level};

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Exit codes: 0 something can be measured, whatever was found; 3 nothing can")]
pub struct DoctorOptions {
    #[arg(long, default_value = "table", value_parser = arguments::format(arguments::TABLE_OR_JSON))]
    pub format: Format,
}

/// Looks, which takes some two seconds, prints, and returns the exit code.
pub fn doctor(options: &DoctorOptions, color: Color) -> Result<u8, Failure> {
    // The machine first: the other checks make it busy.
    let findings: Vec<Finding> =
        [machine::findings(), permissions::findings(), supplies::findings()].concat();
    let text = if options.format == Format::Json {
        serde_json::to_string_pretty(&findings).map_err(anyhow::Error::new)? + "\n"
    } else {
        terminal::draw(&parts(&findings), standard_output::style(color))
    };
    standard_output::write(&text)?;
    Ok(exit_code(&findings))
}

fn exit_code(findings: &[Finding]) -> u8 {
    if findings.iter().any(|finding| finding.stops_everything) { 3 } else { 0 }
}

/// Good findings are shown too: what was checked is part of the result.
fn parts(findings: &[Finding]) -> [Part; 2] {
    let mut table = Table::new(&["check"]);
    table.sentences_heading = "finding".to_owned();
    for finding in findings {
        let (tint, word) = match finding.level {
            Level::Ok => (Tint::Good, "ok"),
            Level::Warning => (Tint::Doubtful, "warning"),
            Level::Obstacle => (Tint::Bad, "obstacle"),
        };
        let state = format!("{word}: {}", finding.state);
        let costs = finding.costs.map(|costs| Item::new(Tint::Dim, "", format!("costs: {costs}")));
        let remedy = finding.remedy.as_ref();
        let remedy = remedy.map(|remedy| Item::new(Tint::Dim, "", format!("do: {remedy}")));
        table.sentences.push(Item::new(tint, finding.about, state));
        table.sentences.extend(costs.into_iter().chain(remedy));
    }
    [Part::Table(table), Part::Text(Tint::Plain, summary(findings))]
}

fn summary(findings: &[Finding]) -> String {
    let of = |level| findings.iter().filter(|finding| finding.level == level).count() as u64;
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
    use quadrant_reports::style::Style;

    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::check("CPUs", true, "there are 4").or("nothing", "nothing"),
            Finding::check("load", false, "other processes use 74 %")
                .or("figures vary", "stop them"),
            Finding::check("io_uring", false, "it is forbidden")
                .or_obstacle("some do not run", "allow it"),
        ]
    }

    #[test]
    fn only_what_stops_everything_is_a_failure() {
        assert_eq!(exit_code(&findings()), 0);
        let all = Finding { stops_everything: true, ..findings().remove(2) };
        assert_eq!(exit_code(&[all]), 3);
        assert_eq!(exit_code(&[]), 0);
    }

    #[test]
    fn a_finding_has_its_cost_and_remedy_below() {
        let expected = "
 check     finding
 CPUs      ok: there are 4
 load      warning: other processes use 74 %
           costs: figures vary
           do: stop them
 io_uring  obstacle: it is forbidden
           costs: some do not run
           do: allow it

1 of 3 as it should be, 1 warning, 1 obstacle
";
        assert_eq!(terminal::draw(&parts(&findings()), Style::PLAIN), expected[1..]);
        let good = terminal::draw(&parts(&findings()[..1]), Style::PLAIN);
        assert!(good.ends_with("all is as it should be\n"), "{good}");
    }

    #[test]
    fn a_narrow_terminal_wraps_the_findings() {
        let style = Style { color: false, width: 40 };
        let text = terminal::draw(&parts(&findings()), style);
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    }
}
