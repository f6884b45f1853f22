//! The `quadrant` command.

use std::process::ExitCode;

use clap::Parser;
use quadrant::commands::CommandLine;
use quadrant::terminal::standard_error;

fn main() -> ExitCode {
    match CommandLine::parse().carry_out() {
        Ok(code) => code,
        Err(failure) => {
            standard_error::write_line(&failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    }
}
