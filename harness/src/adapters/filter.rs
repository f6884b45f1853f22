//! Which subjects are wanted: globs over their ids.
//!
//! Builds are chosen before their subjects are known, so a filter also decides whether a build may have
//! a wanted one. Never leaves out a build that may.

use anyhow::{Context, Result, bail, ensure};
use globset::{GlobBuilder, GlobMatcher};
use quadrant_reports::number::grouped;

use super::builds::Build;
use super::subject::{State, Subject};

/// Stands for a part of an id that is not known yet: no pattern matches it by name.
const UNKNOWN: &str = "\u{0}";
/// No executor has one of these names, so `**/poll` cannot mean an executor.
const BACKENDS: [&str; 6] = ["io_uring", "epoll", "poll", "blocking", "kqueue", "iocp"];

/// Without a pattern, everything in its usual build.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A wanted subject matches one pattern of each list.
    include: Vec<Vec<Pattern>>,
    exclude: Vec<Pattern>,
    /// A pattern that names no backend means the usual build.
    usual_unless_named: bool,
}

impl Filter {
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self> {
        let exclude = patterns(exclude)?;
        Self { include: Vec::new(), exclude, usual_unless_named: false }.narrowed_to(include)
    }

    /// For a name that stands for one subject.
    pub fn one(name: &str) -> Result<Self> {
        let filter = Self::new(&[name.to_owned()], &[])?;
        Ok(Self { usual_unless_named: true, ..filter })
    }

    /// Variants included.
    pub fn everything() -> Self {
        Self::new(&["**".to_owned()], &[]).expect("the pattern `**` is valid")
    }

    /// Of its subjects only those that match one of these patterns; without a pattern, all.
    pub fn narrowed_to(mut self, include: &[String]) -> Result<Self> {
        if !include.is_empty() {
            self.include.push(patterns(include)?);
        }
        Ok(self)
    }

    pub fn selects(&self, subject: &Subject) -> bool {
        if let State::Broken { .. } = subject.state {
            return self.may_select(&subject.build);
        }
        let matches = |patterns: &Vec<Pattern>| patterns.iter().any(|it| it.matches(&subject.id));
        self.wants_variant_of(&subject.build)
            && self.include.iter().all(matches)
            && !matches(&self.exclude)
    }

    /// Whether a build may have a wanted subject. Backends that are not declared may be any.
    pub fn may_select(&self, build: &Build) -> bool {
        let backends: Vec<Piece> = match &build.backends {
            Some(backends) => backends.iter().map(|backend| Piece::Known(backend)).collect(),
            None => vec![Piece::Backend],
        };
        self.wants_variant_of(build)
            && backends.into_iter().any(|backend| {
                let id = [Piece::Known(&build.adapter), Piece::Executor, backend];
                let included = |any: &Vec<Pattern>| any.iter().any(|it| may_match(&it.parts, &id));
                // Excluded only if every such id would be.
                let excluded = id.map(Piece::text).join("/");
                self.include.iter().all(included)
                    && !self.exclude.iter().any(|pattern| pattern.matches(&excluded))
            })
    }

    /// A variant is only wanted where a pattern asks for it.
    fn wants_variant_of(&self, build: &Build) -> bool {
        build.variant.is_none()
            || !self.include.is_empty() && (!self.usual_unless_named || self.names_backend(build))
    }

    fn names_backend(&self, build: &Build) -> bool {
        let id = [Piece::Known(&build.adapter), Piece::Executor, Piece::Known(UNKNOWN)];
        let leave_open = |any: &Vec<Pattern>| any.iter().any(|it| may_match(&it.parts, &id));
        !self.include.iter().all(leave_open)
    }
}

#[derive(Debug, Clone)]
struct Pattern {
    whole: GlobMatcher,
    /// `tokio` means `tokio/**`, and `**/epoll` is an id's end.
    begun: GlobMatcher,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    /// `**`, or a part that is no pattern by itself: `{a/b` of `{a/b,c}/d`.
    Anything,
    One(GlobMatcher),
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>> {
    texts.iter().map(|text| Pattern::new(text)).collect()
}

impl Pattern {
    fn new(text: &str) -> Result<Self> {
        let part = |part: &str| match glob(part) {
            Ok(glob) if part != "**" => Part::One(glob),
            _ => Part::Anything,
        };
        Ok(Self {
            whole: glob(text)?,
            begun: glob(&format!("{text}/**"))?,
            parts: text.split('/').map(part).collect(),
        })
    }

    fn matches(&self, id: &str) -> bool {
        self.whole.is_match(id) || self.begun.is_match(id)
    }
}

/// A part of an id, as far as it is known before the library is asked.
#[derive(Debug, Clone, Copy)]
enum Piece<'a> {
    Known(&'a str),
    /// Some executor.
    Executor,
    /// Some backend.
    Backend,
}

impl<'a> Piece<'a> {
    fn text(self) -> &'a str {
        match self {
            Piece::Known(text) => text,
            Piece::Executor | Piece::Backend => UNKNOWN,
        }
    }

    fn may_match(self, glob: &GlobMatcher) -> bool {
        match self {
            Piece::Known(text) => glob.is_match(text),
            Piece::Executor => {
                let text = glob.glob().glob();
                !BACKENDS.contains(&text.split('+').next().unwrap_or(text))
            }
            Piece::Backend => true,
        }
    }
}

