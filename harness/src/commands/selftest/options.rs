//! What `quadrant selftest` can be told.

use clap::Args;
use quadrant_reports::format::Format;

use crate::commands::arguments;
use crate::commands::selection::SubjectOptions;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Each row is a demand and what was reached on the worst subject, against a truth that does not come
from the instruments: stalls made on purpose, known numbers of threads, known delays.

`cannot tell` means that the demand lies inside the interval of the figure, which is printed with
it: there were too few samples, or it is a close call. It is no miss.

Exit codes: 0 nothing missed, 1 something is not reached, 3 something could not be measured, 4 no
subject matches, 130 interrupted")]
pub struct SelfTestOptions {
    #[command(flatten)]
    pub subjects: SubjectOptions,
    /// Only the parts with this in their name, such as `stalls`, `threads` or `comparisons`
    #[arg(long, value_name = "NAME")]
    pub part: Option<String>,
    /// Fewer samples, in less than a third of the time: to see that it works, not to rely on
    #[arg(long)]
    pub quick: bool,
    /// Seed of all that is drawn by chance
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    #[arg(long, default_value = "table", value_parser = arguments::format(arguments::READABLE))]
    pub format: Format,
    /// Run the clock of the subjects this much too fast, in thousandths: shows that a wrong
    /// instrument is found out
    #[arg(long, value_name = "N", hide = true, default_value_t = 0)]
    pub wrong_clock: u64,
}
