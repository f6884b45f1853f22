//! The workspace in which an adapter is built with one crate in another version: a manifest and a lock
//! file of its own, which begin as copies. The adapter's code is compiled where it is.
//!
//! Never changes a file of the adapter or of its workspace.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::builds::Recipe;
use super::version::{Source, Version, absolute};
use lock::Lock;

mod lock;

const DEPENDENCIES: [&str; 2] = ["dependencies", "build-dependencies"];
/// What the workspace was made from; written when its lock file is complete.
const ORIGIN: &str = "origin";

/// The files of such a workspace.
pub(super) struct VersionWorkspace<'a> {
    folder: PathBuf,
    adapter: &'a str,
    package: &'a str,
    version: &'a Version,
    manifest: String,
    adapter_manifest: String,
    /// The lock file that its own begins as; empty where there is none.
    lock: String,
    /// Whether the adapter depends on the crate itself.
    is_direct: bool,
}

/// Where the workspace of a version lies.
pub(super) fn folder(workspace: &Path, adapter: &str, version: &Version) -> PathBuf {
    workspace.join("target").join("versions").join(version.file_name(adapter))
}

/// What the library of a version is called, as a package. All libraries are in one folder.
pub(super) fn library_package(adapter: &str, version: &Version) -> String {
    format!("quadrant_{}", version.file_name(adapter))
}

impl<'a> VersionWorkspace<'a> {
    /// The files as they have to be, or what prevents them.
    pub(super) fn plan(
        workspace: &Path,
        adapter: &'a str,
        recipe: &'a Recipe,
        version: &'a Version,
    ) -> Result<Self, String> {
        let lock = fs::read_to_string(workspace.join("Cargo.lock")).unwrap_or_default();
        let replacement = Replacement::new(adapter, version)?;
        let mut root = read(&workspace.join("Cargo.toml"))?;
        root.retain(|key, _| ["workspace", "profile", "patch"].contains(&key));
        let members = table_in(&mut root, "workspace");
        members.retain(|key, _| !["default-members", "exclude"].contains(&key));
        members.insert("members".to_owned(), vec![format!("runtimes/{adapter}")].into());
        let mut replaced = replacement.put_into(members, workspace);
        for patches in tables_in(&mut root, "patch") {
            absolute_paths(patches, workspace);
        }
        if Lock::parse(&lock)?.is_from_registry(replacement.krate)
            && let Some(source) = replacement.patch()
        {
            table_in(table_in(&mut root, "patch"), "crates-io")
                .insert(replacement.krate.to_owned(), source.into());
        }

        let manifest = workspace.join(&recipe.manifest);
        let package_folder = manifest.parent().unwrap_or(workspace);
        let mut package = read(&manifest)?;
        package.retain(|key, _| {
            let kept = ["package", "lib", "features", "target", "lints"];
            kept.contains(&key) || DEPENDENCIES.contains(&key)
        });
        let library = table_in(&mut package, "lib");
        let code = library.get("path").and_then(Value::as_str).unwrap_or("src/lib.rs");
        library.insert("path".to_owned(), path_value(&package_folder.join(code)));
        let name = library_package(adapter, version);
        library.insert("name".to_owned(), name.into());
        if package_folder.join("build.rs").exists() {
            let script = path_value(&package_folder.join("build.rs"));
            table_in(&mut package, "package").insert("build".to_owned(), script);
        }
        replaced += replacement.put_into(&mut package, package_folder);
        for target in tables_in(&mut package, "target") {
            replaced += replacement.put_into(target, package_folder);
        }
        Ok(Self {
            folder: folder(workspace, adapter, version),
            adapter,
            package: &recipe.package,
            version,
            manifest: root.to_string(),
            adapter_manifest: package.to_string(),
            lock,
            is_direct: replaced > 0,
        })
    }

    fn origin(&self) -> String {
        [&*self.manifest, &self.adapter_manifest, &self.lock].join("\n")
    }

