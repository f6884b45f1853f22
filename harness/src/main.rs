//! The `quadrant` command.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use quadrant::commands::CommandLine;

fn main() -> ExitCode {
    match CommandLine::parse().carry_out() {
        Ok(code) => code,
        Err(failure) => {
            // Where nobody can be told, the exit code still says it.
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
