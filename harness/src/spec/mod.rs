//! The scenario language: YAML in, checked cases out. `specs/README.md` teaches it.
//!
//! Never names a runtime, never touches the machine: whether a case can run here is asked elsewhere.
//!
//! A text becomes strict types (`yaml`, `document`, `step`, `step_yaml`, `scalar`) whose values
//! stay texts, because any may be `$axis`. A case puts its values in (`axes`, `values`), reads
//! them (`quantity`, `limits`, `how`), lays the step lists out flat (`flatten`, `draft`) and becomes
//! work (`expand`). Loading a scenario does so for every case, so a mistake that only one
//! combination shows is told before anything runs.

mod axes;
mod check;
mod decimal;
mod document;
mod draft;
mod error;
mod expand;
mod expect;
mod flatten;
mod how;
mod limits;
mod names;
mod nearest;
mod quantity;
mod scalar;
mod scenario;
mod step;
mod step_yaml;
mod summary;
mod values;
mod yaml;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use axes::Axis;
pub use error::SpecError;
pub use scenario::{Case, Expected, Files, Load, Scenario, Work};

/// Reads a scenario and checks every case of it.
pub fn load(path: &Path) -> Result<Scenario, SpecError> {
    let shown = path.display().to_string();
    let unreadable =
        |error: std::io::Error| SpecError::of_file(&shown, format!("cannot be read: {error}"));
    let mut bytes = Vec::new();
    // One byte more than allowed, to see that there is more.
    File::open(path)
        .and_then(|file| file.take(limits::SPEC_BYTES + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    match String::from_utf8(bytes) {
        Ok(text) => parse(&shown, &text),
        // A cut in the middle of a letter is no fault of the text.
        Err(error) if error.as_bytes().len() as u64 > limits::SPEC_BYTES => Err(too_long(&shown)),
        Err(_) => Err(SpecError::of_file(&shown, "is not written in UTF-8".to_owned())),
    }
}

/// Reads a scenario from a text; `path_shown` is what messages call it.
pub fn parse(path_shown: &str, text: &str) -> Result<Scenario, SpecError> {
    if text.len() as u64 > limits::SPEC_BYTES {
        return Err(too_long(path_shown));
    }
    Scenario::parse(path_shown, text)
}

fn too_long(path: &str) -> SpecError {
    let limit = quantity::Kind::Size.written(limits::SPEC_BYTES);
    SpecError::of_file(path, format!("is too long; a scenario can have {limit}"))
}
