//! Progress on standard error: a bar on a terminal, a line now and then elsewhere.
//!
//! Never writes to standard output.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use quadrant_reports::visible;

use crate::terminal::standard_error::{say, write_line};

pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            bar.set_style(style("{spinner} {msg}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar }
    }

    /// What is being done right now.
    pub fn say(&self, text: impl AsRef<str>) {
        if let Some(bar) = &self.bar {
            bar.set_message(visible::line(text.as_ref()).into_owned());
        }
    }

    /// One of several long steps; printed elsewhere than on a terminal, too.
    pub fn part(&self, index: usize, count: usize, text: String) {
        match &self.bar {
            Some(bar) => {
                bar.set_style(style("[{pos}/{len}] {wide_bar:.cyan/blue} {elapsed} {msg}"));
                bar.set_length(count as u64);
                bar.set_position(index as u64);
                self.say(text);
            }
            None => say!("[{}/{count}] {text}", index + 1),
        }
    }

    /// From now on the bar counts trials.
    pub fn trials(&self, count: u64) {
        if let Some(bar) = &self.bar {
            bar.set_style(style("{pos}/{len} trials {wide_bar:.cyan/blue} {eta} left  {msg}"));
            bar.set_length(count);
            bar.set_position(0);
            bar.reset_eta();
        }
    }

    pub fn more_trials(&self, count: u64) {
        if let Some(bar) = &self.bar {
            bar.inc_length(count);
        }
    }

    /// From now on the bar shows how much of an expected time has passed.
    pub fn milliseconds(&self, count: u64) {
        if let Some(bar) = &self.bar {
            bar.set_style(style("{wide_bar:.cyan/blue} {eta} left  {msg}"));
            bar.set_length(count);
            bar.set_position(0);
        }
    }

    /// The milliseconds that have passed, at most as many as were expected.
    pub fn reach(&self, position: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(position.min(bar.length().unwrap_or(0)));
        }
    }

    pub fn advance(&self, count: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(count);
        }
    }

    /// Something that stays on the screen.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.aside(|| write_line(text.as_ref()));
    }

    /// Prints while the bar is hidden.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is one of this file's own")
}
