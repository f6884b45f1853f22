//! Which scenarios, cases and subjects a command is about: the options that all commands share.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::adapters::build::Profile;
use crate::adapters::discovery::{self, Discovered, Source};
use crate::adapters::filter::Filter;
use crate::adapters::found::Build;
use crate::adapters::subject::Subject;
use crate::commands::failure::Failure;
use crate::commands::unmatched;
use crate::spec::{self, Scenario};
use crate::system::paths;
use crate::terminal::progress::Progress;
use crate::trial::Limits;
use quadrant_reports::number::counted;

/// Without a spec, these are run.
const TOUR: &str = "tour";

#[derive(Debug, Clone, Default, Args)]
pub struct SubjectOptions {
    /// Only these subjects: a glob over runtime/executor/backend; `tokio` means `tokio/**`. Without
    /// it, those that a scenario asks for, else every runtime in its usual build
    #[arg(short, long = "runtime", value_name = "GLOB")]
    pub runtime: Vec<String>,
    /// Not these subjects
    #[arg(short = 'x', long = "exclude", value_name = "GLOB")]
    pub exclude: Vec<String>,
    #[command(flatten)]
    pub source: AdapterOptions,
}

/// Where the adapters come from.
#[derive(Debug, Clone, Default, Args)]
pub struct AdapterOptions {
    /// Use the adapter libraries in this folder and build none
    #[arg(long, value_name = "DIR")]
    pub adapters: Option<PathBuf>,
    /// Use the adapters as they were built last
    #[arg(long)]
    pub no_build: bool,
    /// Show the adapters that misbehave for the sake of tests, too
    #[arg(long, hide = true)]
    pub with_test_adapters: bool,
}

impl SubjectOptions {
    /// The selected subjects, broken ones included.
    pub fn find(&self, limits: Limits, progress: &Progress) -> Result<Vec<Subject>, Failure> {
        let found = self.source.subjects(&[self.filter(&[])?], limits, progress)?;
        self.tell_of_nobody(&found, progress);
        self.tell_variants_left_out(&found.left_out, progress);
        Ok(found.subjects)
    }

    /// The same, and all there are where nobody was chosen.
    pub fn find_all(&self, limits: Limits, progress: &Progress) -> Result<Vec<Subject>, Failure> {
        let filter = match self.runtime.is_empty() {
            true => self.filter(&["**".to_owned()])?,
            false => self.filter(&[])?,
        };
        let found = self.source.subjects(&[filter], limits, progress)?;
        self.tell_of_nobody(&found, progress);
        Ok(found.subjects)
    }

    /// Those that can be asked in any of these scenarios.
    pub fn find_for(
        &self,
        scenarios: &[Selected],
        limits: Limits,
        progress: &Progress,
    ) -> Result<Discovered, Failure> {
        let filters = scenarios.iter().map(|selected| self.filter_for(&selected.scenario));
        let filters = filters.collect::<Result<Vec<_>, _>>()?;
        let found = self.source.subjects_and_references(&filters, limits, progress)?;
        self.tell_of_nobody(&found, progress);
        if scenarios.iter().any(|selected| selected.scenario.subjects().is_empty()) {
            self.tell_variants_left_out(&found.left_out, progress);
        }
        Ok(found)
    }

    /// Whom a scenario is asked of: those it is about, and of them those that were chosen.
    pub fn filter_for(&self, scenario: &Scenario) -> Result<Filter, Failure> {
        self.filter(scenario.subjects())
    }

    fn filter(&self, about: &[String]) -> Result<Filter, Failure> {
        let filter = Filter::new(&self.runtime, &self.exclude);
        let filter = filter.and_then(|filter| filter.narrowed_to(about));
        filter.map_err(|error| Failure::usage(format!("{error:#}")))
    }

    /// A slip of the pen, which would otherwise go unnoticed beside patterns that mean somebody.
    fn tell_of_nobody(&self, found: &Discovered, progress: &Progress) {
        let chosen = self.runtime.iter().map(|pattern| ("-r", pattern));
        let excluded = self.exclude.iter().map(|pattern| ("-x", pattern));
        for (option, pattern) in chosen.chain(excluded) {
            if !found.subjects.is_empty() && !unmatched::is_known(pattern, found) {
                progress.warn(format!(
                    "`{option} {pattern}` means no subject; `quadrant list subjects` shows what \
                     there is"
                ));
            }
        }
    }

    /// Who has chosen knows what is left out.
    fn tell_variants_left_out(&self, left_out: &[Build], progress: &Progress) {
        let variants: Vec<String> = left_out
            .iter()
            .filter(|build| build.variant.is_some())
            .map(ToString::to_string)
            .collect();
        if self.means_all() && !variants.is_empty() {
            progress.warn(format!(
                "{} left out ({}): name them to run them, as in -r '**/poll', or -r '**' for all",
                counted(variants.len() as u64, "variant"),
                variants.join(", ")
            ));
        }
    }

