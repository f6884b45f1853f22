//! What a report consists of: headings, tables, lists and paragraphs, not drawn yet.
//!
//! Never decides where anything is put: [`terminal`](crate::terminal) and
//! [`markdown`](crate::markdown) do, each in its own way.

use crate::interval::Interval;
use crate::number;
use crate::visible;

/// A report is a list of parts; a blank line stands between two of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    Heading(Heading),
    Table(Table),
    List(Vec<Item>),
    Text(Tint, String),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heading {
    pub title: String,
    /// Bold, after the title: `connections=64`.
    pub labels: Vec<String>,
    /// Plain, after the labels: `64 B, closed loop`.
    pub facts: Vec<String>,
    /// A sentence beneath.
    pub text: String,
}

/// Rows of figures, and beneath them rows of sentences.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What a row is: `subject`.
    pub heading: String,
    /// The names of the rows of figures.
    pub names: Vec<String>,
    /// Each has a cell for each name.
    pub columns: Vec<Column>,
    /// Rows that have a sentence instead of figures. The tint is that of the sentence's beginning,
    /// up to its first colon.
    pub sentences: Vec<Item>,
    /// What the sentences are. It is shown if there are no columns.
    pub sentences_heading: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Two lines, so that a narrow figure does not need a wide heading; the first may be empty.
    /// Neighbours with the same first line belong together.
    pub heading: [String; 2],
    pub cells: Vec<Cell>,
}

/// A figure: its number, set to the right, and what belongs to it, set to the left of the rest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    pub number: String,
    pub rest: String,
    pub tint: Tint,
}

/// A name, and a text that hangs from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// An empty name stands for that of the item before.
    pub name: String,
    /// That of the name.
    pub tint: Tint,
    pub text: String,
    /// Lines of their own, beneath the text.
    pub details: Vec<String>,
}

/// What a colour means. Without colours nothing is lost: each meaning is also a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tint {
    #[default]
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Doubtful,
}

impl Part {
    /// The same, with all of its texts harmless and each on one line.
    pub(crate) fn visible(&self) -> Self {
        let mut part = self.clone();
        let texts: Vec<&mut String> = match &mut part {
            Part::Heading(Heading { title, labels, facts, text }) => {
                [title, text].into_iter().chain(labels).chain(facts).collect()
            }
            Part::Table(Table { heading, names, columns, sentences, sentences_heading }) => {
                let columns = columns.iter_mut().flat_map(Column::texts);
                let sentences = sentences.iter_mut().flat_map(Item::texts);
                let headings = [heading, sentences_heading].into_iter();
                headings.chain(names).chain(columns).chain(sentences).collect()
            }
            Part::List(items) => items.iter_mut().flat_map(Item::texts).collect(),
            Part::Text(_, text) => vec![text],
        };
        for text in texts {
            *text = visible::line(text).into_owned();
        }
        part
    }
}

impl Heading {
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }
}

impl Table {
    /// Without rows. `headings` are that of the names, and one line for each column.
    pub fn new(headings: &[&str]) -> Self {
        let column = |heading: &&str| Column::new(["", heading], []);
        let (first, others) = headings.split_first().unwrap_or((&"", &[]));
        Self {
            heading: (*first).to_owned(),
            names: Vec::new(),
            columns: others.iter().map(column).collect(),
            sentences: Vec::new(),
            sentences_heading: String::new(),
        }
    }

    /// A row with a cell for each column.
    pub fn push(&mut self, name: impl Into<String>, cells: impl IntoIterator<Item = Cell>) {
        self.names.push(name.into());
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.cells.push(cell);
        }
    }
}

impl Column {
    pub fn new(heading: [&str; 2], cells: impl IntoIterator<Item = Cell>) -> Self {
        Self { heading: heading.map(str::to_owned), cells: cells.into_iter().collect() }
    }

    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let cells = self.cells.iter_mut().flat_map(|cell| [&mut cell.number, &mut cell.rest]);
        self.heading.iter_mut().chain(cells)
    }

    /// Whether its cells hold words and no numbers.
    pub fn is_of_words(&self) -> bool {
        self.cells.iter().all(|cell| cell.number.is_empty())
    }
}

impl Cell {
    pub fn number(number: impl Into<String>) -> Self {
        Self { number: number.into(), ..Self::default() }
    }

    pub fn words(words: impl Into<String>) -> Self {
        Self { rest: words.into(), ..Self::default() }
    }

    /// For a column of numbers.
    pub fn none() -> Self {
        Self::number(number::NONE)
    }

    pub fn maybe(number: Option<String>) -> Self {
        number.map_or_else(Self::none, Self::number)
    }

    /// A dash for 0.
    pub fn count(count: u64) -> Self {
        Self::maybe((count > 0).then(|| number::count(count)))
    }

    /// `0.952× (0.931…0.973)`: a ratio near 1, and where the true one lies.
    pub fn fine_ratio(ratio: Option<f64>, interval: Option<Interval>) -> Self {
        let range = interval.map(|Interval { low, high }| format!(" ({low:.3}…{high:.3})"));
        Self::maybe(ratio.map(number::fine_ratio)).with(range.unwrap_or_default())
    }

    /// What belongs to the number.
    pub fn with(self, rest: impl Into<String>) -> Self {
        Self { rest: rest.into(), ..self }
    }

    pub fn tinted(self, tint: Tint) -> Self {
        Self { tint, ..self }
    }

    /// Number and rest, as they read.
    pub fn text(&self) -> String {
        format!("{}{}", self.number, self.rest)
    }
}

impl Item {
    pub fn new(tint: Tint, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), tint, text: text.into(), details: Vec::new() }
    }

    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        [&mut self.name, &mut self.text].into_iter().chain(&mut self.details)
    }
}
