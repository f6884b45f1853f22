//! The `quadrant` command.

use std::process::ExitCode;

use clap::Parser;
use quadrant::command_line::CommandLine;

fn main() -> ExitCode {
    match CommandLine::parse().carry_out() {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