    pub(super) fn is_made(&self) -> bool {
        fs::read_to_string(self.folder.join(ORIGIN)).is_ok_and(|made| made == self.origin())
    }

    /// Writes the files. `cargo` is called with the arguments of a command that completes the lock
    /// file, and returns cargo's first error.
    pub(super) fn make(
        &self,
        cargo: impl Fn(&[String]) -> Result<(), String>,
    ) -> Result<(), String> {
        let asked = format!("{} {}", self.krate(), self.version.source);
        let package = self.folder.join("runtimes").join(self.adapter);
        let write = |path: PathBuf, text: &str| {
            fs::write(&path, text)
                .map_err(|error| format!("{} cannot be written: {error}", path.display()))
        };
        let _ = fs::remove_file(self.folder.join(ORIGIN));
        fs::create_dir_all(&package)
            .map_err(|error| format!("{} cannot be made: {error}", package.display()))?;
        write(self.folder.join("Cargo.toml"), &self.manifest)?;
        write(package.join("Cargo.toml"), &self.adapter_manifest)?;

        let lock = Lock::parse(&self.lock)?;
        let update = self.update(&lock)?;
        let mut first = None;
        // Crates that depend on it stay as they are locked, unless they refuse this version. What was
        // fetched before is enough where the registry cannot be reached, and usually for a folder.
        let mut options = [None, Some("--offline")];
        if let Source::Path { .. } = self.version.source {
            options.reverse();
        }
        let attempts = options.iter().flat_map(|option| [(false, *option), (true, *option)]);
        for (struck, option) in attempts {
            let text =
                if struck { lock.without_dependents(self.krate()) } else { self.lock.clone() };
            write(self.folder.join("Cargo.lock"), &text)?;
            let arguments: Vec<String> =
                update.iter().map(String::as_str).chain(option).map(str::to_owned).collect();
            match cargo(&arguments).and_then(|()| self.check_use()) {
                Ok(()) => return write(self.folder.join(ORIGIN), &self.origin()),
                Err(error) => first = first.or(Some(error)),
            }
        }
        let error = first.unwrap_or_default();
        Err(match &self.version.source {
            Source::Registry { .. } => format!(
                "no lock file can be made with {asked}: there is no such version, a crate that \
                 depends on it refuses it, or it cannot be fetched here; cargo: {error}"
            ),
            _ => format!("no lock file can be made with {asked}: {error}"),
        })
    }

    fn krate(&self) -> &str {
        self.version.krate(self.adapter)
    }

    /// The command that puts the version into the lock file.
    fn update(&self, lock: &Lock) -> Result<Vec<String>, String> {
        let krate = self.krate();
        let found = lock.dependency(self.package, krate)?;
        let mut words = vec!["update".to_owned()];
        match found {
            Some(locked) => words.push(format!("{krate}@{locked}")),
            None if self.is_direct => {
                words.push("--workspace".to_owned());
                return Ok(words);
            }
            None => {
                return Err(format!(
                    "the adapter `{}` does not depend on a crate `{krate}`, so there is no version \
                     of it to choose: name another as {}@CRATE=VERSION",
                    self.adapter, self.adapter
                ));
            }
        }
        if let Source::Registry { version } = &self.version.source {
            words.extend(["--precise".to_owned(), version.clone()]);
        }
        Ok(words)
    }

    /// A patch whose version no crate accepts is left out by cargo with a warning only. The version in
    /// a folder may change at any time.
    pub(super) fn check_use(&self) -> Result<(), String> {
        let text = fs::read_to_string(self.folder.join("Cargo.lock")).unwrap_or_default();
        let lock = Lock::parse(&text)?;
        if lock.has(self.krate(), &self.version.source) {
            return Ok(());
        }
        Err(format!("the crates that depend on `{}` do not accept its version", self.krate()))
    }
}

/// Replaces a crate.
struct Replacement<'a> {
    krate: &'a str,
    source: Table,
    /// Whether it is not from the registry.
    is_elsewhere: bool,
}

