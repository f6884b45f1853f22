//! Made-up sweeps whose crossovers are known.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::random::SplitMix;
use crate::record::{AxisValue, LoadMetrics, Status};
use crate::style::Style;
use crate::table::Item;
use crate::tests::sample;
use crate::{markdown, terminal};

const IO_URING: &str = "compio/per-core/io_uring";
const EPOLL: &str = "compio/per-core/epoll";
const POLL: &str = "compio/per-core/poll";

/// Three trials of one subject at each value of one axis, within 1 % of so many requests a second.
fn cases(axis: &str, values: &[&str], subjects: &[(&str, &[f64])]) -> Vec<Vec<Record>> {
    let case = |(index, value): (usize, &&str)| {
        let of_subject = |(id, rates): &(&str, &[f64])| {
            (0..3)
                .map(|trial| sample::ok(id, trial, rates[index] * drift(trial, id), 300))
                .collect::<Vec<_>>()
        };
        let mut records: Vec<Record> = subjects.iter().flat_map(of_subject).collect();
        for record in &mut records {
            record.case = vec![AxisValue { axis: axis.into(), value: (*value).into() }];
        }
        records
    };
    values.iter().enumerate().map(case).collect()
}

/// Most of it hits all subjects alike, some of it not.
fn drift(trial: u32, id: &str) -> f64 {
    let own = if id.len().is_multiple_of(2) { 0.002 } else { -0.002 };
    1.0 + 0.01 * f64::from(trial) + own * f64::from(trial % 2)
}

fn parts_of(cases: &[Vec<Record>]) -> Vec<Part> {
    let mut crossovers = Crossovers::new(true);
    cases.iter().for_each(|case| crossovers.add(case));
    let Some(first) = cases.iter().flatten().next() else { return crossovers.end_all() };
    let parts = crossovers.end(&first.run_id, &first.scenario);
    assert_eq!(crossovers.end_all(), []);
    parts
}

fn items(cases: &[Vec<Record>]) -> Vec<Item> {
    let lists = parts_of(cases).into_iter().filter_map(|part| match part {
        Part::List(items) => Some(items),
        _ => None,
    });
    lists.flatten().collect()
}

fn sentences(cases: &[Vec<Record>]) -> Vec<String> {
    let mut last = String::new();
    let sentence = |Item { name, text, details, .. }: Item| {
        last = if name.is_empty() { last.clone() } else { name };
        let lines: Vec<String> = std::iter::once(text).chain(details).collect();
        format!("{last}: {}", lines.join(": "))
    };
    items(cases).into_iter().map(sentence).collect()
}

/// What the first sweep is by.
fn by(cases: &[Vec<Record>]) -> String {
    let Part::Heading(heading) = &parts_of(cases)[0] else { panic!("no heading") };
    heading.facts.last().unwrap().clone()
}

const VALUES: [&str; 5] = ["1", "4", "16", "64", "256"];

/// The only sentence of two backends of one runtime, by the rates of io_uring beside 100 of epoll.
#[track_caller]
fn check(rates: [f64; 5], expected: &str) {
    let cases = cases("connections", &VALUES, &[(IO_URING, &rates), (EPOLL, &[100.0; 5])]);
    assert_eq!(sentences(&cases), [format!("compio/per-core: {expected}")]);
}

#[test]
fn one_overtakes_the_other() {
    check(
        [90.0, 95.0, 95.0, 110.0, 150.0],
        "io_uring overtakes epoll between 16 and 64, at about 30: \
         epoll ahead at 1…16 (1.05×…1.11×), io_uring ahead at 64…256 (1.10×…1.50×)",
    );
    check(
        [200.0, 140.0, 120.0, 100.0, 50.0],
        "epoll overtakes io_uring between 16 and 256: io_uring ahead at 1…16 (1.20×…2.00×), \
         the same at 64, epoll ahead at 256 (2.00×)",
    );
}

#[test]
fn none_does() {
    check(
        [200.0, 150.0, 120.0, 110.0, 105.0],
        "io_uring is ahead of epoll everywhere (1.05×…2.00×)",
    );
    check([100.0; 5], "epoll and io_uring are the same everywhere");
    check(
        [120.0, 110.0, 105.0, 100.0, 100.0],
        "epoll is not seen to overtake io_uring: io_uring ahead at 1…16 (1.05×…1.20×), \
         the same at 64…256",
    );
}

