//! The `quadrant` command.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use quadrant::commands::CommandLine;

fn main() -> ExitCode {
    match CommandLine::parse().carry_out() {
        Ok(code) => code,
        Err(failure) => {
            // If standard error is closed, the exit code still reports it.
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
