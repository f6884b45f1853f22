//! Which version of a runtime is asked for, as `ADAPTER@[CRATE=]SOURCE` at the beginning of a pattern.
//!
//! Never fetches or builds anything.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use quadrant_reports::random::fingerprint;

/// Stands between an adapter's name and that of its variant or version.
pub(super) const MARK: char = '@';
/// Stands between a subject and its options.
pub const OPTIONS_MARK: char = '?';
const PATH: &str = "path:";
const GIT: &str = "git+";
/// Ends a path or the revision of a repository, both of which may contain `/`.
const END: char = ':';

/// A version of one crate that an adapter depends on; all other crates stay as they are locked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `None` for the crate with the adapter's name.
    krate: Option<String>,
    pub source: Source,
}

/// Where the crate comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Registry { version: String },
    Path { folder: String },
    Git { url: String, revision: String },
}

impl Version {
    /// The name of the crate.
    pub fn krate<'a>(&'a self, adapter: &'a str) -> &'a str {
        self.krate.as_deref().unwrap_or(adapter)
    }

    /// Whether it is code of a folder or a repository, which only the command line may name: a
    /// scenario or a `run.json` may be from anywhere.
    pub fn is_elsewhere(&self) -> bool {
        !matches!(self.source, Source::Registry { .. })
    }

    /// A name for files, which no other version of this adapter has.
    pub fn file_name(&self, adapter: &str) -> String {
        let whole = match &self.source {
            // The same folder has several relative paths.
            Source::Path { folder } => {
                format!("{} {}", self.krate(adapter), absolute(folder).display())
            }
            _ => self.to_string(),
        };
        let shown = whole.trim_end_matches(END).rsplit('/').next().unwrap_or_default();
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let shown: String = shown.chars().take(32).map(plain).collect();
        format!("{}_{shown}_{:08x}", adapter.replace('-', "_"), fingerprint(&whole) as u32)
    }

    fn parse(text: &str) -> Result<Self> {
        let (krate, source) = match text.split_once('=') {
            Some((krate, source)) if is_name(krate) => (Some(krate.to_owned()), source),
            _ => (None, text),
        };
        let source = if let Some(folder) = source.strip_prefix(PATH) {
            ensure!(!folder.is_empty(), "`{text}` names no folder after `{PATH}`");
            Source::Path { folder: folder.to_owned() }
        } else if let Some(repository) = source.strip_prefix(GIT) {
            match repository.split_once('#') {
                Some((url, revision)) if !url.is_empty() && !revision.is_empty() => {
                    Source::Git { url: url.to_owned(), revision: revision.to_owned() }
                }
                _ => bail!("`{text}` names no revision: write it as {GIT}URL#REVISION"),
            }
        } else {
            ensure!(
                is_whole_version(source),
                "`{text}` is no version: write a whole one such as 1.51.0, {PATH}DIR or \
                 {GIT}URL#REVISION, after CRATE= if it is another crate than the adapter's own"
            );
            Source::Registry { version: source.to_owned() }
        };
        Ok(Self { krate, source })
    }
}

/// As it is written after the `@`, with the end of a path.
impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(krate) = &self.krate {
            write!(formatter, "{krate}=")?;
        }
        self.source.fmt(formatter)?;
        match &self.source {
            Source::Registry { .. } => Ok(()),
            Source::Path { .. } | Source::Git { .. } => write!(formatter, "{END}"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Registry { version } => formatter.write_str(version),
            Source::Path { folder } => write!(formatter, "{PATH}{folder}"),
            Source::Git { url, revision } => write!(formatter, "{GIT}{url}#{revision}"),
        }
    }
}

pub fn absolute(folder: &str) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| Path::new(folder).to_owned())
}

/// A pattern without its version: `tokio@1.51.0/multi-thread` is `tokio/multi-thread`, and a version
/// of tokio. A version that does not begin like one is the name of a variant.
pub fn split(pattern: &str) -> Result<(String, Option<(String, Version)>)> {
    let none = || Ok((pattern.to_owned(), None));
    let Some((adapter, rest)) = pattern.split_once(MARK) else { return none() };
    if adapter.contains('/') || !begins_a_version(rest) {
        return none();
    }
    ensure!(
        is_name(adapter),
        "`{pattern}`: a version is of one adapter, and `{adapter}` is a pattern: name the adapter"
    );
    let (version, rest) = rest.split_at(end_of_version(rest));
    let rest = rest.strip_prefix(END).unwrap_or(rest);
    ensure!(
        rest.is_empty() || rest.starts_with(['/', OPTIONS_MARK]),
        "`{pattern}`: after a version stands `/EXECUTOR/BACKEND` or nothing, and not `{rest}`"
    );
    if let Some((version, variant)) = version.split_once(MARK)
        && !version.contains(END)
    {
        bail!(
            "`{pattern}`: a variant of a version is asked for by its backend: \
             {adapter}{MARK}{version}/*/{variant}"
        );
    }
    let version = Version::parse(version)?;
    Ok((format!("{adapter}{rest}"), Some((adapter.to_owned(), version))))
}

