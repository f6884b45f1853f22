//! A percentage on the command line: `2`, `0.5` or `2%`.

pub fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').trim_end().parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("a number of per cent between 0 and 100 is possible, such as 2 or 0.5".to_owned()),
    }
}
