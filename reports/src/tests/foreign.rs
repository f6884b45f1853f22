//! Records from elsewhere: whatever they hold, they are refused with a reason, or reported whole.

use std::io::Cursor;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::{mutate, sample};
use crate::comparison::{Comparison, Names, Options};
use crate::format::Format;
use crate::record::Record;
use crate::record::by_case::Cases;
use crate::record::read::Records;
use crate::report::Reporter;
use crate::style::Style;
use crate::view::View;
use crate::visible::is_hidden;

/// No panic, and nothing that changes a terminal.
fn assert_reported(records: &[Record]) {
    let lines = records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n");
    let mut found = Cases::find(Cursor::new(lines.collect::<String>())).unwrap();
    let mut cases = Vec::new();
    while let Some(case) = found.next_case().unwrap() {
        cases.push(case.records);
    }
    let assert_plain = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains(|c| is_hidden(c) && c != '\n' && c != '\t'), "{text:?}");
    };
    let axis = records.iter().find_map(|record| Some(record.case.first()?.axis.clone()));
    let views = [None, axis].map(|rows| View { rows, ..View::default() });
    for (format, view) in Format::OF_RECORDS.iter().flat_map(|it| views.clone().map(|v| (*it, v))) {
        let style = Style { color: false, width: 100 };
        let mut reporter = Reporter::new(Vec::new(), format, style, view).unwrap();
        cases.iter().for_each(|case| reporter.case(case).unwrap());
        assert_plain(&reporter.finish().unwrap().0);
    }
    let options = || Options { metric: None, threshold: 0.02 };
    let side = || {
        let mut side = options().side();
        cases.iter().for_each(|case| side.add(case));
        side
    };
    let comparison = Comparison::of(side(), side(), options());
    for format in [Format::Table, Format::Json, Format::Markdown] {
        let mut output = Vec::new();
        comparison.write(&mut output, format, &Names::default(), Style::PLAIN).unwrap();
        assert_plain(&output);
    }
}

static SAMPLES: LazyLock<Vec<Record>> = LazyLock::new(|| {
    [sample::everything(), sample::open_loop(), sample::both_passes(), sample::with_evidence()]
        .concat()
});

proptest! {
    #![proptest_config(mutate::cases(100))]

    #[test]
    fn damaged_records_are_refused_or_reported(
        which in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        mutations in mutate::mutations(),
    ) {
        let record = serde_json::to_value(which.get(&SAMPLES)).unwrap();
        let text = mutate::mutated(record, &mutations).to_string() + "\n";
        match Records::new(text.as_bytes()).next() {
            Some(Ok(record)) => {
                let again = serde_json::to_string(&record).unwrap();
                let again = Records::new(again.as_bytes()).next().unwrap().unwrap();
                // Not by `==`, which no record with a NaN passes.
                prop_assert_eq!(format!("{record:?}"), format!("{again:?}"));
                assert_reported(&[record, other.get(&SAMPLES).clone()]);
            }
            Some(Err(error)) => prop_assert!(error.to_string().starts_with("line 1 "), "{error}"),
            None => prop_assert!(false, "a whole line is never skipped"),
        }
    }

    #[test]
    fn damaged_lines_are_refused_or_read(
        which in any::<prop::sample::Index>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..40_usize, any::<Vec<u8>>()), 1..4),
    ) {
        let mut bytes = serde_json::to_vec(which.get(&SAMPLES)).unwrap();
        for (at, length, inserted) in cuts {
            let from = at.index(bytes.len() + 1);
            let to = (from + length).min(bytes.len());
            bytes.splice(from..to, inserted);
        }
        bytes.push(b'\n');
        for record in Records::new(bytes.as_slice()) {
            match record {
                Ok(record) => assert_reported(&[record]),
                Err(error) => prop_assert!(error.to_string().starts_with("line "), "{error}"),
            }
        }
    }
}
