//! A number with its noun: "1 trial", "3 trials". Never groups digits or knows odd plurals.

pub fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