/// Whether a pattern can match an id of which only some parts are known.
fn may_match(parts: &[Part], id: &[Piece]) -> bool {
    match parts.split_first() {
        None => true,
        Some((Part::Anything, rest)) => (0..=id.len()).any(|from| may_match(rest, &id[from..])),
        Some((Part::One(glob), rest)) => {
            id.split_first().is_some_and(|(piece, id)| piece.may_match(glob) && may_match(rest, id))
        }
    }
}

/// A pattern becomes a regular expression, whose size is limited.
const BRACES_MAX: usize = 16;
const LENGTH_MAX: usize = 1_000;

fn glob(pattern: &str) -> Result<GlobMatcher> {
    ensure!(
        pattern.len() <= LENGTH_MAX,
        "a pattern for subjects has at most {} letters",
        grouped(LENGTH_MAX as u64)
    );
    if pattern.matches('{').count() > BRACES_MAX {
        bail!("a pattern for subjects has at most {BRACES_MAX} braces");
    }
    let glob = GlobBuilder::new(pattern).literal_separator(true).build().with_context(|| {
        format!("`{pattern}` is no pattern for subjects such as `tokio/*/epoll`")
    })?;
    Ok(glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::super::subject::tests::subject;
    use super::*;

    const ALL: [&str; 5] = [
        "smol/single-thread/epoll",
        "tokio/current-thread/epoll",
        "tokio/multi-thread/epoll",
        "tokio/current-thread/poll",
        "tokio/multi-thread/poll",
    ];

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    /// `poll` is a variant.
    fn all() -> Vec<Subject> {
        let is_variant = |id: &str| id.ends_with("/poll");
        ALL.into_iter().map(|id| subject(id, is_variant(id))).collect()
    }

    fn selected(filter: &Filter) -> Vec<String> {
        all().into_iter().filter(|it| filter.selects(it)).map(|it| it.id).collect()
    }

    #[track_caller]
    fn check(include: &[&str], exclude: &[&str], expected: &[&str]) {
        let filter = Filter::new(&owned(include), &owned(exclude)).unwrap();
        assert_eq!(selected(&filter), expected);
        for subject in all().iter().filter(|subject| filter.selects(subject)) {
            assert!(filter.may_select(&subject.build), "{} would not be built", subject.id);
        }
    }

    #[test]
    fn a_runtimes_name_stands_for_all_its_subjects() {
        let tokio = &ALL[1..];
        check(&["tokio"], &[], tokio);
        check(&["tok*"], &[], tokio);
        check(&["tokio/**"], &[], tokio);
        check(&["tokio/multi-thread"], &[], &[ALL[2], ALL[4]]);
        check(&["*/multi-thread"], &[], &[ALL[2], ALL[4]]);
        check(&["**/epoll"], &["smol"], &ALL[1..3]);
        check(&["**"], &[], &ALL);
        check(&["{tokio/multi-thread,smol/*}/epoll"], &[], &[ALL[0], ALL[2]]);
    }

    #[test]
    fn variants_are_selected_only_by_patterns() {
        check(&[], &[], &ALL[..3]);
        check(&[], &["tokio/current-thread", "smol"], &ALL[2..3]);
        check(&["**/poll"], &[], &ALL[3..]);
    }

    #[test]
    fn a_name_without_backend_means_the_usual_build() {
        let one = |name: &str| selected(&Filter::one(name).unwrap());
        assert_eq!(one("tokio/multi-thread"), ALL[2..3]);
        assert_eq!(one("tokio/multi-thread/poll"), ALL[4..]);
        assert_eq!(one("**/multi-thread/poll"), ALL[4..]);
        assert_eq!(one("tokio"), ALL[1..3]);
        assert_eq!(one("smol"), ALL[..1]);
    }

    #[test]
    fn a_narrowed_filter_selects_what_both_select() {
        let filter = |include: &[&str], then: &[&str]| {
            let filter = Filter::new(&owned(include), &[]).unwrap();
            selected(&filter.narrowed_to(&owned(then)).unwrap())
        };
        assert_eq!(filter(&["tokio"], &["**/poll", "smol"]), ALL[3..]);
        assert_eq!(filter(&["tokio"], &[]), ALL[1..]);
        assert_eq!(filter(&[], &["**/poll"]), ALL[3..]);
    }

    #[test]
    fn only_builds_that_may_be_wanted_are_built() {
        let usual = Build {
            adapter: "tokio".to_owned(),
            variant: None,
            backends: Some(vec!["epoll".to_owned()]),
        };
        let poll = Build::variant("tokio", "poll");
        let unknown = Build { backends: None, ..usual.clone() };
        for (include, exclude, built) in [
            (&[][..], &[][..], [true, false, true]),
            (&["tokio"], &[], [true, true, true]),
            (&["tokio/*/poll"], &[], [false, true, true]),
            (&["**/poll"], &[], [false, true, true]),
            (&["tokio/multi-thread/epoll"], &[], [true, false, true]),
            (&["*/multi-thread"], &[], [true, true, true]),
            (&["{tokio/a,smol}/poll"], &[], [false, true, true]),
            (&["smol"], &[], [false, false, false]),
            (&["**"], &["**/poll"], [true, false, true]),
            (&["tokio"], &["tokio/multi-thread"], [true, true, true]),
            (&["**"], &["tok*"], [false, false, false]),
        ] {
            let filter = Filter::new(&owned(include), &owned(exclude)).unwrap();
            let seen = [&usual, &poll, &unknown].map(|build| filter.may_select(build));
            assert_eq!(seen, built, "-r {include:?} -x {exclude:?}");
        }
    }

    #[test]
    fn a_broken_pattern_is_an_error() {
        assert!(Filter::new(&["tokio/[".to_owned()], &[]).is_err());
    }
}
