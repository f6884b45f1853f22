//! The `quadrant` command.

use std::process::ExitCode;

use clap::Parser;
use quadrant::commands::CommandLine;
use quadrant::system::{child, interrupt};
use quadrant::terminal::standard_error;

fn main() -> ExitCode {
    child::keep_ends();
    let code = CommandLine::parse().carry_out().unwrap_or_else(|failure| {
        standard_error::write_line(&failure.to_string());
        failure.exit_code()
    });
    // Whatever the command has found out by then, or failed by.
    ExitCode::from(if interrupt::requested() { interrupt::EXIT_CODE } else { code })
}
