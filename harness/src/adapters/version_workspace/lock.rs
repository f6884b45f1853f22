//! A lock file of cargo's, as far as one crate in it is concerned.
//!
//! Never resolves anything.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::super::version::Source;

pub(super) struct Lock<'t> {
    text: &'t str,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Contents {
    #[serde(default, rename = "package")]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    /// `None` for a path.
    source: Option<String>,
    /// `NAME`, with the version where there are several.
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Package {
    fn depends_on(&self, other: &Package) -> bool {
        self.dependencies.iter().any(|dependency| {
            let mut words = dependency.split(' ');
            words.next() == Some(&other.name)
                && words.next().is_none_or(|version| version == other.version)
        })
    }
}

impl<'t> Lock<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, String> {
        let contents: Contents =
            toml::from_str(text).map_err(|error| format!("Cargo.lock: {}", error.message()))?;
        Ok(Self { text, packages: contents.packages })
    }

    pub(super) fn is_from_registry(&self, krate: &str) -> bool {
        self.packages.iter().any(|it| it.name == krate && it.source.is_some())
    }

    pub(super) fn has(&self, krate: &str, source: &Source) -> bool {
        self.packages.iter().filter(|it| it.name == krate).any(|it| match source {
            Source::Registry { version } => it.version == *version,
            Source::Path { .. } => it.source.is_none(),
            Source::Git { .. } => it.source.as_ref().is_some_and(|it| it.starts_with("git+")),
        })
    }

    /// The version of a crate that a package depends on, directly or not, if it is not a path.
    pub(super) fn dependency(&self, package: &str, krate: &str) -> Result<Option<&str>, String> {
        let mut reached: BTreeSet<usize> = BTreeSet::new();
        let mut next: Vec<usize> = self.positions(|it| it.name == package);
        while let Some(at) = next.pop() {
            if reached.insert(at) {
                next.extend(self.positions(|it| self.packages[at].depends_on(it)));
            }
        }
        let found: Vec<&str> = reached
            .iter()
            .map(|at| &self.packages[*at])
            .filter(|it| it.name == krate && it.source.is_some())
            .map(|it| &*it.version)
            .collect();
        match found[..] {
            [] => Ok(None),
            [version] => Ok(Some(version)),
            _ => Err(format!(
                "the adapter depends on several versions of `{krate}` ({}), so it is not clear \
                 which one to replace",
                found.join(", ")
            )),
        }
    }

    /// The lock file without the crates that depend on this one, directly or not, so that other
    /// versions of them may be chosen.
    pub(super) fn without_dependents(&self, krate: &str) -> String {
        let mut struck: BTreeSet<usize> =
            self.positions(|it| it.name == krate).into_iter().collect();
        loop {
            let more = self.positions(|it| {
                it.source.is_some() && struck.iter().any(|at| it.depends_on(&self.packages[*at]))
            });
            let before = struck.len();
            struck.extend(more);
            if struck.len() == before {
                break;
            }
        }
        const HEAD: &str = "[[package]]\n";
        let mut blocks = self.text.split(HEAD);
        let mut kept = blocks.next().unwrap_or_default().to_owned();
        for (at, block) in blocks.enumerate() {
            let is_kept =
                !struck.contains(&at) || self.packages.get(at).is_some_and(|it| it.name == krate);
            if is_kept {
                kept.push_str(HEAD);
                kept.push_str(block);
            }
        }
        kept
    }

    fn positions(&self, is_it: impl Fn(&Package) -> bool) -> Vec<usize> {
        (0..self.packages.len()).filter(|at| is_it(&self.packages[*at])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "\
version = 4

[[package]]
name = \"adapter\"
version = \"0.1.0\"
dependencies = [
 \"top\",
]

[[package]]
name = \"low\"
version = \"1.0.0\"
source = \"registry+r\"

[[package]]
name = \"low\"
version = \"2.0.0\"
source = \"registry+r\"

[[package]]
name = \"other\"
version = \"1.0.0\"
source = \"registry+r\"
dependencies = [
 \"low 1.0.0\",
]

[[package]]
name = \"top\"
version = \"1.0.0\"
source = \"registry+r\"
dependencies = [
 \"low 2.0.0\",
]
";

    #[test]
    fn only_what_the_adapter_reaches_counts() {
        let lock = Lock::parse(LOCK).unwrap();
        assert_eq!(lock.dependency("adapter", "low"), Ok(Some("2.0.0")));
        assert_eq!(lock.dependency("adapter", "other"), Ok(None));
        let twice = LOCK.replace(" \"top\",\n", " \"other\",\n \"top\",\n");
        let error = Lock::parse(&twice).unwrap().dependency("adapter", "low").unwrap_err();
        assert!(error.contains("(1.0.0, 2.0.0)"), "{error}");
    }

    #[test]
    fn dependents_are_struck_and_the_crate_stays() {
        let struck = Lock::parse(LOCK).unwrap().without_dependents("low");
        let names: Vec<&str> = struck.lines().filter(|line| line.starts_with("name")).collect();
        assert_eq!(names, ["name = \"adapter\"", "name = \"low\"", "name = \"low\""]);
        assert!(struck.starts_with("version = 4\n\n[[package]]\n"), "{struck}");
    }

    #[test]
    fn a_source_is_found_by_its_kind() {
        let text = LOCK.replace(
            "source = \"registry+r\"\ndependencies = [\n \"low 1.0.0\"",
            "dependencies = [\n \"low 1.0.0\"",
        );
        let lock = Lock::parse(&text).unwrap();
        let path = Source::Path { folder: String::new() };
        assert!(lock.has("other", &path) && !lock.has("low", &path));
        let registry = |version: &str| Source::Registry { version: version.to_owned() };
        assert!(lock.has("low", &registry("2.0.0")) && !lock.has("low", &registry("3.0.0")));
        assert!(lock.is_from_registry("low") && !lock.is_from_registry("other"));
    }
}
