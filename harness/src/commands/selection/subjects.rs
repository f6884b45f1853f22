//! Which subjects a command is about, and where their adapters come from.
//!
//! Never leaves a broken adapter out: that it is broken is for the caller to report.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{StringValueParser, TypedValueParser};
use quadrant_reports::number::counted;
use serde::Serialize;

use super::scenarios::Selected;
use super::unmatched;
use crate::adapters::build::Profile;
use crate::adapters::builds::Build;
use crate::adapters::discovery::{self, Discovered, Purpose, Source};
use crate::adapters::filter::Filter;
use crate::adapters::options;
use crate::adapters::subject::Subject;
use crate::commands::arguments;
use crate::commands::failure::Failure;
use crate::spec::Scenario;
use crate::system::paths::{self, Kind};
use crate::terminal::progress::Progress;
use crate::trial::Limits;

#[derive(Debug, Clone, Default, Args, Serialize)]
pub struct SubjectOptions {
    /// Only these subjects: a glob over runtime/executor/backend. `tokio` selects all of tokio in its
    /// usual build; variants are asked for by `tokio/**`, by a backend, or as `tokio@poll`; other
    /// versions as `tokio@1.51.0`, `smol@async-executor=1.14.0` or `tokio@path:../tokio`.
    /// `tokio/multi-thread?event-interval=7` is the same subject with an option set (`quadrant list
    /// subjects` shows the options). Without it, those that a scenario names, else every runtime in
    /// its usual build
    #[arg(short, long = "runtime", value_name = "GLOB", value_parser = arguments::pattern)]
    pub runtime: Vec<String>,
    /// Not these subjects
    #[arg(short = 'x', long = "exclude", value_name = "GLOB", value_parser = arguments::pattern)]
    pub exclude: Vec<String>,
    #[command(flatten)]
    #[serde(flatten)]
    pub source: AdapterOptions,
}

/// Where the adapters come from.
#[derive(Debug, Clone, Default, Args, Serialize)]
pub struct AdapterOptions {
    /// Use the adapter libraries in this folder too, before the built ones; with --no-build these
    /// alone. Can be given several times
    // The folder becomes part of run.json, whose texts are UTF-8.
    #[arg(long, value_name = "DIR", value_parser = StringValueParser::new().map(PathBuf::from))]
    pub adapters: Vec<PathBuf>,
    /// Build none: use the adapters of --adapters, else those that were built last
    #[arg(long)]
    pub no_build: bool,
    /// Include the adapters that misbehave for the sake of tests
    #[arg(long, hide = true)]
    pub with_test_adapters: bool,
}

impl SubjectOptions {
    /// The selected subjects, broken ones included.
    pub fn find(
        &self,
        purpose: Purpose,
        limits: Limits,
        progress: &Progress,
    ) -> Result<Vec<Subject>, Failure> {
        let found = self.discover(&[self.filter(&[])?], purpose, limits, progress)?;
        self.warn_of_variants_left_out(&found.left_out, progress);
        Ok(found.subjects)
    }

    /// The same, and all variants too if no option selects subjects.
    pub fn find_all(&self, limits: Limits, progress: &Progress) -> Result<Vec<Subject>, Failure> {
        let all = ["**".to_owned()];
        let about = if self.runtime.is_empty() { &all[..] } else { &[] };
        let filter = self.filter(about)?;
        Ok(self.discover(&[filter], Purpose::Subjects, limits, progress)?.subjects)
    }

    /// Those that run any of these scenarios, and references.
    pub fn find_for(
        &self,
        scenarios: &[Selected],
        limits: Limits,
        progress: &Progress,
    ) -> Result<Discovered, Failure> {
        let filters = scenarios.iter().map(|selected| self.filter_for(&selected.scenario));
        let filters = filters.collect::<Result<Vec<_>, _>>()?;
        let found = self.discover(&filters, Purpose::Run, limits, progress)?;
        if scenarios.iter().any(|selected| selected.scenario.subjects().is_empty()) {
            self.warn_of_variants_left_out(&found.left_out, progress);
        }
        Ok(found)
    }

