//! Checks what was read from a file against what the harness has written to it.
//!
//! During the measured time only a few bytes of each read are compared: comparing a whole big file
//! would hold the loop for longer than anything that the runtime does. After the window some files
//! are compared completely. Never reads a file itself.

use std::ops::Range;

use crate::pattern;
use crate::plan::FileSet;

/// Bytes compared at the end of every read, and as many at a random place.
const WINDOW_BYTES: usize = 64;

/// The check during the measured time. It finds a wrong length, file or offset and a buffer that
/// was not filled, but seldom a single wrong byte.
pub fn check_windows(
    files: &FileSet,
    index: u32,
    contents: &[u8],
    chance: u64,
) -> Result<(), String> {
    check_length(files, index, contents)?;
    let last = contents.len().saturating_sub(WINDOW_BYTES);
    let any = chance as usize % (last + 1);
    check_range(index, contents, last..contents.len())?;
    check_range(index, contents, any..contents.len().min(any + WINDOW_BYTES))
}

/// The check after the window: compares every byte.
pub fn check_whole(files: &FileSet, index: u32, contents: &[u8]) -> Result<(), String> {
    check_length(files, index, contents)?;
    check_range(index, contents, 0..contents.len())
}

fn check_length(files: &FileSet, index: u32, contents: &[u8]) -> Result<(), String> {
    if contents.len() as u64 == files.bytes {
        return Ok(());
    }
    let (length, read) = (files.bytes, contents.len());
    Err(format!("read_file: file {index} has {length} bytes, {read} were read"))
}

fn check_range(index: u32, contents: &[u8], range: Range<usize>) -> Result<(), String> {
    if pattern::matches(u64::from(index), range.start as u64, &contents[range]) {
        return Ok(());
    }
    Err(format!("read_file: the contents of file {index} are not what was written there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(bytes: u64) -> FileSet {
        FileSet { directory: String::new(), count: 9, bytes, cold: false, latency_ns: 0 }
    }

    fn contents(index: u32, bytes: usize) -> Vec<u8> {
        let mut contents = vec![0; bytes];
        pattern::fill(u64::from(index), 0, &mut contents);
        contents
    }

    #[test]
    fn right_contents_of_any_size_pass() {
        for bytes in [1, 63, 64, 65, 100, 4_096, 300_000] {
            let right = contents(5, bytes);
            for chance in 0..200 {
                let chance = u64::wrapping_mul(chance, 0x9E37_79B9_7F4A_7C15);
                assert_eq!(check_windows(&files(bytes as u64), 5, &right, chance), Ok(()));
            }
            assert_eq!(check_whole(&files(bytes as u64), 5, &right), Ok(()));
        }
    }

    #[test]
    fn what_is_wrong_throughout_shows_in_every_read() {
        let set = files(10_000);
        let shifted = [&[0], &contents(5, 9_999)[..]].concat();
        for (wrong, what) in [
            (contents(5, 9_999), "a short read"),
            (contents(6, 10_000), "another file"),
            (vec![0; 10_000], "an empty buffer"),
            (shifted, "another place"),
        ] {
            assert!(
                (0..200).all(|chance| check_windows(&set, 5, &wrong, chance).is_err()),
                "{what}"
            );
        }
    }

    #[test]
    fn a_single_wrong_byte_shows_when_all_are_compared() {
        let mut wrong = contents(5, 10_000);
        wrong[5_000] ^= 1;
        assert!(check_whole(&files(10_000), 5, &wrong).is_err());
        let seen = |chance| check_windows(&files(10_000), 5, &wrong, chance).is_err();
        assert_eq!((0..=9_936).filter(|chance| seen(*chance)).count(), WINDOW_BYTES);
    }
}
