//! `quadrant drive`: the load of a scenario against any server that echoes requests.
//!
//! Never starts a server, and never measures anything but the load: what the server needs of its
//! machine is not known here.

mod table;

use std::net::{SocketAddr, ToSocketAddrs};

use clap::Args;
use quadrant_reports::format::Format;
use quadrant_reports::number;
use quadrant_reports::record::{AxisValue, GroupMetrics, LoadMetrics, Unended};
use quadrant_reports::terminal;
use quadrant_suite::outcome::Findings;
use serde::Serialize;

use crate::commands::arguments;
use crate::commands::failure::Failure;
use crate::commands::run::{
    CellOptions, Circumstances, PlannedCase, client_metrics, fresh_seed, load_checks, load_metrics,
    request_metrics, trial_error, unended_of,
};
use crate::commands::selection::ScenarioOptions;
use crate::driver::alone;
use crate::driver::order::{self, Load, Order};
use crate::system::{clock, cpus, interrupt, limits, paths};
use crate::terminal::color::Color;
use crate::terminal::progress::Progress;
use crate::terminal::standard_output;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
The server has to return every request as it came, byte by byte. Of the scenario only `load` and
`time` are used, case by case.

Exit codes: 0 all cases were measured, 2 the command line or a scenario is wrong, 3 a case has wrong
answers, errors or no result, 130 interrupted")]
pub struct DriveOptions {
    /// Where the server listens, such as 127.0.0.1:7000
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// Scenario files, folders of them, or names below specs/ such as `echo/connections`
    #[arg(value_name = "SPEC", required = true)]
    specs: Vec<String>,
    /// Only cases with these values, of scenarios that have this axis; others stay whole
    #[arg(long = "axis", value_name = "NAME=VALUE,…")]
    axis: Vec<String>,
    /// Allow an address that is not on this machine's loopback interface
    #[arg(long)]
    remote: bool,
    #[arg(long, default_value = "table", value_parser = arguments::format(arguments::TABLE_OR_JSON))]
    format: Format,
}

/// One case that was driven.
#[derive(Debug, Serialize)]
pub struct Driven {
    pub scenario: String,
    pub case: Vec<AxisValue>,
    pub address: SocketAddr,
    /// Why there are no figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(flatten)]
    pub figures: Option<Figures>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Figures {
    pub window_ns: u64,
    pub errors: u64,
    pub wrong_answers: u64,
    pub requests: GroupMetrics,
    /// Requests without an answer at the window's end.
    pub unended: Unended,
    pub load: LoadMetrics,
    /// Where the load is a list: of each group of clients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupMetrics>,
}

/// Drives every case and returns the exit code.
pub fn drive(options: &DriveOptions, color: Color) -> Result<u8, Failure> {
    limits::raise();
    let address = address(&options.address, options.remote)?;
    let specs = ScenarioOptions { specs: options.specs.clone(), axis: options.axis.clone() };
    let scenarios = specs.load()?;
    let executable = paths::own_program()?;
    let clock = clock::choose();
    clock.install();
    let circumstances = Circumstances { seed: fresh_seed(), clock, cpus: cpus::allowed() };
    let progress = Progress::new();
    let cells = CellOptions::default();
    let mut driven = Vec::new();
    for selected in &scenarios {
        for &index in &selected.cases {
            let case = PlannedCase::new(selected, index, &cells, &circumstances);
            let order = order(&case, address, &circumstances)?;
            progress.say(case.key());
            let load = alone::run(&executable, &order, case.warmup, case.measure);
            if interrupt::requested() {
                progress.end();
                return Ok(interrupt::EXIT_CODE);
            }
            let (scenario, values) = (case.scenario.to_owned(), case.case.values);
            driven.push(Driven::new(scenario, values, address, load));
        }
    }
    progress.end();
    let text = match options.format {
        Format::Json => serde_json::to_string_pretty(&driven).map_err(anyhow::Error::new)? + "\n",
        _ => terminal::draw(&table::parts(&driven), standard_output::style(color)),
    };
    standard_output::write(&text)?;
    Ok(if driven.iter().all(|case| case.reason.is_none()) { 0 } else { 3 })
}

fn address(text: &str, remote: bool) -> Result<SocketAddr, Failure> {
    let found = text.to_socket_addrs().map_err(|error| {
        Failure::usage(format!(
            "{text:?} is no address: {error}; write host and port, as in 127.0.0.1:7000"
        ))
    })?;
    let mut found = found.collect::<Vec<_>>();
    found.sort_by_key(|address| !address.is_ipv4());
    let address = found.first().copied();
    let address = address.ok_or_else(|| Failure::usage(format!("{text:?} has no address")))?;
    if !remote && !address.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "{address} is not on this machine's loopback interface, and a load can overwhelm a \
             server and the network on the way: add --remote if both are yours"
        )));
    }
    Ok(address)
}

