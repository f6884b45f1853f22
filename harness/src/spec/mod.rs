//! The scenario language: YAML in, checked cases out. `specs/README.md` teaches it. Lists of known
//! failures are read by the same means (`known`).
//!
//! Never names a runtime, never touches the machine: whether a case can run here is decided elsewhere.
//!
//! A text becomes a tree of nodes with their places (`yaml`), whose values stay texts, because any
//! may be `$axis`. `expand` reads the tree once for every case, with that case's values at hand
//! (`axes`): the shape of each map (`fields`), its quantities (`quantity`, `limits`), its step lists
//! (`step`, `programs`, `draft`) and its expectations (`expect`). Loading a scenario expands every case, so
//! that an error in only one combination is reported before anything runs. A value that cannot be read
//! is noted (`mistakes`), and the reading goes on with another one in its place.

mod advice;
mod arrivals;
mod axes;
mod backends;
mod behaviours;
mod case;
mod claim;
mod draft;
mod error;
mod expand;
mod expect;
mod fields;
mod known;
mod limits;
mod load;
mod mistakes;
mod names;
mod programs;
mod quantity;
mod scenario;
mod shared;
mod step;
mod table;
mod yaml;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use axes::Axis;
pub use behaviours::Demand;
pub use case::{Backend, Case, Expected, Files, Work};
pub use error::SpecError;
pub use known::DeclaredFailure;
pub use mistakes::SpecErrors;
pub use scenario::Scenario;

/// Reads a scenario and checks every case of it.
pub fn load(path: &Path) -> Result<Scenario, SpecErrors> {
    Scenario::parse(&path.display().to_string(), &text_of(path)?)
}

/// Reads a list of known failures.
pub fn load_known(path: &Path) -> Result<Vec<DeclaredFailure>, SpecErrors> {
    known::parse(&path.display().to_string(), &text_of(path)?)
}

/// Whether a file holds known failures instead of a scenario. What is wrong with a file that cannot be
/// read is reported where it is read for its contents.
pub fn is_list_of_failures(path: &Path) -> bool {
    text_of(path).is_ok_and(|text| known::is_list(&text))
}

fn text_of(path: &Path) -> Result<String, SpecErrors> {
    let shown = path.display().to_string();
    let error = |message: String| SpecError::from(message).in_text(&shown, "");
    let mut bytes = Vec::new();
    // One byte more than allowed, to see that there is more.
    File::open(path)
        .and_then(|file| file.take(limits::SPEC_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|reason| error(format!("cannot be read: {reason}")))?;
    // First the length: a cut in the middle of a letter is not valid UTF-8 either.
    check_length(bytes.len()).map_err(error)?;
    String::from_utf8(bytes).map_err(|_| error("is not written in UTF-8".to_owned()).into())
}

/// Reads a scenario from a text; `path_shown` is what messages call it.
pub fn parse(path_shown: &str, text: &str) -> Result<Scenario, SpecErrors> {
    check_length(text.len()).map_err(|error| SpecError::from(error).in_text(path_shown, ""))?;
    Scenario::parse(path_shown, text)
}

fn check_length(bytes: usize) -> Result<(), String> {
    let limit = quantity::SIZE.written(limits::SPEC_BYTES);
    match bytes as u64 <= limits::SPEC_BYTES {
        true => Ok(()),
        false => Err(format!("is too long; a scenario can have {limit}")),
    }
}
