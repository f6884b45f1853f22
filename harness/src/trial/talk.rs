//! What a child says: its answer and whatever it prints, kept only as far as it is of use.
//!
//! Never blocks, and holds no more than a bounded tail of it however much comes.

use std::io::{self, Read};
use std::os::fd::AsFd;

use rustix::fs::OFlags;

/// How much of the latest output is kept for the reason of a failure.
const TAIL_BYTES: usize = 4 * 1024;
/// Reads at one go; more waits until the next look.
const CHUNK_BYTES: usize = 64 * 1024;

/// One of the child's streams.
pub struct Stream<S> {
    source: Option<S>,
    kept: Vec<u8>,
    keep: Keep,
    total: u64,
}

#[derive(Clone, Copy)]
pub enum Keep {
    /// The latest output, however much there was.
    Tail,
    /// The first line, up to so many bytes.
    Line { bytes_max: usize },
}

impl<S: Read + AsFd> Stream<S> {
    pub fn new(source: S, keep: Keep) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&source)?;
        rustix::fs::fcntl_setfl(&source, flags | OFlags::NONBLOCK)?;
        Ok(Self { source: Some(source), kept: Vec::new(), keep, total: 0 })
    }

    pub fn source(&self) -> Option<&S> {
        self.source.as_ref()
    }

    /// How much came altogether.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Takes what is there, some of it if it is much.
    pub fn listen(&mut self) {
        let Some(source) = &mut self.source else { return };
        let mut chunk = [0; CHUNK_BYTES];
        for _ in 0..16 {
            match source.read(&mut chunk) {
                Ok(0) => {
                    self.source = None;
                    return;
                }
                Ok(count) => {
                    self.total += count as u64;
                    self.kept.extend_from_slice(&chunk[..count]);
                    if let Keep::Tail = self.keep {
                        let surplus = self.kept.len().saturating_sub(TAIL_BYTES);
                        self.kept.drain(..surplus);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.source = None;
                    return;
                }
            }
            if let Keep::Line { bytes_max } = self.keep
                && self.kept.len() > bytes_max
            {
                return;
            }
        }
    }

    /// The first line, once it is whole; a stream that ended without a newline is one, too.
    pub fn line(&self) -> Option<String> {
        let end = self.kept.iter().position(|byte| *byte == b'\n');
        let whole = match (end, &self.source, self.keep) {
            (Some(end), _, _) => end,
            (None, None, _) if !self.kept.is_empty() => self.kept.len(),
            (None, _, Keep::Line { bytes_max }) if self.kept.len() > bytes_max => bytes_max,
            _ => return None,
        };
        Some(String::from_utf8_lossy(&self.kept[..whole]).into_owned())
    }

    /// The last line that says something, shortened for a reason.
    pub fn last_words(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.kept);
        let line =
            text.lines().map(str::trim).rev().find(|line| {
                !line.is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE")
            })?;
        let mut line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if let Some((end, _)) = line.char_indices().nth(200) {
            line.truncate(end);
            line.push('…');
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{PipeReader, Write, pipe};

    fn spoken(text: &[u8], keep: Keep) -> Stream<PipeReader> {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(text).unwrap();
        drop(writer);
        let mut stream = Stream::new(reader, keep).unwrap();
        stream.listen();
        stream
    }

    #[test]
    fn keeps_a_bounded_tail() {
        let (reader, mut writer) = pipe().unwrap();
        let mut stream = Stream::new(reader, Keep::Tail).unwrap();
        for i in 0..200 {
            writer.write_all(format!("line {i} {}\n", "x".repeat(200)).as_bytes()).unwrap();
            stream.listen();
        }
        writer.write_all(b"the end\n\n").unwrap();
        stream.listen();
        assert_eq!(stream.last_words().as_deref(), Some("the end"));
        assert!(stream.kept.len() <= TAIL_BYTES);
        assert!(stream.total() > 40_000);
    }

    #[test]
    fn a_line_is_told_when_it_is_whole() {
        let (reader, mut writer) = pipe().unwrap();
        let mut stream = Stream::new(reader, Keep::Line { bytes_max: 100 }).unwrap();
        writer.write_all(b"half").unwrap();
        stream.listen();
        assert_eq!(stream.line(), None);
        writer.write_all(b" and whole\nmore").unwrap();
        stream.listen();
        assert_eq!(stream.line().as_deref(), Some("half and whole"));
    }

    #[test]
    fn an_endless_line_is_cut_and_an_unended_one_is_told() {
        let line = spoken(&[b'a'; 5_000], Keep::Line { bytes_max: 100 }).line();
        assert_eq!(line.map(|line| line.len()), Some(100));
        assert_eq!(
            spoken(b"no newline", Keep::Line { bytes_max: 100 }).line().as_deref(),
            Some("no newline")
        );
        assert_eq!(spoken(b"", Keep::Line { bytes_max: 100 }).line(), None);
    }
}
