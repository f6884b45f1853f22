//! Sweeps on a terminal and on a page.
//!
//! Never shortens a sentence; it hangs from the name it is about.

use super::{Sentence, Sweep};
use crate::closing::{joined, named};
use crate::markdown::escape;
use crate::paint::{Paint, Style};
use crate::prose::wrap;

const UNSURE: &str = "~: one trial only, so nothing is sure; more of them would tell (--trials)";
const UNCLEAR: &str =
    "cannot tell: the ranges are too wide to say; more time would tell (`--until 2%`)";

pub(crate) fn draw(sweep: &Sweep, style: Style) -> String {
    let paint = Paint::new(style);
    let mut lines = vec![String::new()];
    let title = paint.bold(&format!("crossovers   {}", sweep.scenario));
    lines.push(std::iter::once(title).chain(facts(sweep)).collect::<Vec<_>>().join("   "));
    lines.push(String::new());
    lines.extend(named(&rows(sweep), style, str::to_owned));
    let footnotes = footnotes(sweep);
    if !footnotes.is_empty() {
        lines.push(String::new());
    }
    for footnote in footnotes {
        lines.extend(wrap(footnote, style.width).iter().map(|line| paint.dim(line)));
    }
    joined(lines)
}

pub(crate) fn page(sweep: &Sweep) -> String {
    let facts: Vec<String> = facts(sweep).map(|fact| escape(&fact)).collect();
    let mut text =
        format!("\n### Crossovers: {}\n\n{}\n\n", escape(&sweep.scenario), facts.join(" · "));
    for Sentence { whom, headline, details } in &sweep.sentences {
        let said = std::iter::once(headline).chain(details).map(|line| escape(line));
        let said: Vec<String> = said.collect();
        text.push_str(&format!("- **{}**: {}\n", escape(whom), said.join(". ")));
    }
    for footnote in footnotes(sweep) {
        text.push_str(&format!("\n{}.\n", escape(footnote)));
    }
    text
}

fn footnotes(sweep: &Sweep) -> Vec<&'static str> {
    let footnotes = [(sweep.is_unsure, UNSURE), (sweep.is_unclear, UNCLEAR)];
    footnotes.into_iter().filter(|(is_due, _)| *is_due).map(|(_, text)| text).collect()
}

/// Each name once, as long as it is about the same.
fn rows(sweep: &Sweep) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut last = "";
    for Sentence { whom, headline, details } in &sweep.sentences {
        let name = if whom == last { "" } else { whom };
        rows.push((name.to_owned(), headline.clone()));
        rows.extend(details.iter().map(|detail| (String::new(), format!("· {detail}"))));
        last = whom;
    }
    rows
}

/// `connections: 1, 4, 16`, what is held, and what counts.
fn facts(sweep: &Sweep) -> impl Iterator<Item = String> {
    let along = format!("along {}: {}", sweep.axis, sweep.values.join(", "));
    let by = format!("by {}", sweep.by);
    std::iter::once(along).chain(sweep.held.iter().cloned()).chain([by])
}