/// The order for a case; only one with a load has any.
fn order(
    case: &PlannedCase,
    address: SocketAddr,
    circumstances: &Circumstances,
) -> Result<Order, Failure> {
    if case.load().is_empty() {
        return Err(Failure::usage(format!(
            "{} has no `load`, so there is nothing to drive a server with",
            case.key()
        )));
    }
    let Circumstances { seed, clock, .. } = *circumstances;
    let groups = order::within(case.load(), case.measure);
    Ok(Order { server: Some(address), seed, ..Order::new(address.port(), groups, clock) })
}

impl Driven {
    fn new(
        scenario: String,
        case: Vec<AxisValue>,
        address: SocketAddr,
        load: anyhow::Result<Load>,
    ) -> Self {
        let none =
            Self { scenario, case, address, reason: None, figures: None, warnings: Vec::new() };
        let mut load = match load {
            Ok(load) => load,
            Err(error) => return Self { reason: Some(in_words(&format!("{error:#}"))), ..none },
        };
        let reason = trial_error(&Findings::default(), Some(&load)).or_else(|| {
            let nothing = "no request was answered within the window";
            (load.requests == 0).then(|| nothing.to_owned())
        });
        let reason = reason.or_else(|| load_checks::why_unmeasured(&load));
        let warnings = if reason.is_none() { load_checks::warnings(&load) } else { Vec::new() };
        let elapsed_ns = load.window_ns.max(1);
        let figures = Figures {
            window_ns: load.window_ns,
            errors: load.errors,
            wrong_answers: load.wrong_answers,
            unended: unended_of(&load.unanswered),
            load: load_metrics(&load),
            groups: client_metrics(std::mem::take(&mut load.groups), elapsed_ns),
            requests: request_metrics(load, elapsed_ns),
        };
        Self {
            reason: reason.map(|reason| in_words(&reason)),
            figures: Some(figures),
            warnings,
            ..none
        }
    }

    /// `echo/connections connections=64`.
    fn key(&self) -> String {
        let values = self.case.iter().map(|value| format!(" {}={}", value.axis, value.value));
        self.scenario.clone() + &values.collect::<String>()
    }
}

/// The driver's other server is a subject.
fn in_words(text: &str) -> String {
    text.replace("the subject", "the server")
}

/// The share of the window in which the driver was busy.
fn busy(figures: &Figures) -> String {
    let share = figures.load.busy_ns as f64 / figures.window_ns.max(1) as f64;
    number::short_percent((share * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_need_the_option() {
        assert_eq!(address("127.0.0.1:7000", false).unwrap().port(), 7_000);
        assert!(address("[::1]:7000", false).unwrap().ip().is_loopback());
        let refused = address("192.0.2.1:7000", false).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("--remote"), "{refused}");
        assert!(address("192.0.2.1:7000", true).is_ok());
        assert!(address("127.0.0.1", true).is_err());
    }
}