    /// Those of which these scenarios demand behaviours, built with the kit.
    pub fn find_demanded(
        &self,
        scenarios: &[Selected],
        limits: Limits,
        progress: &Progress,
    ) -> Result<Vec<Subject>, Failure> {
        let demanding = scenarios.iter().filter(|it| !it.scenario.behaviours().is_empty());
        let filters = demanding.map(|selected| self.filter_for(&selected.scenario));
        let filters = filters.collect::<Result<Vec<_>, _>>()?;
        if filters.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.source.discover(&filters, Purpose::Checks, limits, progress)?.subjects)
    }

    /// Those that a scenario names, and of them those that the options select.
    pub fn filter_for(&self, scenario: &Scenario) -> Result<Filter, Failure> {
        self.filter(scenario.subjects())
    }

    /// Whether no option selects or excludes subjects.
    pub fn means_all(&self) -> bool {
        self.runtime.is_empty() && self.exclude.is_empty()
    }

    fn filter(&self, about: &[String]) -> Result<Filter, Failure> {
        let filter = Filter::new(&self.runtime, &self.exclude);
        let filter = filter.and_then(|filter| filter.narrowed_to(about));
        filter.map_err(|error| Failure::usage(format!("{error:#}")))
    }

    /// Warns about patterns that match no subject: a typo among patterns that match some would
    /// otherwise go unnoticed.
    fn discover(
        &self,
        filters: &[Filter],
        purpose: Purpose,
        limits: Limits,
        progress: &Progress,
    ) -> Result<Discovered, Failure> {
        let found = self.source.discover(filters, purpose, limits, progress)?;
        let selected = self.runtime.iter().map(|pattern| ("-r", pattern));
        let excluded = self.exclude.iter().map(|pattern| ("-x", pattern));
        for (option, pattern) in selected.chain(excluded) {
            if !found.subjects.is_empty() && !unmatched::is_known(pattern, &found) {
                progress.warn(format!(
                    "`{option} {pattern}` matches no subject; `quadrant list subjects` shows all"
                ));
            }
        }
        Ok(found)
    }

    fn warn_of_variants_left_out(&self, left_out: &[Build], progress: &Progress) {
        let variants = left_out.iter().filter(|build| build.variant.is_some());
        let variants: Vec<String> = variants.map(ToString::to_string).collect();
        if self.means_all() && !variants.is_empty() {
            progress.warn(format!(
                "{} left out ({}): name them to run them, as in -r '**/poll', or -r '**' for all",
                counted(variants.len() as u64, "variant"),
                variants.join(", ")
            ));
        }
    }
}

impl AdapterOptions {
    /// The subjects that one of the filters selects, broken ones included.
    pub fn subjects(
        &self,
        filters: &[Filter],
        limits: Limits,
        progress: &Progress,
    ) -> Result<Discovered, Failure> {
        self.discover(filters, Purpose::Subjects, limits, progress)
    }

    /// References that no filter selects are among those passed over.
    fn discover(
        &self,
        filters: &[Filter],
        purpose: Purpose,
        limits: Limits,
        progress: &Progress,
    ) -> Result<Discovered, Failure> {
        let sources = self.sources(purpose)?;
        let program = paths::own_program()?;
        let mut found = discovery::discover(&sources, filters, &program, limits, progress)?;
        let with_options = options::asked_for(&found.subjects, filters)
            .map_err(|error| Failure::usage(error.to_string()))?;
        found.subjects.extend(with_options);
        found.subjects.sort_by(|a, b| a.id.cmp(&b.id));
        let wanted = |subject: &Subject| filters.iter().any(|filter| filter.selects(subject));
        (found.subjects, found.passed_over) = found.subjects.into_iter().partition(wanted);
        Ok(found)
    }

    /// How the adapters are optimised; unknown for libraries that were built elsewhere.
    pub fn profile(&self) -> Option<Profile> {
        let sources = self.sources(Purpose::Subjects).ok()?;
        let built_here = |source: &Source| matches!(source, Source::Workspace { .. });
        sources.iter().all(built_here).then(Profile::of_adapters)
    }

    /// The folders of the command line, and beside them the adapters of the home.
    fn sources(&self, purpose: Purpose) -> Result<Vec<Source>, Failure> {
        let mut sources: Vec<Source> = self.adapters.iter().cloned().map(Source::Folder).collect();
        if !sources.is_empty() && self.no_build {
            return Ok(sources);
        }
        sources.extend(paths::home().map_err(Failure::usage)?.map(|home| match home.kind {
            Kind::Installed => Source::Folder(home.folder.join("adapters")),
            Kind::Workspace => Source::Workspace {
                folder: home.folder,
                build: !self.no_build,
                with_test_adapters: self.with_test_adapters,
                purpose,
            },
        }));
        if sources.is_empty() {
            return Err(Failure::usage(
                "there are no adapters here: run this inside the Quadrant workspace, or name a \
                 folder of built adapters with --adapters",
            ));
        }
        Ok(sources)
    }
}
