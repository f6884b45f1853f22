//! Which subjects are wanted: globs over their ids.
//!
//! Builds are chosen before their subjects are known, so a filter also decides whether a build may have
//! a wanted one. Never leaves out a build that may.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use globset::{GlobBuilder, GlobMatcher};
use quadrant_reports::number::grouped;

use super::builds::Build;
use super::subject::{State, Subject};
use super::version::{self, MARK, OPTIONS_MARK, Version};
use crate::terminal::nearest::quoted;

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
}

impl Filter {
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self> {
        Self { include: Vec::new(), exclude: patterns(exclude)? }.narrowed_to(include)
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

    /// The versions that it asks for, with their adapters.
    pub fn versions(&self) -> impl Iterator<Item = &(String, Version)> {
        self.include.iter().flatten().filter_map(|pattern| pattern.version.as_ref())
    }

    pub fn selects(&self, subject: &Subject) -> bool {
        if let State::Broken { .. } = subject.state {
            return self.may_select(&subject.build);
        }
        let matches = |pattern: &Pattern| pattern.matches(subject);
        let is_asked_for = |it: &Pattern| !it.options.is_empty() && it.matches(subject);
        self.includes(&subject.build, matches)
            && (subject.options.is_empty() || self.include.iter().flatten().any(is_asked_for))
            && !self.exclude.iter().any(matches)
    }

    pub fn patterns_with_options(&self) -> impl Iterator<Item = &Pattern> {
        self.include.iter().flatten().filter(|pattern| !pattern.options.is_empty())
    }

    /// Whether a build may have a wanted subject. Backends that are not declared may be any.
    pub fn may_select(&self, build: &Build) -> bool {
        ids(build).any(|id| {
            // Excluded only if every such id would be.
            let excluded = id.map(Piece::text).join("/");
            self.includes(build, |pattern| pattern.may_match(build, id))
                && !self.exclude.iter().any(|pattern| {
                    pattern.options.is_empty() && pattern.matches_id(build, &excluded)
                })
        })
    }

    /// A variant is wanted only where one of the matching patterns asks for variants, and a version
    /// only where one names it.
    fn includes(&self, build: &Build, matches: impl Fn(&Pattern) -> bool) -> bool {
        let any = |asks: fn(&Pattern) -> bool| {
            self.include.iter().flatten().any(|it| asks(it) && matches(it))
        };
        self.include.iter().all(|any| any.iter().any(&matches))
            && (build.variant.is_none() || any(|it| it.asks_for_variants))
            && (build.version.is_none() || any(|it| it.version.is_some()))
    }
}

/// A glob over `runtime/executor/backend`; with `@`, over `runtime@variant/executor/backend`. With a
/// version it matches only builds of this version, without one those of any. With options behind it,
/// only over subjects with these options, which are then made.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    /// And the adapter that it is of.
    version: Option<(String, Version)>,
    options: Asked,
    whole: GlobMatcher,
    /// `tokio` means `tokio/**`, and `**/epoll` is an id's end.
    begun: GlobMatcher,
    parts: Vec<Part>,
    names_variant: bool,
    /// It has `**`, or names a backend or a variant.
    asks_for_variants: bool,
}

#[derive(Debug, Clone)]
enum Part {
    /// `**`, or a part that is no pattern by itself: `{a/b` of `{a/b,c}/d`.
    Anything,
    One(GlobMatcher),
}

/// Names and values. Sorted, so that one choice has one id.
pub type Asked = BTreeMap<String, String>;

