//! A stamp beside a library: by it one sees that cargo would have nothing to do, without asking
//! cargo, which takes longer for that than everything else of a start together.
//!
//! Where anything is in doubt there is no stamp, and cargo is asked: a stale library is never
//! taken for a good one. What cargo itself does not notice, such as a changed file in its
//! registry, is not noticed here either.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Of a build that came to its end.
#[derive(Debug, Serialize, Deserialize)]
struct Stamp {
    /// All that cargo was told, and by what it goes beside files.
    asked: String,
    /// Variables that sources and build scripts went by.
    variables: BTreeMap<String, Option<String>>,
    library: PathBuf,
    /// Everything that it was made of, and itself.
    files: BTreeMap<PathBuf, FileState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct FileState {
    /// Since 1970.
    modified: Duration,
    bytes: u64,
}

impl FileState {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        // Compared with others of its kind, and never with a clock.
        #[allow(clippy::disallowed_types)]
        let epoch = std::time::SystemTime::UNIX_EPOCH;
        let modified = metadata.modified().ok()?.duration_since(epoch).ok()?;
        Some(Self { modified, bytes: metadata.len() })
    }
}

/// The library that the stamp is of, if asking cargo the same once more would change nothing.
pub(super) fn up_to_date(stamp: &Path, asked: &str) -> Option<PathBuf> {
    let stamp: Stamp = serde_json::from_slice(&fs::read(stamp).ok()?).ok()?;
    let is_same = stamp.asked == asked
        && stamp.variables.iter().all(|(name, value)| *value == variable(name))
        && stamp.files.iter().all(|(path, state)| FileState::of(path) == Some(*state));
    is_same.then_some(stamp.library)
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// A build under way. Until it is finished there is no stamp.
pub(super) struct Unfinished {
    stamp: PathBuf,
    /// A file as old as the build: what is younger may not have gone into it.
    mark: PathBuf,
}

impl Unfinished {
    pub(super) fn begin(stamp: &Path) -> io::Result<Self> {
        let mark = stamp.with_extension(format!("{}.begun", std::process::id()));
        if let Some(folder) = stamp.parent() {
            fs::create_dir_all(folder)?;
        }
        match fs::remove_file(stamp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::write(&mark, "")?;
        Ok(Self { stamp: stamp.to_owned(), mark })
    }

    /// Stamps the library, unless something about it cannot be told for sure.
    pub(super) fn finish(self, library: &Path, asked: String, workspace: &Path) {
        let begun = FileState::of(&self.mark);
        let stamp = begun.and_then(|begun| {
            let files = made_of(library, workspace)?;
            let mut states = BTreeMap::new();
            for file in files {
                let state = FileState::of(&file)?;
                if state.modified >= begun.modified {
                    return None;
                }
                states.insert(file, state);
            }
            states.insert(library.to_owned(), FileState::of(library)?);
            let variables = names_of_variables(library)?;
            let variables =
                variables.into_iter().map(|name| (name.clone(), variable(&name))).collect();
            Some(Stamp { asked, variables, library: library.to_owned(), files: states })
        });
        // Without it the next start is slower, and nothing else.
        if let Some(text) = stamp.and_then(|stamp| serde_json::to_string_pretty(&stamp).ok()) {
            let _ = fs::write(&self.mark, text).and_then(|()| fs::rename(&self.mark, &self.stamp));
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.mark);
    }
}

/// The files that a library was made of: the sources that cargo names, with the manifests above
/// them, and what the workspace fixes for all. Nothing where a package has a build script: by
/// what that goes only cargo knows.
fn made_of(library: &Path, workspace: &Path) -> Option<BTreeSet<PathBuf>> {
    let sources = sources(&fs::read_to_string(library.with_extension("d")).ok()?)?;
    let mut files = BTreeSet::from([workspace.join("Cargo.toml"), workspace.join("Cargo.lock")]);
    for source in &sources {
        for folder in source.ancestors().skip(1) {
            let manifest = folder.join("Cargo.toml");
            if !files.contains(&manifest) && manifest.exists() {
                let table: Table = fs::read_to_string(&manifest).ok()?.parse().ok()?;
                let package = table.get("package").and_then(Value::as_table);
                let is_built_by_script = package.is_some_and(|package| {
                    package.contains_key("build") || folder.join("build.rs").exists()
                });
                if is_built_by_script {
                    return None;
                }
                files.insert(manifest);
            }
        }
    }
    files.extend(sources);
    Some(files)
}

/// The files after the colon of a rule `library: a.rs b.rs`. Nothing if one is not absolute:
/// nobody knows from where.
fn sources(rule: &str) -> Option<BTreeSet<PathBuf>> {
    let (_, list) = rule.lines().next()?.split_once(": ")?;
    let mut files = BTreeSet::new();
    let mut name = String::new();
    let mut letters = list.chars();
    loop {
        match letters.next() {
            Some('\\') => name.extend(letters.next()),
            Some(letter) if letter != ' ' => name.push(letter),
            end => {
                if !name.is_empty() {
                    files.insert(PathBuf::from(std::mem::take(&mut name)));
                }
                if end.is_none() {
                    break;
                }
            }
        }
    }
    (!files.is_empty() && files.iter().all(|file| file.is_absolute())).then_some(files)
}

/// The variables that sources have built in and build scripts want to be run again for, of all
/// builds in the library's folder. Those that cargo itself sets tell nothing new.
fn names_of_variables(library: &Path) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for script in entries(&library.with_file_name("build"))? {
        let Ok(output) = fs::read_to_string(script.join("output")) else { continue };
        names.extend(output.lines().filter_map(|line| {
            let (_, name) = line.split_once("rerun-if-env-changed=")?;
            line.starts_with("cargo:").then(|| name.trim().to_owned())
        }));
    }
    for rule in entries(&library.with_file_name("deps"))? {
        if rule.extension().is_some_and(|extension| extension == "d") {
            let text = fs::read_to_string(rule).ok()?;
            let variables = text.lines().filter_map(|line| line.strip_prefix("# env-dep:"));
            let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
            let names_set = variables.map(name);
            names.extend(names_set.filter(|it| !it.starts_with("CARGO_") && it != "OUT_DIR"));
        }
    }
    Some(names)
}

/// Nothing where they cannot be told; none where there is no such folder.
fn entries(folder: &Path) -> Option<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Vec::new()),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_cargo_says_a_library_is_made_of() {
        let read = |rule: &str| {
            let files = sources(rule)?;
            Some(files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(read("/t/libx.so: /w/a.rs /w/b.rs\n").unwrap(), ["/w/a.rs", "/w/b.rs"]);
        assert_eq!(read("/t/libx.so: /w/a\\ file.rs").unwrap(), ["/w/a file.rs"]);
        assert_eq!(read("/t/libx.so: /w/a.rs b.rs"), None);
        assert_eq!(read("/t/libx.so:\n"), None);
        assert_eq!(read(""), None);
    }

    /// A library of one source, in a folder of its own.
    struct Scene {
        folder: PathBuf,
    }

    impl Scene {
        fn new(name: &str) -> Self {
            let name = format!("quadrant-stamp-{name}-{}", std::process::id());
            let scene = Self { folder: std::env::temp_dir().join(name) };
            fs::create_dir_all(scene.path("x/src")).unwrap();
            fs::create_dir_all(scene.path("release/build/dependency-1")).unwrap();
            fs::create_dir_all(scene.path("release/deps")).unwrap();
            for (file, text) in [
                ("Cargo.toml", "[workspace]\n".to_owned()),
                ("Cargo.lock", String::new()),
                ("x/Cargo.toml", "[package]\nname = \"x\"\n".to_owned()),
                ("x/src/lib.rs", "one".to_owned()),
                ("release/libx.so", "library".to_owned()),
                ("release/libx.d", format!("libx.so: {}\n", scene.path("x/src/lib.rs").display())),
                ("release/build/dependency-1/output", "cargo::rerun-if-env-changed=X_Y".to_owned()),
                ("release/deps/x.d", "x.rs:\n# env-dep:CARGO_X=1\n# env-dep:Y_Z\n".to_owned()),
            ] {
                fs::write(scene.path(file), text).unwrap();
            }
            scene
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.join(name)
        }

        /// Long ago, in the eyes of whoever comes later.
        fn age(&self) {
            for name in ["Cargo.toml", "Cargo.lock", "x/Cargo.toml", "x/src/lib.rs"] {
                let file = fs::File::options().append(true).open(self.path(name)).unwrap();
                #[allow(clippy::disallowed_types)]
                let past = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
                file.set_modified(past).unwrap();
            }
        }

        fn stamp(&self, meanwhile: impl Fn()) {
            self.age();
            let unfinished = Unfinished::begin(&self.path("release/x.stamp")).unwrap();
            meanwhile();
            unfinished.finish(&self.path("release/libx.so"), "build".to_owned(), &self.folder);
        }

        fn is_up_to_date(&self) -> bool {
            let found = up_to_date(&self.path("release/x.stamp"), "build");
            assert!(found.is_none() || found == Some(self.path("release/libx.so")));
            found.is_some()
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    #[test]
    fn any_change_puts_an_end_to_it() {
        let scene = Scene::new("change");
        assert!(!scene.is_up_to_date());
        let files = ["Cargo.toml", "Cargo.lock", "x/Cargo.toml", "x/src/lib.rs", "release/libx.so"];
        for file in files {
            scene.stamp(|| {});
            assert!(scene.is_up_to_date(), "before {file}");
            let text = fs::read_to_string(scene.path(file)).unwrap();
            fs::write(scene.path(file), format!("{text}# more\n")).unwrap();
            assert!(!scene.is_up_to_date(), "{file}");
            fs::remove_file(scene.path(file)).unwrap();
            assert!(!scene.is_up_to_date(), "without {file}");
            fs::write(scene.path(file), text).unwrap();
        }
        scene.stamp(|| {});
        assert_eq!(up_to_date(&scene.path("release/x.stamp"), "build it otherwise"), None);
        assert!(scene.is_up_to_date());
        let text = fs::read_to_string(scene.path("release/x.stamp")).unwrap();
        assert!(!text.contains("CARGO_X"), "{text}");
        for unset in ["\"X_Y\": null", "\"Y_Z\": null"] {
            let otherwise = text.replace(unset, &unset.replace("null", "\"1\""));
            assert_ne!(otherwise, text);
            fs::write(scene.path("release/x.stamp"), otherwise).unwrap();
            assert!(!scene.is_up_to_date(), "{unset}");
        }
    }

    #[test]
    fn there_is_none_where_anything_is_in_doubt() {
        let scene = Scene::new("doubt");
        // Changed while it was built: what went into it?
        scene.stamp(|| fs::write(scene.path("x/src/lib.rs"), "two").unwrap());
        assert!(!scene.is_up_to_date());
        scene.stamp(|| fs::remove_file(scene.path("Cargo.lock")).unwrap());
        assert!(!scene.is_up_to_date());
        fs::write(scene.path("Cargo.lock"), "").unwrap();
        fs::write(scene.path("x/build.rs"), "").unwrap();
        scene.stamp(|| {});
        assert!(!scene.is_up_to_date());
        fs::remove_file(scene.path("x/build.rs")).unwrap();
        scene.stamp(|| {});
        assert!(scene.is_up_to_date());
        // A build that was given up leaves none behind, of before neither.
        drop(Unfinished::begin(&scene.path("release/x.stamp")).unwrap());
        assert!(!scene.is_up_to_date());
        let left: Vec<_> = fs::read_dir(scene.path("release")).unwrap().flatten().collect();
        assert_eq!(left.len(), 4, "{left:?}");
    }
}
