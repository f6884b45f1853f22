//! Tells a fault of the machine from one of the subject, after a trial that went wrong.

use quadrant_reports::record::Status;

use super::record::Verdict;
use crate::fixtures::{FixtureError, FixtureStore};
use crate::system::loopback;

/// Where the machine is to blame, the verdict becomes `unmeasured`, with the cause. Files that were
/// changed are written anew, for the trials to come.
pub fn excuse(verdict: Verdict, fixtures: &mut FixtureStore) -> Result<Verdict, FixtureError> {
    if !matches!(verdict.status, Status::Failed | Status::Crashed | Status::TimedOut) {
        return Ok(verdict);
    }
    let cause = match fixtures.repair()? {
        Some(damage) => Some(damage.to_string()),
        None => loopback::fault(),
    };
    Ok(match cause {
        Some(cause) => {
            let reason = verdict.reason.unwrap_or_default();
            Verdict::without_figures(Status::Unmeasured, format!("{cause} (seen as: {reason})"))
        }
        None => verdict,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn verdict(status: Status) -> Verdict {
        Verdict::without_figures(status, "3 wrong answers given".to_owned())
    }

    #[test]
    fn changed_files_excuse_one_trial_and_are_made_anew() {
        let mut store = FixtureStore::new(std::env::temp_dir());
        let failed = excuse(verdict(Status::Failed), &mut store).unwrap();
        assert_eq!(failed.status, Status::Failed);

        let path = store.files(2, 1_000).unwrap().directory().join("1");
        fs::write(&path, [0; 1_000]).unwrap();
        let unsupported = excuse(verdict(Status::Unsupported), &mut store).unwrap();
        assert_eq!(unsupported.status, Status::Unsupported);
        let excused = excuse(verdict(Status::Failed), &mut store).unwrap();
        assert_eq!(excused.status, Status::Unmeasured);
        let reason = excused.reason.unwrap();
        assert!(reason.contains("something else changes the scenario's files"), "{reason}");
        assert!(reason.ends_with("(seen as: 3 wrong answers given)"), "{reason}");

        // In the same place, where the plans of the other trials look for them.
        assert_eq!(store.files(2, 1_000).unwrap().directory().join("1"), path);
        let failed = excuse(verdict(Status::Failed), &mut store).unwrap();
        assert_eq!(failed.status, Status::Failed);
    }
}
