//! What an adapter's manifest declares: its usual build, and the variants of it.
//!
//! Never asks cargo, which may be missing where adapters that were built before are used, and which
//! takes longer than all adapters together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use toml::{Table, Value};

use super::builds::{Build, Declared, Recipe, Role};

/// What the names of adapter packages begin with.
const PACKAGE_PREFIX: &str = "quadrant-";

/// Of the whole manifest only this; the rest is cargo's.
#[derive(Deserialize)]
struct Manifest {
    package: Option<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    metadata: Table,
}

/// `[package.metadata.quadrant]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    #[serde(default)]
    role: Role,
    backends: Option<Vec<String>>,
    /// Each is parsed by itself, so that a mistake in one leaves the others alone.
    #[serde(default)]
    variants: BTreeMap<String, Value>,
}

/// `[package.metadata.quadrant.variants.BACKEND]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    #[serde(default)]
    cfg: Vec<String>,
    #[serde(default)]
    features: Vec<String>,
}

/// The builds of all packages below `runtimes/`, by name.
pub fn declared(workspace: &Path) -> anyhow::Result<Vec<Declared>> {
    let runtimes = workspace.join("runtimes");
    let entries = std::fs::read_dir(&runtimes)
        .with_context(|| format!("{} cannot be read", runtimes.display()))?;
    let mut builds: Vec<Declared> = entries
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let manifest = folder.join("Cargo.toml");
            let text = std::fs::read_to_string(&manifest).ok()?;
            let shown = manifest.strip_prefix(workspace).unwrap_or(&manifest).display().to_string();
            let name = folder.file_name()?.to_string_lossy().into_owned();
            Some(declared_by(&shown, &name, &text))
        })
        .flatten()
        .collect();
    builds.sort_by(|a, b| a.build.cmp(&b.build));
    Ok(builds)
}

/// The builds of the package with this manifest, and none where it is no package's. `shown` is
/// what messages call the file, `folder` what the adapter is called when not even its name can
/// be read.
fn declared_by(shown: &str, folder: &str, text: &str) -> Vec<Declared> {
    let usual = |adapter: &str, backends, recipe| Declared {
        build: Build::usual(adapter, backends),
        role: Role::default(),
        recipe,
    };
    let package = match toml::from_str::<Manifest>(text) {
        Ok(Manifest { package: Some(package) }) => package,
        Ok(Manifest { package: None }) => return Vec::new(),
        Err(error) => return vec![usual(folder, None, Err(parse_error(shown, "", &error)))],
    };
    let adapter = package.name.strip_prefix(PACKAGE_PREFIX).unwrap_or(&package.name);
    let metadata = match metadata(shown, package.metadata) {
        Ok(metadata) => metadata,
        Err(reason) => return vec![usual(adapter, None, Err(reason))],
    };
    let recipe = Recipe {
        package: package.name.clone(),
        manifest: PathBuf::from(shown),
        cfg: Vec::new(),
        features: Vec::new(),
    };
    let mut builds = vec![usual(adapter, metadata.backends.clone(), Ok(recipe))];
    builds.extend(metadata.variants.into_iter().map(|(backend, value)| {
        let recipe = variant(shown, &backend, value).and_then(|variant| {
            if metadata.backends.iter().flatten().any(|usual| *usual == backend) {
                return Err(format!(
                    "{shown}: its usual build runs on {backend} already; a variant is for another \
                     backend"
                ));
            }
            Ok(Recipe {
                package: package.name.clone(),
                manifest: PathBuf::from(shown),
                cfg: variant.cfg,
                features: variant.features,
            })
        });
        Declared { build: Build::variant(adapter, &backend), role: Role::default(), recipe }
    }));
    for build in &mut builds {
        build.role = metadata.role;
    }
    builds
}

fn metadata(shown: &str, mut metadata: Table) -> Result<Metadata, String> {
    const TABLE: &str = "package.metadata.quadrant";
    let Some(ours) = metadata.remove("quadrant") else { return Ok(Metadata::default()) };
    let metadata: Metadata =
        ours.try_into().map_err(|error| parse_error(shown, &format!(" [{TABLE}]"), &error))?;
    match metadata.backends.iter().flatten().find(|backend| !is_backend(backend)) {
        Some(wrong) => Err(format!("{shown}: [{TABLE}]: {}", no_backend(wrong))),
        None => Ok(metadata),
    }
}

fn variant(shown: &str, backend: &str, value: Value) -> Result<Variant, String> {
    let table = format!("[package.metadata.quadrant.variants.{backend}]");
    if !is_backend(backend) {
        return Err(format!("{shown}: {table}: {}", no_backend(backend)));
    }
    let variant: Variant =
        value.try_into().map_err(|error| parse_error(shown, &format!(" {table}"), &error))?;
    let flags = variant.cfg.iter().chain(&variant.features);
    if flags.clone().next().is_none() {
        return Err(format!(
            "{shown}: {table}: a variant needs a flag to differ by: `cfg`, `features` or both"
        ));
    }
    match flags.clone().find(|flag| !is_flag(flag)) {
        Some(wrong) => Err(format!(
            "{shown}: {table}: `{wrong}` is no flag: letters, digits, `_` and `-`, without a value"
        )),
        None => Ok(variant),
    }
}

