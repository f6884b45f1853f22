//! Records read back from where a run left them.
//!
//! Never guesses: a line it cannot follow is refused with its number, except the last one of a
//! run that was cut off while writing it.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::record::{AxisValue, Record, SCHEMA};

/// More than any scenario has. Crossovers are sought along each axis with all others held.
const AXES_MAX: usize = 64;

#[derive(Debug, Error)]
pub enum ReadError {
    #[error("the records could not be read: {0}")]
    Io(#[from] io::Error),
    #[error(
        "line {line} is a record of schema {schema}, and this version reads schema {SCHEMA} only; \
         read it with the version of quadrant that wrote it"
    )]
    UnknownSchema { line: u64, schema: u64 },
    #[error("line {line} is not a record: {reason}")]
    NotARecord { line: u64, reason: String },
}

/// Of a record only what names its case: read in a fraction of the time.
#[derive(Deserialize)]
pub struct Heading {
    schema: u32,
    pub run_id: String,
    pub scenario: String,
    pub case: Vec<AxisValue>,
}

/// What a line is read as.
pub trait FromLine: DeserializeOwned {
    /// Its schema, and how many axes its case has.
    fn schema_and_axes(&self) -> (u32, usize);
}

impl FromLine for Record {
    fn schema_and_axes(&self) -> (u32, usize) {
        (self.schema, self.case.len())
    }
}

impl FromLine for Heading {
    fn schema_and_axes(&self) -> (u32, usize) {
        (self.schema, self.case.len())
    }
}

/// The records of one `records.jsonl`, one at a time. Stops at the first error.
pub struct Records<R> {
    lines: R,
    line: u64,
    /// The latest line, with its line feed.
    text: Vec<u8>,
    /// Where the latest line begins, and where the text ends that was read.
    begin: u64,
    position: u64,
    broken_end: Option<String>,
    ended: bool,
}

impl<R: BufRead> Records<R> {
    pub fn new(lines: R) -> Self {
        let text = Vec::new();
        Self { lines, line: 0, text, begin: 0, position: 0, broken_end: None, ended: false }
    }

    /// Where the line of the latest record begins.
    pub fn begin(&self) -> u64 {
        self.begin
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }

    /// After the last record: where it ends, without a line that is cut off.
    pub fn end(&self) -> u64 {
        if self.broken_end.is_some() { self.begin } else { self.position }
    }

    /// After the last record: a warning if the file ends within one.
    pub fn broken_end(&self) -> Option<&str> {
        self.broken_end.as_deref()
    }

    /// The next record, whole or only its heading; `None` after the last one.
    pub fn read<T: FromLine>(&mut self) -> Result<Option<T>, ReadError> {
        loop {
            self.read_line()?;
            if self.text.is_empty() {
                return Ok(None);
            }
            self.line += 1;
            let line = self.text.trim_ascii();
            if line.is_empty() {
                continue;
            }
            match parse(line, self.line) {
                // A whole line ends in a line feed; without one, its writer was interrupted.
                Err(ReadError::NotARecord { line, .. }) if !self.text.ends_with(b"\n") => {
                    self.broken_end = Some(format!(
                        "line {line}, the last, is cut off: the run ended while it was written; \
                         its trial is left out"
                    ));
                    return Ok(None);
                }
                parsed => return parsed.map(Some),
            }
        }
    }

    fn read_line(&mut self) -> io::Result<()> {
        self.text.clear();
        self.begin = self.position;
        self.position += self.lines.read_until(b'\n', &mut self.text)? as u64;
        Ok(())
    }
}

impl<R: Read + Seek> Records<BufReader<R>> {
    /// The record of these bytes, a line whose heading was read before.
    pub fn at(&mut self, begin: u64, bytes: u32) -> Result<Record, ReadError> {
        // Past the buffer: what follows is seldom what is read next.
        let file = self.lines.get_mut();
        file.seek(SeekFrom::Start(begin))?;
        self.text.resize(bytes as usize, 0);
        file.read_exact(&mut self.text)
            .map_err(|_| io::Error::other("the file was changed meanwhile"))?;
        match parse(self.text.trim_ascii(), 0) {
            Err(ReadError::NotARecord { reason, .. }) => {
                Err(ReadError::NotARecord { line: self.number_of_line(begin)?, reason })
            }
            parsed => parsed,
        }
    }

    /// Counted only for a message: the line that begins here.
    fn number_of_line(&mut self, begin: u64) -> io::Result<u64> {
        self.lines.rewind()?;
        self.position = 0;
        let mut number = 1;
        while self.position < begin {
            self.read_line()?;
            number += 1;
        }
        Ok(number)
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read().transpose();
        self.ended = !matches!(read, Some(Ok(_)));
        read
    }
}

