//! The hash of the step `hash`: CPU work with a result that can be checked.
//!
//! Never to be used for secrets. Each round depends on the one before, so neither the compiler nor
//! the CPU can skip or overlap rounds.

/// Words mixed in one round; a round costs some 100 ns.
const WORDS_PER_ROUND: u64 = 32;

/// The hash after `rounds` rounds.
pub fn chain(rounds: u64) -> u64 {
    let mut state = 0x243F_6A88_85A3_08D3_u64;
    for round in 0..rounds {
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
        let answers: std::collections::HashSet<u64> = (0..1_000).map(chain).collect();
        assert_eq!(answers.len(), 1_000);
    }
}
