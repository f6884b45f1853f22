//! Contents of files and requests that can be checked.
//!
//! Every position of every file or request has a known byte, so one memory comparison finds a wrong
//! file, a wrong offset and an outdated answer. Never calls the system.

use std::sync::OnceLock;

/// A prime, so that an offset wrong by a power of two still shows.
const POOL_BYTES: usize = 262_147;
/// Distance in the pool between the contents of two consecutive identities.
const STRIDE: u64 = 7_919;

fn pool() -> &'static [u8] {
    static POOL: OnceLock<Vec<u8>> = OnceLock::new();
    POOL.get_or_init(|| {
        let mut state = 0x5EED_0F0A_D2A7_u64;
        let mut bytes = Vec::with_capacity(POOL_BYTES + 8);
        while bytes.len() < POOL_BYTES {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
        }
        bytes.truncate(POOL_BYTES);
        bytes
    })
}

/// Fills the pool before it is first used, so that no measured operation has to.
pub(crate) fn prepare() {
    pool();
}

/// The stretches of the pool that make up `length` bytes at `position` of `identity`.
fn stretches(identity: u64, position: u64, length: usize) -> impl Iterator<Item = &'static [u8]> {
    let size = POOL_BYTES as u64;
    let mut at = ((identity % size) * STRIDE % size + position % size) % size;
    let mut left = length;
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let start = at as usize;
        let taken = left.min(POOL_BYTES - start);
        left -= taken;
        at = 0;
        Some(&pool()[start..start + taken])
    })
}

/// Fills `buffer` with what stands at `position` of `identity`.
pub fn fill(identity: u64, position: u64, buffer: &mut [u8]) {
    let mut rest = buffer;
    for stretch in stretches(identity, position, rest.len()) {
        let (head, tail) = rest.split_at_mut(stretch.len());
        head.copy_from_slice(stretch);
        rest = tail;
    }
}

/// Whether `buffer` is what stands at `position` of `identity`.
pub fn matches(identity: u64, position: u64, buffer: &[u8]) -> bool {
    let mut rest = buffer;
    for stretch in stretches(identity, position, rest.len()) {
        let (head, tail) = rest.split_at(stretch.len());
        if head != stretch {
            return false;
        }
        rest = tail;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_matches_and_nothing_else_does() {
        let mut buffer = vec![0; 600_000];
        fill(3, 100, &mut buffer);
        assert!(matches(3, 100, &buffer));
        assert!(matches(3, 100 + 4096, &buffer[4096..]));
        assert!(!matches(4, 100, &buffer));
        assert!(!matches(3, 101, &buffer));
        assert!(!matches(3, 100 + (1 << 18), &buffer[..4096]));
        buffer[599_999] ^= 1;
        assert!(!matches(3, 100, &buffer));
    }

    #[test]
    fn one_byte_requests_differ_from_their_neighbours() {
        let differing = (0..256_u64)
            .filter(|&i| {
                let mut byte = [0];
                fill(i, 0, &mut byte);
                !matches(i + 1, 0, &byte)
            })
            .count();
        assert!(differing > 240);
    }
}