/// The parser's message in one line, without its snippet.
fn parse_error(shown: &str, table: &str, error: &toml::de::Error) -> String {
    let words = error.message().lines().collect::<Vec<_>>().join(" ");
    format!("{shown}:{table} {}", words.trim())
}

fn no_backend(backend: &str) -> String {
    format!("`{backend}` is no name of a backend: small letters, digits, `_` and `+`")
}

/// It becomes a part of subjects' ids and of file names.
fn is_backend(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !text.is_empty() && text.bytes().all(|byte| allowed(byte) || b"_+".contains(&byte))
}

/// It becomes a part of cargo's command line and of folder names.
fn is_flag(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(metadata: &str) -> Vec<Declared> {
        let text = format!("[package]\nname = \"quadrant-x\" # a name\n{metadata}\n[lib]\n");
        declared_by("runtimes/x/Cargo.toml", "x", &text)
    }

    #[test]
    fn without_metadata_there_is_one_build_of_any_backend() {
        let builds = read("");
        let recipe = Recipe {
            package: "quadrant-x".to_owned(),
            manifest: PathBuf::from("runtimes/x/Cargo.toml"),
            cfg: Vec::new(),
            features: Vec::new(),
        };
        assert_eq!(
            builds,
            [Declared { build: Build::usual("x", None), role: Role::Runtime, recipe: Ok(recipe) }]
        );
        assert_eq!(declared_by("m", "y", "[workspace]\nmembers = []\n"), []);
        assert_eq!(declared_by("m", "y", "[package]\nname=\"y\"\n")[0].build.adapter, "y");
    }

    #[test]
    fn a_variant_is_a_build_of_its_own() {
        let builds = read(
            "[package.metadata.quadrant]\nrole = \"test\"\nbackends = [\"epoll\"]\n\
             [package.metadata.quadrant.variants.\"epoll+ring\"]\n\
             cfg = [\"unstable\"]\nfeatures = [\"io-uring\"]\n\
             [package.metadata.quadrant.variants.poll]\ncfg = [\"by_poll\"]\n",
        );
        let names: Vec<String> = builds.iter().map(|it| it.build.to_string()).collect();
        assert_eq!(names, ["x", "x@epoll+ring", "x@poll"]);
        assert!(builds.iter().all(|build| build.role == Role::Test));
        assert_eq!(builds[0].build.backends.as_deref().unwrap(), ["epoll"]);
        assert_eq!(builds[2].build.backends.as_deref().unwrap(), ["poll"]);
        let ring = builds[1].recipe.as_ref().unwrap();
        assert_eq!((&*ring.cfg[0], &*ring.features[0]), ("unstable", "io-uring"));
    }

    #[track_caller]
    fn check(metadata: &str, builds: &[(&str, Option<&str>)]) {
        let read = read(metadata);
        assert_eq!(read.len(), builds.len(), "{read:?}");
        for (declared, (name, complaint)) in read.iter().zip(builds) {
            assert_eq!(declared.build.to_string(), *name);
            match (complaint, &declared.recipe) {
                (None, Ok(_)) => {}
                (Some(words), Err(reason)) => {
                    assert!(reason.starts_with("runtimes/x/Cargo.toml: "), "{reason}");
                    assert!(!reason.contains('\n') && reason.contains(words), "{reason}");
                }
                _ => panic!("{name}: {:?}", declared.recipe),
            }
        }
    }

    #[test]
    fn a_mistake_breaks_only_its_own_build() {
        let table = "[package.metadata.quadrant]\n";
        check(&format!("{table}rolle = \"test\""), &[("x", Some("unknown field `rolle`"))]);
        check(&format!("{table}role = \"tests\""), &[("x", Some("unknown variant `tests`"))]);
        check(&format!("{table}backends = [\"E\"]"), &[("x", Some("`E` is no name of a backend"))]);
        let variant = "[package.metadata.quadrant.variants.poll]\n";
        for (text, words) in [
            ("cfgs = [\"a\"]", "unknown field `cfgs`, expected `cfg` or `features`"),
            ("cfg = \"a\"", "invalid type"),
            ("cfg = []", "a variant needs a flag to differ by"),
            ("cfg = [\"a b\"]", "`a b` is no flag"),
            ("features = [\"\"]", "`` is no flag"),
        ] {
            let sound = "[package.metadata.quadrant.variants.ring]\ncfg = [\"a\"]";
            check(
                &format!("{variant}{text}\n{sound}"),
                &[("x", None), ("x@poll", Some(words)), ("x@ring", None)],
            );
        }
        check(
            &format!("{table}backends = [\"poll\"]\n{variant}cfg = [\"a\"]"),
            &[("x", None), ("x@poll", Some("its usual build runs on poll already"))],
        );
        check(
            "[package.metadata.quadrant.variants.\"a/b\"]\ncfg = [\"a\"]",
            &[("x", None), ("x@a/b", Some("`a/b` is no name of a backend"))],
        );
    }

    #[test]
    fn invalid_toml_is_reported_under_its_folder() {
        let builds = declared_by("runtimes/x/Cargo.toml", "x", "[package\nname = \"y\"\n");
        assert_eq!(builds[0].build.to_string(), "x");
        assert!(builds[0].recipe.is_err(), "{builds:?}");
    }
}
