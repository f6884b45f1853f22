//! "Did you mean": the known word nearest to an unknown one.
//!
//! Never guesses far: a word that resembles no known one gets the list of all instead.

/// The nearest word, or all of them, as a hint.
pub fn hint<'a>(seen: &str, words: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(word) = nearest(seen, words.clone()) {
        return Some(format!("did you mean {}?", quoted(word)));
    }
    let words: Vec<&str> = words.into_iter().collect();
    (!words.is_empty()).then(|| format!("possible here: {}", words.join(", ")))
}

/// The word that was probably meant. `connections` also finds `echo/connections`.
pub fn nearest<'a>(seen: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A word from a file may be as long as the file; the distance is quadratic in it.
    if seen.chars().nth(64).is_some() {
        return None;
    }
    let plain = |word: &str| word.to_lowercase().replace(['_', ' '], "-");
    let seen = plain(seen);
    let distance = |word: &str| {
        let distance = strsim::damerau_levenshtein(&seen, &plain(word));
        (distance <= (word.chars().count() / 3).max(1)).then_some(distance)
    };
    let distances = words.into_iter().filter_map(|word| {
        let last = word.rsplit('/').next().unwrap_or(word);
        Some((distance(word).into_iter().chain(distance(last)).min()?, word))
    });
    distances.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// A word from the user in backquotes, cut to a length that fits a line.
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_and_only_a_near_one() {
        let words = ["recv", "send", "sleep", "read_file", "tasks/timers"];
        for (seen, found) in [
            ("slep", Some("sleep")),
            ("readfile", Some("read_file")),
            ("read-file", Some("read_file")),
            ("Send", Some("send")),
            ("esnd", Some("send")),
            ("timer", Some("tasks/timers")),
            ("task/timers", Some("tasks/timers")),
            ("write", None),
            ("", None),
        ] {
            assert_eq!(nearest(seen, words), found, "{seen}");
        }
        assert_eq!(hint("write", ["recv", "send"]).unwrap(), "possible here: recv, send");
        assert_eq!(hint("write", []), None);
        assert_eq!(nearest(&"x".repeat(10_000), words), None);
    }
}
