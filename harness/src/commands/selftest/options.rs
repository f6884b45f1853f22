//! The options of `quadrant selftest`.

use clap::Args;
use quadrant_reports::selftest::report::Format;

use crate::commands::selection::SubjectOptions;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Each row has a demand and the figure reached on the worst subject. The truth never comes from the
instruments under test: injected stalls, known numbers of threads, known delays.

`cannot tell` means that the demand lies inside the interval of the figure, which is then printed:
there were too few samples, or it is a close call. It does not count as a failure.

Exit codes: 0 no demand is missed, 1 a demand is not reached, 3 something could not be measured,
4 no subject matches, 130 interrupted")]
pub struct SelfTestOptions {
    #[command(flatten)]
    pub subjects: SubjectOptions,
    /// Only the parts with this in their name, such as `stalls`, `threads` or `comparisons`
    #[arg(long, value_name = "NAME")]
    pub part: Option<String>,
    /// Fewer samples, in less than a third of the time: for a first look, not for conclusions
    #[arg(long)]
    pub quick: bool,
    /// Seed of everything that is drawn at random
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// table, json or markdown
    #[arg(long, default_value = "table", value_parser = format)]
    pub format: Format,
    /// Make the instruments' clock this many thousandths too fast, to show that wrong instruments
    /// are detected
    #[arg(long, value_name = "N", hide = true, default_value_t = 0)]
    pub wrong_clock: u64,
}

fn format(word: &str) -> Result<Format, &'static str> {
    match word {
        "table" => Ok(Format::Table),
        "json" => Ok(Format::Json),
        "markdown" => Ok(Format::Markdown),
        _ => Err("there is table, json and markdown"),
    }
}