fn parse<T: FromLine>(text: &[u8], line: u64) -> Result<T, ReadError> {
    #[derive(Deserialize)]
    struct Versioned {
        schema: u64,
    }
    let parsed: Result<T, _> = serde_json::from_slice(text);
    match parsed {
        Ok(parsed) if parsed.schema_and_axes().0 == SCHEMA => match parsed.schema_and_axes().1 {
            0..=AXES_MAX => Ok(parsed),
            _ => {
                let reason = format!("its case has more than {AXES_MAX} axes");
                Err(ReadError::NotARecord { line, reason })
            }
        },
        // The version first: a later schema may fail in ways that would only confuse.
        parsed => match (serde_json::from_slice(text), parsed) {
            (Ok(Versioned { schema }), _) if schema != u64::from(SCHEMA) => {
                Err(ReadError::UnknownSchema { line, schema })
            }
            (_, Err(error)) => Err(ReadError::NotARecord { line, reason: error.to_string() }),
            (_, Ok(parsed)) => Ok(parsed),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quadrant_suite::histogram::Histogram;

    use super::*;
    use crate::record::{Latency, Status};
    use crate::tests::sample;

    fn line(record: &Record) -> String {
        serde_json::to_string(record).unwrap() + "\n"
    }

    #[test]
    fn all_kinds_of_records_survive() {
        let records = [sample::everything(), sample::open_loop()].concat();
        let text: String = records.iter().map(line).collect();
        let read: Vec<Record> = Records::new(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(read, records);
        assert_eq!(sample::whole_cases(&read).len(), 2);
    }

    #[test]
    fn a_cut_off_end_costs_one_record() {
        let record = sample::ok("a/b/c", 0, 10.0, 5);
        let whole = line(&record);
        for cut in [1, whole.len() / 2, whole.len() - 2] {
            let text = format!("{whole}\n{}", &whole[..cut]);
            let mut records = Records::new(text.as_bytes());
            assert_eq!(records.next().unwrap().unwrap(), record);
            assert!(records.next().is_none(), "{cut}");
            assert!(records.broken_end().unwrap().starts_with("line 3, the last, is cut off"));
        }
    }

    #[test]
    fn a_whole_broken_line_is_refused() {
        let whole = line(&sample::ok("a/b/c", 0, 10.0, 5));
        let text = format!("{{\"schema\":1,\n{whole}");
        let mut records = Records::new(text.as_bytes());
        let error = records.next().unwrap().unwrap_err();
        assert!(error.to_string().starts_with("line 1 is not a record: "), "{error}");
        assert!(records.next().is_none());
    }

    #[test]
    fn another_schema_is_refused_in_a_sentence() {
        let error =
            Records::new(&b"{\"schema\":2,\"cells\":[]}\n"[..]).next().unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1 is a record of schema 2, and this version reads schema 1 only; \
             read it with the version of quadrant that wrote it"
        );
    }

    #[test]
    fn fields_of_a_later_version_are_ignored() {
        let record = sample::ok("a/b/c", 0, 10.0, 5);
        let text = line(&record)
            .replacen('{', "{\"moon\":{\"phase\":0.5},", 1)
            .replace("\"metrics\":{", "\"metrics\":{\"backend_seen\":\"epoll\",");
        assert_eq!(Records::new(text.as_bytes()).next().unwrap().unwrap(), record);
    }

    prop_compose! {
        fn records()(
            numbers in prop::array::uniform8(any::<u64>()),
            rates in prop::array::uniform3(0.0..f64::MAX),
            text in any::<String>(),
            latencies in prop::collection::vec(any::<u64>(), 0..20),
            ok in any::<bool>(),
        ) -> Record {
            if !ok {
                return sample::no_figures("a/b/c", numbers[0] as u32, Status::Failed, Some(&text));
            }
            let mut histogram = Histogram::default();
            latencies.iter().for_each(|latency| histogram.record(*latency));
            let mut record = sample::edit(sample::ok("a/b/c", 0, rates[0], 5), |metrics| {
                metrics.ops = numbers[1];
                metrics.cpu_ns = numbers[2];
                metrics.stalls.longest_ns = numbers[3];
                metrics.rss_bytes.peak = numbers[4];
                metrics.concurrency.mean = rates[1];
                metrics.threads.mean = rates[2];
                metrics.latency_ns = Latency::from(histogram.clone());
                metrics.steps.insert(text.clone(), Latency::from(histogram));
            });
            record.seed = numbers[5];
            record.warnings.push(text);
            record
        }
    }

    proptest! {
        #[test]
        fn a_record_read_back_is_the_record_written(record in records()) {
            let text = line(&record);
            prop_assert_eq!(text.matches('\n').count(), 1);
            let read = Records::new(text.as_bytes()).next().unwrap().unwrap();
            prop_assert_eq!(read, record);
        }
    }
}