#[test]
fn several_times() {
    check(
        [110.0, 90.0, 100.0, 110.0, 90.0],
        "epoll and io_uring change places 3 times (epoll goes ahead between 1 and 4, at about 2; \
         io_uring goes ahead between 4 and 64; epoll goes ahead between 64 and 256, at about 100): \
         io_uring ahead at 1 (1.10×), epoll ahead at 4 (1.11×), the same at 16, \
         io_uring ahead at 64 (1.10×), epoll ahead at 256 (1.11×)",
    );
}

#[test]
fn trials_that_vary_too_much_make_no_crossover() {
    let mut cases =
        cases("connections", &["1", "4"], &[(IO_URING, &[90.0, 130.0]), (EPOLL, &[100.0; 2])]);
    let spread = [1.0, 0.4, 1.9];
    for record in cases[1].iter_mut().filter(|record| record.subject.id == IO_URING) {
        let trial = record.trial as usize;
        record.metrics.as_mut().unwrap().ops_per_sec *= spread[trial];
    }
    assert_eq!(
        sentences(&cases),
        ["compio/per-core: io_uring is not seen to overtake epoll: epoll ahead at 1 (1.11×), \
          cannot tell at 4"]
    );
    cases.remove(0);
    assert_eq!(sentences(&cases), Vec::<String>::new(), "one value is no sweep");
}

#[test]
fn nothing_is_claimed_with_less_than_half_known() {
    let mut cases = cases("connections", &VALUES, &[(IO_URING, &[120.0; 5]), (EPOLL, &[100.0; 5])]);
    let spread = [1.0, 0.4, 1.9];
    for record in cases[2..].iter_mut().flatten().filter(|record| record.subject.id == IO_URING) {
        let trial = record.trial as usize;
        record.metrics.as_mut().unwrap().ops_per_sec *= spread[trial];
    }
    assert_eq!(
        sentences(&cases),
        ["compio/per-core: cannot tell whether epoll overtakes io_uring: \
          io_uring ahead at 1…4 (1.20×), cannot tell at 16…256"]
    );
}

#[test]
fn a_value_without_figures_is_named_and_bridged() {
    let mut cases = cases(
        "connections",
        &VALUES,
        &[(IO_URING, &[90.0, 90.0, 120.0, 120.0, 120.0]), (EPOLL, &[100.0; 5])],
    );
    let of_io_uring = |record: &Record| record.subject.id == IO_URING;
    // One bad trial takes the figures of its cell.
    let crashed = cases[1].iter_mut().find(|record| of_io_uring(record)).unwrap();
    (crashed.status, crashed.metrics) = (Status::Crashed, None);
    cases[4].retain(|record| !of_io_uring(record));
    assert_eq!(
        sentences(&cases),
        ["compio/per-core: io_uring overtakes epoll between 1 and 16: epoll ahead at 1 (1.11×), \
          nothing of io_uring at 4 (crashed), io_uring ahead at 16…64 (1.20×), \
          nothing of io_uring at 256 (not measured)"]
    );
    for record in cases.iter_mut().flatten().filter(|record| of_io_uring(record)) {
        (record.status, record.metrics) = (Status::Unsupported, None);
    }
    assert_eq!(sentences(&cases), Vec::<String>::new(), "the tables say that it is unsupported");
}

fn limit(record: &mut Record) {
    let metrics = record.metrics.as_mut().unwrap();
    let load = sample::load(4, 4, None);
    metrics.load = Some(LoadMetrics { busy_ns: metrics.elapsed_ns / 100 * 97, ..load });
}

#[test]
fn cpu_time_decides_if_the_driver_is_limited() {
    let rates = [90.0, 100.0, 100.0, 100.0, 100.0];
    let mut cases = cases("connections", &VALUES, &[(IO_URING, &rates), (EPOLL, &[100.0; 5])]);
    let of_io_uring = [6_000, 5_700, 5_200, 5_000, 4_800];
    for (case, cpu_ns) in cases.iter_mut().zip(of_io_uring) {
        for record in case.iter_mut() {
            let metrics = record.metrics.as_mut().unwrap();
            let cpu_ns = if record.subject.id == IO_URING { cpu_ns } else { 5_400 };
            metrics.cpu_ns = metrics.ops * cpu_ns;
        }
    }
    cases[3..].iter_mut().flatten().for_each(limit);
    assert_eq!(by(&cases), "by CPU per request, as the load driver was the limit at some values");
    assert_eq!(
        sentences(&cases),
        ["compio/per-core: io_uring overtakes epoll between 4 and 16, at about 9: epoll ahead at \
          1…4 (1.06×…1.11×), io_uring ahead at 16…256 (1.04×…1.13×)"]
    );
}