    /// Whether nobody was chosen or left out.
    pub fn means_all(&self) -> bool {
        self.runtime.is_empty() && self.exclude.is_empty()
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
        self.discover(false, filters, limits, progress)
    }

    /// The same; references that no filter selects are among those passed over.
    pub fn subjects_and_references(
        &self,
        filters: &[Filter],
        limits: Limits,
        progress: &Progress,
    ) -> Result<Discovered, Failure> {
        self.discover(true, filters, limits, progress)
    }

    fn discover(
        &self,
        with_references: bool,
        filters: &[Filter],
        limits: Limits,
        progress: &Progress,
    ) -> Result<Discovered, Failure> {
        let executable = std::env::current_exe()?;
        let source = self.source(&executable, with_references)?;
        let program = paths::own_program()?;
        let mut found = discovery::discover(&source, filters, &program, limits, progress)?;
        let wanted = |subject: &Subject| filters.iter().any(|filter| filter.selects(subject));
        (found.subjects, found.passed_over) = found.subjects.into_iter().partition(wanted);
        Ok(found)
    }

    /// How the adapters are optimised. Of libraries that were built elsewhere it is not known.
    pub fn profile(&self) -> Option<Profile> {
        let source = self.source(&std::env::current_exe().ok()?, false).ok()?;
        matches!(source, Source::Workspace { .. }).then(Profile::of_adapters)
    }

    fn source(&self, executable: &Path, with_references: bool) -> Result<Source, Failure> {
        if let Some(folder) = &self.adapters {
            return Ok(Source::Folder(folder.clone()));
        }
        let beside = paths::adapters_beside(executable).map(Source::Folder);
        let workspace = paths::workspace().map(|folder| Source::Workspace {
            folder,
            build: !self.no_build,
            with_test_adapters: self.with_test_adapters,
            with_references,
        });
        beside.or(workspace).ok_or_else(|| {
            Failure::usage(
                "there are no adapters here: run this inside the Quadrant workspace, or name a \
                 folder of built adapters with --adapters",
            )
        })
    }
}

#[derive(Debug, Clone, Default, Args)]
pub struct ScenarioOptions {
    /// Scenario files, folders of them, or names below specs/ such as `echo/connections`
    #[arg(value_name = "SPEC")]
    pub specs: Vec<String>,
    /// Only cases with these values, of scenarios that have this axis; others stay whole
    #[arg(long = "axis", value_name = "NAME=VALUE,…")]
    pub axis: Vec<String>,
}

/// A scenario and the numbers of its selected cases.
pub struct Selected {
    /// Its path below `specs/`, or its own name.
    pub name: String,
    pub scenario: Scenario,
    pub cases: Vec<usize>,
}

impl ScenarioOptions {
    pub fn load(&self) -> Result<Vec<Selected>, Failure> {
        let mut scenarios: Vec<Selected> = Vec::new();
        let files = self.files()?;
        for path in &files {
            let scenario = spec::load(path).map_err(|error| Failure::usage(error.to_string()))?;
            let name = shown_name(path, &scenario);
            if let Some(other) = scenarios.iter().position(|other| other.name == name) {
                return Err(Failure::usage(format!(
                    "{} and {} are both called `{name}`, and their records could not be told \
                     apart: give one of them another `name`",
                    files[other].display(),
                    path.display()
                )));
            }
            let cases = (0..scenario.case_count()).collect();
            scenarios.push(Selected { name, scenario, cases });
        }
        for (index, filter) in self.axis.iter().enumerate() {
            let axis = keep_cases(&mut scenarios, filter)?;
            let again = |other: &String| other.split('=').next() == Some(axis);
            if self.axis[..index].iter().any(again) {
                return Err(Failure::usage(format!(
                    "--axis {axis} is given twice: write all of its values in one, as in \
                     {axis}=VALUE,VALUE"
                )));
            }
        }
        Ok(scenarios)
    }

