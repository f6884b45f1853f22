//! Which scenarios and cases a command is about.
//!
//! Never lets two scenarios share a name: their records could not be told apart.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::commands::arguments::{check_axis, unique};
use crate::commands::failure::Failure;
use crate::spec::{self, Scenario};
use crate::system::paths;
use crate::terminal::nearest::nearest;

/// These are run if no scenario is named.
const TOUR: &str = "tour";

#[derive(Debug, Clone, Default, Args, Serialize)]
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
        let mut scenarios = load_all(&self.files()?)?;
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

    /// The files of scenarios that the command line names, each once.
    pub fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        self.files_by(scenario_files)
    }

    /// The same, and the lists of known failures in folders that it names.
    pub fn files_and_lists(&self) -> Result<Vec<PathBuf>, Failure> {
        self.files_by(yaml_files)
    }

    fn files_by(&self, of_folder: OfFolder) -> Result<Vec<PathBuf>, Failure> {
        let tour = [TOUR.to_owned()];
        let specs = if self.specs.is_empty() { &tour[..] } else { &self.specs };
        let mut files = Vec::new();
        for spec in specs {
            for file in find(spec, of_folder)? {
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        Ok(files)
    }
}

/// The scenarios in these files, with all of their cases.
pub fn load_all(files: &[PathBuf]) -> Result<Vec<Selected>, Failure> {
    let mut scenarios: Vec<Selected> = Vec::new();
    for path in files {
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
    Ok(scenarios)
}

/// The files below a folder.
type OfFolder = fn(&Path) -> Result<Vec<PathBuf>, Failure>;

/// A file, the files below a folder, or either of them below `specs/`.
fn find(spec: &str, of_folder: OfFolder) -> Result<Vec<PathBuf>, Failure> {
    if spec.is_empty() {
        return Err(Failure::usage("a SPEC is empty; is a variable unset?"));
    }
    let given = PathBuf::from(spec);
    let below_specs = paths::specs().map_err(Failure::usage)?.map(|folder| folder.join(spec));
    let candidates = [Some(given), below_specs.clone(), below_specs.map(with_yaml)];
    let found = candidates.into_iter().flatten().find(|path| path.exists());
    let Some(path) = found else {
        return Err(Failure::usage(unknown_spec(spec)));
    };
    if path.is_file() {
        return Ok(vec![path]);
    }
    if !path.is_dir() {
        return Err(Failure::usage(format!("{} is not a regular file", path.display())));
    }
    let files = of_folder(&path)?;
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
pub fn scenario_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = yaml_files(folder)?;
    files.retain(|file| !spec::is_list_of_failures(file));
    Ok(files)
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
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
        .ok()
        .flatten()
        .and_then(|folder| {
            let files = scenario_files(&folder).ok()?;
            Some(files.iter().filter_map(|file| below(file, &folder)).collect())
        })
        .unwrap_or_default();
    match nearest(spec, names.iter().map(String::as_str)) {
        Some(name) => format!("there is no scenario `{spec}`; did you mean `{name}`?"),
        None => format!("there is no scenario `{spec}`; `quadrant list specs` shows all"),
    }
}

fn below(file: &Path, folder: &Path) -> Option<String> {
    Some(file.strip_prefix(folder).ok()?.with_extension("").to_string_lossy().into_owned())
}

fn shown_name(path: &Path, scenario: &Scenario) -> String {
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    paths::specs()
        .ok()
        .flatten()
        .and_then(|folder| below(&absolute, &folder.canonicalize().ok()?))
        .unwrap_or_else(|| scenario.name.clone())
}

/// Keeps the cases whose axis has one of the values; scenarios without that axis stay whole.
/// Returns the axis.
fn keep_cases<'f>(scenarios: &mut [Selected], filter: &'f str) -> Result<&'f str, Failure> {
    let Some((axis, values)) = filter.split_once('=') else {
        return Err(Failure::usage(format!("--axis {filter}: write it as NAME=VALUE,VALUE")));
    };
    let wanted: Vec<&str> = values.split(',').map(str::trim).collect();
    let axes = || scenarios.iter().flat_map(|selected| selected.scenario.axes());
    check_axis(axis, axes().map(|axis| axis.name.as_str()))?;
    let known = axes().filter(|it| it.name == axis).flat_map(|it| &it.values);
    let known = unique(known.map(String::as_str));
    if let Some(value) = wanted.iter().find(|value| !known.contains(value)) {
        let known = known.join(", ");
        return Err(Failure::usage(format!(
            "axis `{axis}` has no value `{value}`; it has {known}"
        )));
    }
    for Selected { scenario, cases, .. } in scenarios {
        cases.retain(|case| {
            let values = scenario.case_values(*case);
            let value = values.iter().find(|value| value.axis == axis);
            value.is_none_or(|value| wanted.contains(&&*value.value))
        });
    }
    Ok(axis)
}