#[test]
fn three_backends_meet_two_by_two() {
    let cases = cases(
        "connections",
        &["4", "64"],
        &[(IO_URING, &[80.0, 130.0]), (EPOLL, &[100.0, 100.0]), (POLL, &[110.0, 60.0])],
    );
    assert_eq!(
        sentences(&cases),
        [
            "compio/per-core: io_uring overtakes epoll between 4 and 64, at about 10: \
             epoll ahead at 4 (1.25×), io_uring ahead at 64 (1.30×)",
            "compio/per-core: epoll overtakes poll between 4 and 64, at about 6: \
             poll ahead at 4 (1.10×), epoll ahead at 64 (1.66×)",
            "compio/per-core: io_uring overtakes poll between 4 and 64, at about 9: \
             poll ahead at 4 (1.38×), io_uring ahead at 64 (2.17×)",
        ]
    );
}

#[test]
fn the_best_of_each_backend_are_compared() {
    let cases = cases(
        "connections",
        &["1", "64"],
        &[
            ("tokio/current-thread/epoll", &[100.0, 90.0]),
            ("mio/callbacks/epoll", &[80.0, 120.0]),
            ("glommio/per-core/io_uring", &[70.0, 150.0]),
            ("threads/thread-per-task/blocking", &[140.0, 20.0]),
        ],
    );
    insta::assert_snapshot!(sentences(&cases).join("\n"));
}

#[test]
fn other_axes_are_held() {
    let mut all =
        cases("size", &["4KiB", "64B"], &[(IO_URING, &[120.0, 90.0]), (EPOLL, &[100.0; 2])]);
    let mut waiting =
        cases("size", &["4KiB", "64B"], &[(IO_URING, &[80.0, 80.0]), (EPOLL, &[100.0; 2])]);
    let held = |cases: &mut [Vec<Record>], how: &str| {
        for record in cases.iter_mut().flatten() {
            record.case.insert(0, AxisValue { axis: "how".into(), value: how.into() });
        }
    };
    held(&mut all, "await");
    held(&mut waiting, "blocking");
    all.extend(waiting);
    let style = Style { color: false, width: 100 };
    let parts = parts_of(&all);
    insta::assert_snapshot!(format!(
        "{}\n{}",
        terminal::draw(&parts, style),
        markdown::write(&parts)
    ));
}

#[test]
fn latency_decides_at_a_fixed_rate() {
    let mut cases =
        cases("rate", &["100/s", "2000/s"], &[(IO_URING, &[100.0; 2]), (EPOLL, &[100.0; 2])]);
    for (case, latencies_us) in cases.iter_mut().zip([[300, 200], [300, 900]]) {
        for record in case {
            let latency_us = latencies_us[usize::from(record.subject.id == EPOLL)];
            *record = Record {
                metrics: sample::ok(&record.subject.id, record.trial, 100.0, latency_us).metrics,
                ..record.clone()
            };
            record.metrics.as_mut().unwrap().load = Some(sample::load(4, 4, Some(100)));
        }
    }
    assert_eq!(by(&cases), "by p99 latency");
    assert_eq!(
        sentences(&cases),
        ["compio/per-core: io_uring overtakes epoll between 100/s and 2000/s, at about 200/s: \
          epoll ahead at 100/s (1.49×), io_uring ahead at 2000/s (3.01×)"]
    );
}

#[test]
fn one_trial_gives_an_unsure_result() {
    let mut cases =
        cases("connections", &["1", "4"], &[(IO_URING, &[90.0, 130.0]), (EPOLL, &[100.0; 2])]);
    cases.iter_mut().for_each(|case| case.retain(|record| record.trial == 0));
    assert!(parts_of(&cases).contains(&Part::Text(Tint::Dim, UNSURE.to_owned())));
    // No place is printed that would only look exact.
    let expected = "~io_uring seems to overtake epoll between 1 and 4";
    assert_eq!(items(&cases)[0].text, expected);
}