impl<'a> Replacement<'a> {
    fn new(adapter: &'a str, version: &'a Version) -> Result<Self, String> {
        let krate = version.krate(adapter);
        let text = |text: &str| Value::from(text.to_owned());
        let source: Vec<(&str, Value)> = match &version.source {
            Source::Registry { version } => vec![("version", text(&format!("={version}")))],
            Source::Path { folder } => vec![("path", path_value(&crate_folder(folder, krate)?))],
            Source::Git { url, revision } => vec![("git", text(url)), ("rev", text(revision))],
        };
        let source = source.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(Self { krate, source, is_elsewhere: version.is_elsewhere() })
    }

    fn patch(&self) -> Option<Table> {
        self.is_elsewhere.then(|| self.source.clone())
    }

    /// Into the dependencies of a manifest in this folder, whose other paths become absolute. Returns
    /// how many it replaced.
    fn put_into(&self, manifest: &mut Table, folder: &Path) -> usize {
        let mut replaced = 0;
        for kind in DEPENDENCIES {
            let Some(dependencies) = manifest.get_mut(kind).and_then(Value::as_table_mut) else {
                continue;
            };
            absolute_paths(dependencies, folder);
            for (key, dependency) in dependencies.iter_mut() {
                let package = dependency.get("package").and_then(Value::as_str).unwrap_or(key);
                // An inherited one is replaced where it is inherited from.
                if package != self.krate || dependency.get("workspace").is_some() {
                    continue;
                }
                let mut table = dependency.as_table().cloned().unwrap_or_default();
                let origin = ["version", "path", "git", "branch", "tag", "rev", "registry"];
                table.retain(|key, _| !origin.contains(&key));
                table.extend(self.source.clone());
                *dependency = table.into();
                replaced += 1;
            }
        }
        replaced
    }
}

/// The folder of the crate: this one, or the one below it that is called as the crate, as in a
/// repository of several.
fn crate_folder(folder: &str, krate: &str) -> Result<PathBuf, String> {
    let folder = absolute(folder);
    let is_it = |folder: &PathBuf| {
        let manifest = read(&folder.join("Cargo.toml")).ok();
        let package = manifest.and_then(|manifest| manifest.get("package").cloned());
        package.is_some_and(|it| it.get("name").and_then(Value::as_str) == Some(krate))
    };
    let candidates = [folder.clone(), folder.join(krate)];
    candidates.into_iter().find(is_it).ok_or_else(|| {
        format!(
            "there is no crate `{krate}` in {}: no Cargo.toml in it, or in {krate} below it, has \
             this name",
            folder.display()
        )
    })
}

fn read(path: &Path) -> Result<Table, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    text.parse()
        .map_err(|error: toml::de::Error| format!("{}: {}", path.display(), error.message()))
}

/// An empty one where there is none.
fn table_in<'t>(table: &'t mut Table, key: &str) -> &'t mut Table {
    let value = table.entry(key).or_insert_with(|| Table::new().into());
    if !value.is_table() {
        *value = Table::new().into();
    }
    value.as_table_mut().expect("it was made a table just now")
}

fn tables_in<'t>(table: &'t mut Table, key: &str) -> impl Iterator<Item = &'t mut Table> {
    let tables = table.get_mut(key).and_then(Value::as_table_mut);
    tables.into_iter().flat_map(|all| all.iter_mut()).filter_map(|(_, it)| it.as_table_mut())
}

fn absolute_paths(dependencies: &mut Table, folder: &Path) {
    for (_, dependency) in dependencies.iter_mut() {
        if let Some(path) = dependency.get("path").and_then(Value::as_str) {
            let path = path_value(&folder.join(path));
            dependency.as_table_mut().expect("it has a key").insert("path".to_owned(), path);
        }
    }
}

fn path_value(path: &Path) -> Value {
    path.to_string_lossy().into_owned().into()
}