/// A pattern, and the options behind it: `tokio/multi-thread?lifo=off&event-interval=7`. They begin
/// with the last `?` before the first `=`; another `?` stands for any letter.
fn split_options(text: &str) -> Result<(&str, Asked)> {
    let mut asked = Asked::new();
    let begin = text.find('=').and_then(|equals| text[..equals].rfind(OPTIONS_MARK));
    let Some(begin) = begin else { return Ok((text, asked)) };
    for pair in text[begin + 1..].split('&') {
        let Some((name, value)) = pair.split_once('=') else {
            bail!("{}: {} is no option such as `name=value`", quoted(text), quoted(pair));
        };
        let is_new = asked.insert(name.to_owned(), value.to_owned()).is_none();
        ensure!(is_new, "{}: the option {} is there twice", quoted(text), quoted(name));
    }
    Ok((&text[..begin], asked))
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>> {
    texts.iter().map(|text| Pattern::new(text)).collect()
}

impl Pattern {
    pub fn new(written: &str) -> Result<Self> {
        let (unversioned, version) = version::split(written)?;
        let (text, options) = split_options(&unversioned)?;
        let part = |part: &str| match glob(part) {
            Ok(glob) if part != "**" => Part::One(glob),
            _ => Part::Anything,
        };
        let parts: Vec<Part> = text.split('/').map(part).collect();
        let names_variant = text.contains(MARK);
        // No runtime is called as a backend either.
        let leaves_backend_open =
            parts_may_match(&parts, &[Piece::Executor, Piece::Executor, Piece::Known(UNKNOWN)]);
        Ok(Self {
            text: written.to_owned(),
            version,
            options,
            whole: glob(text)?,
            begun: glob(&format!("{text}/**"))?,
            parts,
            names_variant,
            asks_for_variants: names_variant || text.contains("**") || !leaves_backend_open,
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The options of the subjects that it asks for.
    pub fn options(&self) -> &Asked {
        &self.options
    }

    /// Whether it matches a subject, in whichever build. A broken one may be any of its build. A
    /// pattern without options matches a subject whatever options are set.
    pub fn matches(&self, subject: &Subject) -> bool {
        match subject.state {
            State::Broken { .. } => self.may_match_build(&subject.build),
            State::Loadable { .. } => {
                let set = subject.options.iter().map(|it| (&it.name, &it.value));
                (self.options.is_empty() || self.options.iter().eq(set))
                    && self.matches_id(&subject.build, subject.id_without_options())
            }
        }
    }

    /// Whether it asks for this subject with options: one without, in a build that it asks for.
    pub fn means(&self, subject: &Subject) -> bool {
        matches!(subject.state, State::Loadable { .. })
            && subject.options.is_empty()
            && (subject.build.variant.is_none() || self.asks_for_variants)
            && self.matches_id(&subject.build, &subject.id)
    }

    /// Whether it matches a subject that the build may have.
    pub fn may_match_build(&self, build: &Build) -> bool {
        ids(build).any(|id| self.may_match(build, id))
    }

    fn is_of_version(&self, build: &Build) -> bool {
        self.version.as_ref().is_none_or(|(_, version)| build.version.as_ref() == Some(version))
    }

    fn matches_id(&self, build: &Build, id: &str) -> bool {
        let unversioned = match &build.version {
            Some(version) => &*id.replacen(&format!("{MARK}{version}/"), "/", 1),
            None => id,
        };
        let id = unversioned;
        let named = match &build.variant {
            Some(variant) if self.names_variant => {
                &*id.replacen('/', &format!("{MARK}{variant}/"), 1)
            }
            _ => id,
        };
        self.is_of_version(build) && (self.whole.is_match(named) || self.begun.is_match(named))
    }

    fn may_match(&self, build: &Build, [_, executor, backend]: [Piece; 3]) -> bool {
        let name = match &build.variant {
            Some(variant) if self.names_variant => format!("{}{MARK}{variant}", build.adapter),
            _ => build.adapter.clone(),
        };
        self.is_of_version(build)
            && parts_may_match(&self.parts, &[Piece::Known(&name), executor, backend])
    }
}

/// The ids that subjects of a build may have, as far as they are known.
fn ids(build: &Build) -> impl Iterator<Item = [Piece<'_>; 3]> {
    let backends: Vec<Piece> = match &build.backends {
        Some(backends) => backends.iter().map(|backend| Piece::Known(backend)).collect(),
        None => vec![Piece::Any],
    };
    backends.into_iter().map(|backend| [Piece::Known(&build.adapter), Piece::Executor, backend])
}

/// A part of an id, as far as it is known before the library is asked.
#[derive(Debug, Clone, Copy)]
enum Piece<'a> {
    Known(&'a str),
    /// Some executor, which is not called as a backend.
    Executor,
    Any,
}

impl<'a> Piece<'a> {
    fn text(self) -> &'a str {
        match self {
            Piece::Known(text) => text,
            Piece::Executor | Piece::Any => UNKNOWN,
        }
    }

    fn may_match(self, glob: &GlobMatcher) -> bool {
        match self {
            Piece::Known(text) => glob.is_match(text),
            Piece::Executor => {
                let text = glob.glob().glob();
                !BACKENDS.contains(&text.split('+').next().unwrap_or(text))
            }
            Piece::Any => true,
        }
    }
}

/// Whether a pattern can match an id of which only some parts are known.
fn parts_may_match(parts: &[Part], id: &[Piece]) -> bool {
    match parts.split_first() {
        None => true,
        Some((Part::Anything, rest)) => {
            (0..=id.len()).any(|from| parts_may_match(rest, &id[from..]))
        }
        Some((Part::One(glob), rest)) => id
            .split_first()
            .is_some_and(|(piece, id)| piece.may_match(glob) && parts_may_match(rest, id)),
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
    use quadrant_suite::plan::SetOption;

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
    fn a_pattern_selects_subjects_in_their_usual_build() {
        let tokio = &ALL[1..3];
        check(&["tokio"], &[], tokio);
        check(&["tok*"], &[], tokio);
        check(&["tokio/*/*"], &[], tokio);
        check(&["tokio/multi-thread"], &[], &ALL[2..3]);
        check(&["*/multi-thread"], &[], &ALL[2..3]);
        check(&["**/epoll"], &["smol"], tokio);
        check(&["{tokio/multi-thread,smol/*}/epoll"], &[], &[ALL[0], ALL[2]]);
        check(&[], &[], &ALL[..3]);
        check(&[], &["tokio/current-thread", "smol"], &ALL[2..3]);
    }

    #[test]
    fn variants_are_selected_only_where_asked_for() {
        check(&["**"], &[], &ALL);
        check(&["tokio/**"], &[], &ALL[1..]);
        check(&["**/poll"], &[], &ALL[3..]);
        check(&["tokio/*/p*"], &[], &ALL[3..]);
        check(&["tokio/multi-thread/poll"], &[], &ALL[4..]);
        check(&["tokio@poll"], &[], &ALL[3..]);
        check(&["*@poll/multi-thread"], &[], &ALL[4..]);
        check(&["tokio@epoll"], &[], &[]);
        check(&["tokio", "tokio@poll/multi-thread"], &[], &[ALL[1], ALL[2], ALL[4]]);
        check(&["**"], &["*@*"], &ALL[..3]);
        check(&["**"], &["tokio"], &ALL[..1]);
    }

    /// Of tokio in two versions and smol.
    #[track_caller]
    fn check_versions(include: &[&[&str]], exclude: &[&str], expected: &[&str]) {
        let old = |id: &str| {
            let Subject { build, .. } = subject(id, id.ends_with("/poll"));
            let version = Some(version::split("tokio@1.51.0").unwrap().1.unwrap().1);
            let build = Build { version, ..build };
            let id = id.replace("tokio/", "tokio@1.51.0/");
            Subject { build, id, ..subject(ALL[0], false) }
        };
        let mut subjects = all();
        subjects.extend(ALL[1..].iter().map(|id| old(id)));
        let mut filter = Filter::new(&[], &owned(exclude)).unwrap();
        for list in include {
            filter = filter.narrowed_to(&owned(list)).unwrap();
        }
        subjects.retain(|it| filter.selects(it));
        assert!(subjects.iter().all(|it| filter.may_select(&it.build)));
        let ids: Vec<&str> = subjects.iter().map(|it| &*it.id).collect();
        assert_eq!(ids, expected);
    }

    #[test]
    fn versions_are_selected_only_where_named() {
        let old = ["tokio@1.51.0/current-thread/epoll", "tokio@1.51.0/multi-thread/epoll"];
        let old_poll = ["tokio@1.51.0/current-thread/poll", "tokio@1.51.0/multi-thread/poll"];
        check_versions(&[&["tokio@1.51.0"]], &[], &old);
        check_versions(&[&["tokio@1.52.0"]], &[], &[]);
        check_versions(&[&["tokio@1.51.0/*/poll"]], &[], &old_poll);
        check_versions(&[&["tokio", "tokio@1.51.0/multi-thread"]], &[], &[ALL[1], ALL[2], old[1]]);
        check_versions(&[&["tokio/**"]], &[], &ALL[1..]);
        check_versions(&[&["tokio@1.51.0"], &["tokio", "smol"]], &[], &old);
        check_versions(&[&["tokio@1.51.0", "tokio"]], &["tokio@1.51.0"], &ALL[1..3]);
        check_versions(&[&["tokio@1.51.0"]], &["tokio"], &[]);
    }

    #[test]
    fn a_narrowed_filter_selects_what_both_select() {
        let filter = |include: &[&str], then: &[&str]| {
            let filter = Filter::new(&owned(include), &[]).unwrap();
            selected(&filter.narrowed_to(&owned(then)).unwrap())
        };
        assert_eq!(filter(&["tokio"], &["**/poll", "smol"]), ALL[3..]);
        assert_eq!(filter(&["tokio"], &[]), ALL[1..3]);
        assert_eq!(filter(&[], &["**/poll"]), ALL[3..]);
        assert_eq!(filter(&["tokio/multi-thread"], &["tokio"]), ALL[2..3]);
    }

    #[test]
    fn only_builds_that_may_be_wanted_are_built() {
        let usual = Build::usual("tokio", Some(vec!["epoll".to_owned()]));
        let poll = Build::variant("tokio", "poll");
        let unknown = Build { backends: None, ..usual.clone() };
        for (include, exclude, built) in [
            (&[][..], &[][..], [true, false, true]),
            (&["tokio"], &[], [true, false, true]),
            (&["tokio/**"], &[], [true, true, true]),
            (&["tokio@poll"], &[], [false, true, false]),
            (&["tokio/*/poll"], &[], [false, true, true]),
            (&["**/poll"], &[], [false, true, true]),
            (&["tokio/multi-thread/epoll"], &[], [true, false, true]),
            (&["*/multi-thread"], &[], [true, false, true]),
            (&["{tokio/a,smol}/poll"], &[], [false, true, true]),
            (&["smol"], &[], [false, false, false]),
            (&["**"], &["**/poll"], [true, false, true]),
            (&["tokio"], &["tokio/multi-thread"], [true, false, true]),
            (&["**"], &["tok*"], [false, false, false]),
        ] {
            let filter = Filter::new(&owned(include), &owned(exclude)).unwrap();
            let seen = [&usual, &poll, &unknown].map(|build| filter.may_select(build));
            assert_eq!(seen, built, "-r {include:?} -x {exclude:?}");
        }
    }

    #[test]
    fn options_are_selected_only_where_asked_for() {
        let plain = subject("tokio/multi-thread/epoll", false);
        let option = SetOption { name: "lifo".to_owned(), value: "off".to_owned(), variable: None };
        let id = "tokio/multi-thread/epoll?lifo=off".to_owned();
        let with_options = Subject { id, options: vec![option], ..plain.clone() };
        for (include, exclude, then, selected) in [
            (&["tokio"][..], &[][..], &[][..], [true, false]),
            (&["**"], &[], &[], [true, false]),
            (&["tokio?lifo=off"], &[], &[], [false, true]),
            (&["tokio/multi-thread/epoll?lifo=off"], &[], &[], [false, true]),
            (&["tokio?lifo=on"], &[], &[], [false, false]),
            (&["tokio", "*/m*?lifo=off"], &[], &[], [true, true]),
            (&["tokio?lifo=off", "tokio"], &["tokio?lifo=off"], &[], [true, false]),
            (&["tokio?lifo=off", "tokio"], &["**/epoll"], &[], [false, false]),
            (&["tokio"], &[], &["tokio?lifo=off"], [false, true]),
            (&["tokio?lifo=off"], &[], &["tokio", "smol"], [false, true]),
            (&["smol"], &[], &["tokio?lifo=off"], [false, false]),
        ] {
            let filter = Filter::new(&owned(include), &owned(exclude)).unwrap();
            let filter = filter.narrowed_to(&owned(then)).unwrap();
            let seen = [&plain, &with_options].map(|subject| filter.selects(subject));
            assert_eq!(seen, selected, "-r {include:?} -x {exclude:?}, then {then:?}");
            let is_wanted = include[0] != "smol" && exclude != ["**/epoll"];
            assert!(filter.may_select(&plain.build) || !is_wanted, "-r {include:?} -x {exclude:?}");
        }
    }

    #[test]
    fn a_question_mark_alone_is_part_of_the_pattern() {
        let plain = "tok?o/multi-thread";
        assert_eq!(split_options(plain).unwrap(), (plain, Asked::new()));
        let (pattern, asked) = split_options("tok?o?a=b?c").unwrap();
        assert_eq!((pattern, &*asked["a"]), ("tok?o", "b?c"));
    }

    #[test]
    fn a_broken_pattern_is_an_error() {
        assert!(Filter::new(&["tokio/[".to_owned()], &[]).is_err());
    }
}
