//! Whether a library is up to date, without asking cargo, which would take longer than the rest of
//! a start.
//!
//! Never takes a stale library for a good one: where anything is in doubt, cargo is asked. A change
//! that leaves a file's time as it was is not noticed, neither here nor by cargo.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use tempfile::NamedTempFile;

/// A build under way. Unless it is finished, it leaves nothing.
pub(super) struct BuildBegun(NamedTempFile);

impl BuildBegun {
    /// To be called before cargo starts: a source that is newer than this file may be missing from
    /// the library.
    pub(super) fn now(stamp: &Path) -> io::Result<Self> {
        let folder = stamp.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        NamedTempFile::new_in(folder).map(Self)
    }

    /// To be called after the build has succeeded: writes the stamp, which keeps the time of the
    /// build's beginning.
    pub(super) fn finish(self, stamp: &Path, library: &Path, asked: &str) -> io::Result<()> {
        let mut file = self.0;
        let begun = file.as_file().metadata()?.modified()?;
        file.write_all(contents(library, asked)?.as_bytes())?;
        file.as_file().set_modified(begun)?;
        file.persist(stamp)?;
        Ok(())
    }
}

/// Whether cargo, asked the same once more, would leave the library as it is.
pub(super) fn is_up_to_date(stamp: &Path, library: &Path, asked: &str, workspace: &Path) -> bool {
    let is_same = || -> io::Result<bool> {
        let begun = fs::metadata(stamp)?;
        if fs::read_to_string(stamp)? != contents(library, asked)? {
            return Ok(false);
        }
        for input in inputs(library, workspace)? {
            if is_newer(&input, &begun)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    is_same().unwrap_or(false)
}

/// What a stamp holds: how the build was asked for, and which file came of it.
fn contents(library: &Path, asked: &str) -> io::Result<String> {
    let metadata = fs::metadata(library)?;
    Ok(format!("{asked}\n{:?} {} bytes", metadata.modified()?, metadata.len()))
}

/// The folders of the packages that a library was built from, dependencies from registries left
/// out, and the workspace's own files.
fn inputs(library: &Path, workspace: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut inputs = BTreeSet::from([workspace.join("Cargo.toml"), workspace.join("Cargo.lock")]);
    // Cargo lists the sources as make does: `library: a.rs b\ c.rs`.
    let rule = fs::read_to_string(library.with_extension("d"))?.replace("\\ ", "\0");
    let (_, sources) = rule.trim_end().split_once(": ").ok_or(io::ErrorKind::InvalidData)?;
    for source in sources.split(' ') {
        let source = PathBuf::from(source.replace('\0', " "));
        // A file that a source includes from outside of its package is an input by itself.
        let is_outside = source.components().any(|part| part == Component::ParentDir);
        let package = source.ancestors().skip(1).find(|it| it.join("Cargo.toml").exists());
        inputs.insert(match package {
            Some(package) if !is_outside => package.to_owned(),
            _ => source,
        });
    }
    Ok(inputs)
}

/// Whether a file, a folder or anything below it was changed since then. A folder changes when
/// something in it is added, removed or renamed.
fn is_newer(path: &Path, since: &Metadata) -> io::Result<bool> {
    let metadata = fs::metadata(path)?;
    if metadata.modified()? >= since.modified()? {
        return Ok(true);
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            let name = entry?.file_name();
            let is_input = name != "target" && !name.as_encoded_bytes().starts_with(b".");
            if is_input && is_newer(&path.join(name), since)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A library of one source, in a folder of its own.
    struct Scene {
        folder: tempfile::TempDir,
    }

    impl Scene {
        fn new() -> Self {
            let scene = Self { folder: tempfile::tempdir().unwrap() };
            fs::create_dir_all(scene.path("x y/src")).unwrap();
            fs::create_dir_all(scene.path("release")).unwrap();
            let source = scene.path("x y/src/lib.rs").display().to_string().replace(' ', "\\ ");
            let included = scene.path("x y/../included").display().to_string().replace(' ', "\\ ");
            for (file, text) in [
                ("Cargo.toml", "[workspace]\n".to_owned()),
                ("Cargo.lock", String::new()),
                ("included", String::new()),
                ("x y/Cargo.toml", "[package]\nname = \"x\"\n".to_owned()),
                ("x y/src/lib.rs", "one".to_owned()),
                ("release/libx.so", "library".to_owned()),
                ("release/libx.d", format!("libx.so: {included} {source}\n")),
            ] {
                fs::write(scene.path(file), text).unwrap();
            }
            scene
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// Makes all inputs old.
        fn age(&self) {
            for name in [
                "Cargo.toml",
                "Cargo.lock",
                "included",
                "x y/Cargo.toml",
                "x y/src/lib.rs",
                "x y/src",
                "x y",
            ] {
                let file = fs::File::open(self.path(name)).unwrap();
                #[allow(clippy::disallowed_types)]
                let past = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
                file.set_modified(past).unwrap();
            }
        }

        fn build(&self, meanwhile: impl Fn()) {
            self.age();
            let stamp = self.path("release/x.stamp");
            let begun = BuildBegun::now(&stamp).unwrap();
            meanwhile();
            begun.finish(&stamp, &self.path("release/libx.so"), "build").unwrap();
        }

        fn is_up_to_date(&self, asked: &str) -> bool {
            let library = self.path("release/libx.so");
            is_up_to_date(&self.path("release/x.stamp"), &library, asked, self.folder.path())
        }
    }

    #[test]
    fn any_change_makes_a_library_stale() {
        let scene = Scene::new();
        assert!(!scene.is_up_to_date("build"));
        for file in [
            "Cargo.toml",
            "Cargo.lock",
            "included",
            "x y/Cargo.toml",
            "x y/src/lib.rs",
            "release/libx.so",
        ] {
            scene.build(|| {});
            assert!(scene.is_up_to_date("build"), "before {file}");
            let text = fs::read_to_string(scene.path(file)).unwrap();
            fs::write(scene.path(file), format!("{text}# more\n")).unwrap();
            assert!(!scene.is_up_to_date("build"), "{file}");
            fs::remove_file(scene.path(file)).unwrap();
            assert!(!scene.is_up_to_date("build"), "without {file}");
            fs::write(scene.path(file), text).unwrap();
        }
        for new in ["x y/build.rs", "x y/src/module.rs"] {
            scene.build(|| {});
            fs::write(scene.path(new), "").unwrap();
            assert!(!scene.is_up_to_date("build"), "{new}");
            fs::remove_file(scene.path(new)).unwrap();
            assert!(!scene.is_up_to_date("build"), "without {new}");
        }
        scene.build(|| {});
        assert!(!scene.is_up_to_date("build it otherwise"));
        assert!(scene.is_up_to_date("build"));
    }

    #[test]
    fn output_and_hidden_files_are_no_inputs() {
        let scene = Scene::new();
        fs::create_dir(scene.path("x y/target")).unwrap();
        fs::create_dir(scene.path("x y/.git")).unwrap();
        scene.build(|| {});
        fs::write(scene.path("x y/target/output"), "").unwrap();
        fs::write(scene.path("x y/.git/index"), "").unwrap();
        assert!(scene.is_up_to_date("build"));
    }

    #[test]
    fn only_a_finished_build_counts() {
        let scene = Scene::new();
        scene.build(|| fs::write(scene.path("x y/src/lib.rs"), "two").unwrap());
        assert!(!scene.is_up_to_date("build"), "changed while it was built");
        scene.age();
        fs::remove_file(scene.path("release/x.stamp")).unwrap();
        drop(BuildBegun::now(&scene.path("release/x.stamp")).unwrap());
        assert!(!scene.is_up_to_date("build"));
        let left: Vec<_> = fs::read_dir(scene.path("release")).unwrap().flatten().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
