//! `quadrant doctor`: what on this machine would spoil a measurement or keep a backend from
//! running, and what to do about it.
//!
//! Never changes the machine. Each finding is a small judgement over facts that `machine` reads,
//! so that the judgement can be tried with any facts.

mod cpus;
mod finding;
mod permissions;
mod quiet;
mod show;
mod speed;
mod supplies;

use clap::Args;

use crate::commands::failure::Failure;
use crate::commands::list::ListFormat;
use crate::terminal::color::Color;
use crate::terminal::standard_output;
pub use finding::{Finding, Level};

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Exit codes: 0 something can be measured, whatever was found; 3 nothing can")]
pub struct DoctorOptions {
    #[arg(long, value_enum, default_value_t)]
    pub format: ListFormat,
}

/// Looks, which takes some two seconds, tells, and answers with the exit code.
pub fn doctor(options: &DoctorOptions, color: Color) -> Result<u8, Failure> {
    // The machine first: what follows makes it busy.
    let findings: Vec<Finding> = [
        quiet::findings(),
        cpus::findings(),
        speed::findings(),
        permissions::findings(),
        supplies::findings(),
    ]
    .concat();
    let text = match options.format {
        ListFormat::Table => show::table(&findings, standard_output::style(color)),
        ListFormat::Json => {
            serde_json::to_string_pretty(&findings).map_err(anyhow::Error::new)? + "\n"
        }
    };
    standard_output::write(&text)?;
    Ok(exit_code(&findings))
}

fn exit_code(findings: &[Finding]) -> u8 {
    if findings.iter().any(|finding| finding.stops_everything) { 3 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stops_everything_is_a_failure() {
        let obstacle = Finding::obstacle("io_uring", "it is forbidden", "some", "allow it");
        assert_eq!(exit_code(&[Finding::ok("CPUs", "many"), obstacle.clone()]), 0);
        let all = Finding { stops_everything: true, ..obstacle };
        assert_eq!(exit_code(&[all]), 3);
        assert_eq!(exit_code(&[]), 0);
    }
}