    /// The files that the command line means, each once.
    pub fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        let tour = [TOUR.to_owned()];
        let specs = if self.specs.is_empty() { &tour[..] } else { &self.specs };
        let mut files = Vec::new();
        for spec in specs {
            for file in find(spec)? {
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        Ok(files)
    }
}

/// A file, the files below a folder, or either of them below `specs/`.
fn find(spec: &str) -> Result<Vec<PathBuf>, Failure> {
    if spec.is_empty() {
        return Err(Failure::usage("a SPEC is empty; is a variable unset?"));
    }
    let given = PathBuf::from(spec);
    let below_specs = paths::specs().map(|folder| folder.join(spec));
    let candidates = [Some(given), below_specs.clone(), below_specs.map(with_yaml)];
    let found = candidates.into_iter().flatten().find(|path| path.exists());
    let Some(path) = found else {
        return Err(Failure::usage(unknown_spec(spec)));
    };
    if path.is_file() {
        return Ok(vec![path]);
    }
    if !path.is_dir() {
        return Err(Failure::usage(format!("{} is no regular file", path.display())));
    }
    let files = yaml_files(&path)?;
    if files.is_empty() {
        return Err(Failure::usage(format!("there is no scenario (*.yaml) in {}", path.display())));
    }
    Ok(files)
}

fn with_yaml(mut path: PathBuf) -> PathBuf {
    path.as_mut_os_string().push(".yaml");
    path
}

/// All scenarios below a folder, in a fixed order.
pub fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable =
        |error| Failure::usage(format!("{} cannot be read: {error}", folder.display()));
    let mut entries = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
        .map_err(unreadable)?;
    entries.sort();
    let mut files = Vec::new();
    for path in entries {
        // A link to a folder may lead back to where it is.
        if path.is_dir() && !path.is_symlink() {
            files.extend(yaml_files(&path)?);
        } else if path.is_file()
            && path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml")
        {
            files.push(path);
        }
    }
    Ok(files)
}

fn unknown_spec(spec: &str) -> String {
    let names: Vec<String> = paths::specs()
        .and_then(|folder| {
            let files = yaml_files(&folder).ok()?;
            Some(files.iter().filter_map(|file| below(file, &folder)).collect())
        })
        .unwrap_or_default();
    let nearest = nearest(spec, names.iter().map(String::as_str));
    match nearest {
        Some(name) => format!("there is no scenario `{spec}`; did you mean `{name}`?"),
        None => format!("there is no scenario `{spec}`; `quadrant list specs` shows what there is"),
    }
}

fn below(file: &Path, folder: &Path) -> Option<String> {
    Some(file.strip_prefix(folder).ok()?.with_extension("").to_string_lossy().into_owned())
}

fn shown_name(path: &Path, scenario: &Scenario) -> String {
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    paths::specs()
        .and_then(|folder| below(&absolute, &folder.canonicalize().ok()?))
        .unwrap_or_else(|| scenario.name.clone())
}

/// Keeps the cases whose axis has one of the values; scenarios without that axis stay whole.
/// Says which axis it was about.
fn keep_cases<'f>(scenarios: &mut [Selected], filter: &'f str) -> Result<&'f str, Failure> {
    let Some((axis, values)) = filter.split_once('=') else {
        return Err(Failure::usage(format!("--axis {filter}: write it as NAME=VALUE,VALUE")));
    };
    let wanted: Vec<&str> = values.split(',').map(str::trim).collect();
    let mut known_axes = Vec::new();
    let mut known_values = Vec::new();
    for known in scenarios.iter().flat_map(|selected| selected.scenario.axes()) {
        add_new(&mut known_axes, std::slice::from_ref(&known.name));
        if known.name == axis {
            add_new(&mut known_values, &known.values);
        }
    }
    let has = |known: &[String], name: &str| known.iter().any(|known| known == name);
    if !has(&known_axes, axis) {
        return Err(Failure::usage(unknown("axis", axis, &known_axes)));
    }
    if let Some(value) = wanted.iter().find(|value| !has(&known_values, value)) {
        return Err(Failure::usage(unknown_value(axis, value, &known_values)));
    }
    for Selected { scenario, cases, .. } in scenarios {
        cases.retain(|case| {
            let values = scenario.case(*case).values;
            let value = values.iter().find(|value| value.axis == axis);
            value.is_none_or(|value| wanted.contains(&&*value.value))
        });
    }
    Ok(axis)
}

/// Keeps the order of their first appearance.
fn add_new(all: &mut Vec<String>, some: &[String]) {
    for one in some {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
}

fn unknown(what: &str, name: &str, known: &[String]) -> String {
    if known.is_empty() {
        return format!("there is no {what} `{name}`: these scenarios have none");
    }
    format!("there is no {what} `{name}`; there is {}", known.join(", "))
}

fn unknown_value(axis: &str, value: &str, known: &[String]) -> String {
    format!("axis `{axis}` has no value `{value}`; it has {}", known.join(", "))
}

/// The name that was probably meant.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| {
            // `connections` may well mean `echo/connections`.
            let last = candidate.rsplit('/').next().unwrap_or(candidate);
            let similarity =
                strsim::jaro_winkler(name, candidate).max(strsim::jaro_winkler(name, last));
            (similarity, candidate)
        })
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