/// Whether a pattern names code of a folder or a repository.
pub fn is_elsewhere(pattern: &str) -> bool {
    split(pattern).is_ok_and(|(_, asked)| asked.is_some_and(|(_, version)| version.is_elsewhere()))
}

fn begins_a_version(text: &str) -> bool {
    let first = text.split(['/', OPTIONS_MARK]).next().unwrap_or(text);
    first.starts_with(|first: char| first.is_ascii_digit())
        || first.contains(['=', '#', END])
        || first.starts_with(GIT)
}

/// How many bytes of it are the version.
fn end_of_version(text: &str) -> usize {
    let source = text.split_once('=').filter(|(krate, _)| is_name(krate)).map_or(text, |it| it.1);
    let begin = text.len() - source.len();
    let end = if let Some(folder) = source.strip_prefix(PATH) {
        folder.find(END).map(|end| PATH.len() + end)
    } else if source.starts_with(GIT) {
        let hash = source.find('#').unwrap_or(source.len());
        source[hash..].find(END).map(|end| hash + end)
    } else {
        source.find(['/', OPTIONS_MARK])
    };
    end.map_or(text.len(), |end| begin + end)
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

fn is_whole_version(text: &str) -> bool {
    let (numbers, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-+.".contains(&byte);
    numbers.split('.').count() == 3
        && numbers.split('.').all(is_number)
        && rest.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, plain: &str, version: Option<&str>) {
        let (found, asked) = split(pattern).unwrap();
        let asked = asked.map(|(adapter, version)| format!("{adapter} {version}"));
        assert_eq!((&*found, asked.as_deref()), (plain, version));
    }

    #[test]
    fn a_version_is_taken_out_of_its_pattern() {
        check("tokio@1.51.0", "tokio", Some("tokio 1.51.0"));
        check("tokio@1.51.0/*/epoll", "tokio/*/epoll", Some("tokio 1.51.0"));
        check("tokio@1.51.0?lifo=off", "tokio?lifo=off", Some("tokio 1.51.0"));
        check("x@y=1.0.0/e?a=b", "x/e?a=b", Some("x y=1.0.0"));
        check("x@path:/a:?b=c", "x?b=c", Some("x path:/a:"));
        check("smol@async-executor=1.14.0/*", "smol/*", Some("smol async-executor=1.14.0"));
        check("x@1.0.0-rc.1+a", "x", Some("x 1.0.0-rc.1+a"));
        check("x@path:../a/x", "x", Some("x path:../a/x:"));
        check("x@path:../a=b/x:/e/b", "x/e/b", Some("x path:../a=b/x:"));
        check("x@y=path:/a", "x", Some("x y=path:/a:"));
        check("x@path:/a@b:/e", "x/e", Some("x path:/a@b:"));
        let git = "git+https://host:1/x.git#a/b:";
        check(&format!("x@{git}/e"), "x/e", Some(&format!("x {git}")));
        check("x@git+https://host/x#1", "x", Some("x git+https://host/x#1:"));
    }

    #[test]
    fn a_displayed_version_is_read_again() {
        for text in ["1.51.0", "a=1.0.0", "path:../x:", "a=path:x y/z:", "git+ssh://h/x#r/v:"] {
            let pattern = format!("x@{text}/e/b");
            let (_, asked) = split(&pattern).unwrap();
            assert_eq!(asked.unwrap().1.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_version_stays_a_pattern() {
        for pattern in [
            "tokio",
            "tokio@poll",
            "tokio@poll?a=b",
            "*@poll/x",
            "tokio@epoll+ring",
            "**",
            "a/b@1.0.0",
        ] {
            check(pattern, pattern, None);
        }
    }

    #[test]
    fn wrong_versions_are_refused_with_a_remedy() {
        for (pattern, words) in [
            ("tokio@1.51", "write a whole one such as 1.51.0"),
            ("tokio@a=", "write a whole one"),
            ("tokio@dir:../x", "path:DIR"),
            ("tokio@path:", "names no folder"),
            ("tokio@path:a:b", "stands `/EXECUTOR/BACKEND`"),
            ("tokio@git+https://x/y", "git+URL#REVISION"),
            ("*@1.51.0", "name the adapter"),
            ("tokio@1.51.0@poll", "tokio@1.51.0/*/poll"),
        ] {
            let error = split(pattern).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn file_names_are_plain_and_differ() {
        let name = |pattern: &str| {
            let (adapter, version) = split(pattern).unwrap().1.unwrap();
            version.file_name(&adapter)
        };
        let here = std::env::current_dir().unwrap();
        assert_eq!(name("x@path:a"), name(&format!("x@path:{}/a", here.display())));
        let names = ["x@1.5.10", "x@1.51.0", "x@y=1.51.0", "x@path:a", "x@path:b/a"].map(name);
        for (index, name) in names.iter().enumerate() {
            assert!(name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_'), "{name}");
            assert!(!names[..index].contains(name), "{name}");
        }
    }
}
