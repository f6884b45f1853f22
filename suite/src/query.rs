//! What a `query` step sends to the responder, and the check of the answer.
//!
//! Never sends anything itself.

use crate::board::TOKEN_BYTES;
use crate::pattern;

pub const QUERY_BYTES: usize = TOKEN_BYTES + 24;
/// Bytes compared at the beginning and at the end of an answer.
const WINDOW_BYTES: usize = 64;

/// A query as it crosses the connection. The answer is what stands at `position` of `identity` in
/// the pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The trial's: other processes do not know it.
    pub token: [u8; TOKEN_BYTES],
    pub backend: u64,
    /// The number of the connection: an answer that belongs to another one is wrong.
    pub identity: u64,
    /// Bytes answered on the connection before: an older answer is wrong.
    pub position: u64,
}

impl Query {
    pub fn encode(&self) -> [u8; QUERY_BYTES] {
        let mut bytes = [0; QUERY_BYTES];
        let numbers = [self.backend, self.identity, self.position].map(u64::to_le_bytes);
        let parts = [self.token].into_iter().chain(numbers);
        bytes.chunks_exact_mut(8).zip(parts).for_each(|(to, part)| to.copy_from_slice(&part));
        bytes
    }

    pub fn decode(bytes: &[u8; QUERY_BYTES]) -> Self {
        let part = |index: usize| {
            let mut part = [0; 8];
            part.copy_from_slice(&bytes[8 * index..8 * index + 8]);
            part
        };
        let [backend, identity, position] = [1, 2, 3].map(|index| u64::from_le_bytes(part(index)));
        Self { token: part(0), backend, identity, position }
    }

    /// Compares both ends of an answer that has the right length. It finds an answer to another query,
    /// an offset and a buffer that was not filled.
    pub fn check(&self, answer: &[u8]) -> Result<(), String> {
        let head = &answer[..answer.len().min(WINDOW_BYTES)];
        let last = answer.len() - head.len();
        let is_right = pattern::matches(self.identity, self.position, head)
            && pattern::matches(self.identity, self.position + last as u64, &answer[last..]);
        if is_right {
            return Ok(());
        }
        let number = self.position / answer.len().max(1) as u64 + 1;
        Err(format!("query: the answer to query {number} of a connection is another one's"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: Query = Query { token: *b"12345678", backend: 3, identity: 9, position: 1_000 };

    #[test]
    fn a_query_survives_the_connection() {
        assert_eq!(Query::decode(&QUERY.encode()), QUERY);
    }

    #[test]
    fn only_its_own_answer_is_right() {
        for length in [1, 64, 65, 1_000] {
            let mut answer = vec![0; length];
            pattern::fill(9, 1_000, &mut answer);
            QUERY.check(&answer).unwrap();
            for other in
                [Query { identity: 8, ..QUERY }, Query { position: 1_000 + length as u64, ..QUERY }]
            {
                assert!(length == 1 || other.check(&answer).is_err(), "{length}");
            }
            *answer.last_mut().unwrap() ^= 1;
            assert!(QUERY.check(&answer).is_err(), "{length}");
        }
    }
}