#[test]
fn several_changes_in_one_trial_are_chance() {
    let rates = [90.0, 110.0, 110.0, 90.0, 110.0];
    let mut cases = cases("connections", &VALUES, &[(IO_URING, &rates), (EPOLL, &[100.0; 5])]);
    cases.iter_mut().for_each(|case| case.retain(|record| record.trial == 0));
    assert_eq!(items(&cases)[0].text, "~cannot tell epoll from io_uring");
}

#[test]
fn words_one_value_and_one_backend_are_no_sweep() {
    let pair: [(&str, &[f64]); 2] = [(IO_URING, &[90.0, 130.0]), (EPOLL, &[100.0; 2])];
    assert_eq!(parts_of(&cases("how", &["await", "blocking"], &pair)), []);
    assert_eq!(parts_of(&cases("connections", &["1"], &pair)), []);
    assert_eq!(parts_of(&cases("connections", &["1", "4"], &pair[..1])), []);
    assert_eq!(parts_of(&[]), []);
    let mut without_axes = cases("connections", &["1", "4"], &pair);
    without_axes.iter_mut().flatten().for_each(|record| record.case.clear());
    assert_eq!(parts_of(&without_axes), []);
}

/// Copies of one subject, 2 % of noise a trial, seven values: how often luck makes a crossover.
#[test]
fn copies_seldom_cross() {
    let mut random = SplitMix(11);
    let values = ["1", "2", "4", "8", "16", "32", "64"];
    let (mut seeming, mut said) = (0, 0);
    for _ in 0..200 {
        let equal = [100.0; 7];
        let mut cases = cases("connections", &values, &[(IO_URING, &equal), (EPOLL, &equal)]);
        for record in cases.iter_mut().flatten() {
            let noise = 1.0 + 0.02 * random.normal();
            record.metrics.as_mut().unwrap().ops_per_sec = 100.0 * noise;
        }
        let headline = &items(&cases)[0].text;
        seeming += usize::from(headline.contains(" seem"));
        let crosses = headline.contains(" overtakes ") && !headline.starts_with("cannot tell");
        said += usize::from(crosses || headline.contains(" change places"));
    }
    assert!(seeming <= 12, "{seeming} of 200");
    assert!(said <= 1, "{said} of 200");
}

prop_compose! {
    fn records()(
        subject in prop::sample::select(vec![IO_URING, EPOLL, POLL, "a/b/epoll", "odd", "a/b"]),
        value in prop::sample::select(vec!["0", "1", "4", "1e9", "64B", "4KiB", "2s", "", "99999999999999999999"]),
        other in prop::sample::select(vec!["0", "1", "await"]),
        axes in 0_usize..3,
        trial in 0_u32..3,
        rate in prop::sample::select(vec![0.0, 1.0, 100.0, 1e300, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY]),
        status in prop::sample::select(vec![Status::Ok, Status::Crashed, Status::Unsupported, Status::Unmeasured]),
        limited in any::<bool>(),
    ) -> Record {
        let id = if subject.matches('/').count() == 2 { subject } else { "x/y/z" };
        let mut record = sample::ok(id, trial, rate, 300);
        record.subject.id = subject.into();
        if limited {
            limit(&mut record);
        }
        if status != Status::Ok {
            (record.status, record.metrics) = (status, None);
        }
        record.case = [("n", value), ("m", other)]
            .into_iter()
            .take(axes)
            .map(|(axis, value)| AxisValue { axis: axis.into(), value: value.into() })
            .collect();
        record
    }
}

proptest! {
    #[test]
    fn no_record_causes_a_panic(records in prop::collection::vec(records(), 0..40)) {
        let mut crossovers = Crossovers::new(true);
        let mut cases: BTreeMap<String, Vec<Record>> = BTreeMap::new();
        for record in records {
            cases.entry(format!("{:?}", record.case)).or_default().push(record);
        }
        cases.values().for_each(|case| crossovers.add(case));
        let parts = crossovers.end_all();
        terminal::draw(&parts, Style { color: true, width: 40 });
        markdown::write(&parts);
        for part in &parts {
            if let Part::Heading(heading) = part {
                prop_assert!(heading.facts[0].contains(", "));
            }
        }
    }
}
