//! The hash of the step `hash`: CPU work with a result that can be checked.
//!
//! Never to be used for secrets.

use serde::{Deserialize, Serialize};
use sha2::Sha512;

/// What to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hash {
    pub function: Function,
    pub rounds: u32,
}

/// A function of which each round depends on the one before: neither the compiler nor the CPU can skip
/// or overlap rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// Multiplications without memory; a round takes some 100 ns.
    #[default]
    Chain,
    /// PBKDF2-HMAC-SHA512, by which servers store passwords; a round takes some 1 µs.
    Pbkdf2,
}

impl Hash {
    pub fn answer(self) -> u64 {
        match self.function {
            Function::Chain => chain(self.rounds),
            Function::Pbkdf2 => {
                let bytes = pbkdf2::pbkdf2_hmac_array::<Sha512, 8>(PASSWORD, SALT, self.rounds);
                u64::from_be_bytes(bytes)
            }
        }
    }
}

const PASSWORD: &[u8] = b"quadrant";
const SALT: &[u8] = b"sixteen bytes...";

/// Words mixed in one round of [`Function::Chain`].
const WORDS_PER_ROUND: u64 = 32;

/// [`Function::Chain`].
pub fn chain(rounds: u32) -> u64 {
    let mut state = 0x243F_6A88_85A3_08D3_u64;
    for round in 0..u64::from(rounds) {
        for word in 0..WORDS_PER_ROUND {
            state ^= round.wrapping_mul(WORDS_PER_ROUND).wrapping_add(word);
            state = state.wrapping_mul(0xD6E8_FEB8_6659_FD93);
            state ^= state >> 32;
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_changes_the_answer() {
        for (function, rounds) in [(Function::Chain, 1_000), (Function::Pbkdf2, 50)] {
            let answers: std::collections::HashSet<u64> =
                (1..=rounds).map(|rounds| Hash { function, rounds }.answer()).collect();
            assert_eq!(answers.len(), rounds as usize);
        }
    }

    /// As `python3 -c "import hashlib; hashlib.pbkdf2_hmac('sha512', …)"` gives it.
    #[test]
    fn pbkdf2_is_what_others_compute() {
        let hash = Hash { function: Function::Pbkdf2, rounds: 1_000 };
        assert_eq!(hash.answer(), 0x4E1C_D3DB_E646_7F7B);
    }
}
