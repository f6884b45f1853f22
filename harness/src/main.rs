//! The `quadrant` command.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use quadrant::commands::CommandLine;
use quadrant::system::{child, interrupt};

fn main() -> ExitCode {
    child::keep_ends();
    let code = CommandLine::parse().carry_out().unwrap_or_else(|failure| {
        // If standard error is closed, the exit code still reports it.
        let _ = writeln!(std::io::stderr(), "{failure}");
        failure.exit_code()
    });
    // Whatever the command has found out by then, or failed by.
    ExitCode::from(if interrupt::requested() { interrupt::EXIT_CODE } else { code })
}
