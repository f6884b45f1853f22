//! "Did you mean": the right word nearest to a wrong one.
//!
//! Never guesses far: a word that shares too little with every right one gets the list instead.

use super::quantity::quoted;

/// The nearest word, or all of them, as advice.
pub(super) fn advice<'a>(seen: &str, words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let words: Vec<&str> = words.into_iter().collect();
    if let Some(word) = nearest(seen, &words) {
        return Some(format!("did you mean {}?", quoted(word)));
    }
    match words.as_slice() {
        [] => None,
        [word] => Some(format!("possible here: {word}")),
        words => Some(format!("possible here: {}", words.join(", "))),
    }
}

fn nearest<'a>(seen: &str, words: &[&'a str]) -> Option<&'a str> {
    // A hostile word may be as long as the file; the distance is quadratic in it.
    if seen.chars().nth(64).is_some() {
        return None;
    }
    let seen = seen.to_lowercase().replace(['_', ' '], "-");
    words
        .iter()
        .map(|word| {
            let plain = word.to_lowercase().replace('_', "-");
            (strsim::damerau_levenshtein(&seen, &plain), *word)
        })
        .filter(|(distance, word)| *distance <= (word.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_and_only_a_near_one() {
        let words = ["recv", "send", "sleep", "read_file"];
        for (seen, found) in [
            ("slep", Some("sleep")),
            ("readfile", Some("read_file")),
            ("read-file", Some("read_file")),
            ("Send", Some("send")),
            ("esnd", Some("send")),
            ("write", None),
            ("", None),
        ] {
            assert_eq!(nearest(seen, &words), found, "{seen}");
        }
        assert_eq!(advice("write", words).unwrap(), "possible here: recv, send, sleep, read_file");
        assert_eq!(nearest(&"x".repeat(10_000), &words), None);
    }
}
