//! The records of a file case by case, wherever in the file they lie.
//!
//! Never keeps a record: of each it takes the place of its line, so that memory grows by a few bytes
//! with each record and by one case at a time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write;
use std::io::{BufReader, Read, Seek};

use crate::record::read::{Heading, ReadError, Records};
use crate::record::{AxisValue, Record};

/// A file of records that was read once: where the lines of each case begin.
pub struct Cases<R> {
    records: Records<BufReader<R>>,
    /// Where all lines begin, case by case, in the order in which the cases end in the file.
    lines: Vec<Line>,
    /// The number of each case, by run, scenario and axes.
    numbers: HashMap<String, usize>,
    /// By the number of a case.
    cases: Vec<Case>,
    /// The names of the axes of each scenario, one after the other.
    axes: Vec<String>,
    /// By the number of a scenario: the line that it ends with.
    scenario_ends: Vec<u64>,
    /// How many of `lines` were given out.
    given: usize,
    /// Where the last whole record ends.
    end: u64,
}

struct Line {
    begin: u64,
    bytes: u32,
    case: u32,
}

struct Case {
    scenario: usize,
    /// Where its last line begins.
    end: u64,
}

/// All records of one case.
pub struct WholeCase {
    /// At least one. Of a trial that was repeated only the last record is among them.
    pub records: Vec<Record>,
    /// Whether it is the last case of its scenario.
    pub ends_scenario: bool,
}

impl<R: Read + Seek> Cases<R> {
    /// Reads the headings of the file. Any line without one is an error, except an unfinished last
    /// one.
    pub fn find(file: R) -> Result<Self, ReadError> {
        let mut records = Records::new(BufReader::new(file));
        let (mut lines, mut cases, mut scenario_ends) =
            (Vec::new(), Vec::<Case>::new(), Vec::new());
        let (mut numbers, mut scenarios, mut axes) = (HashMap::new(), HashMap::new(), Vec::new());
        while let Some(record) = records.read::<Heading>()? {
            let end = records.begin();
            let next = cases.len();
            let case =
                *numbers.entry(key(&record.run_id, &record.scenario, &record.case)).or_insert(next);
            if case == next {
                let scenario = (record.run_id, record.scenario);
                let next = scenario_ends.len();
                let scenario = *scenarios.entry(scenario).or_insert(next);
                if scenario == next {
                    scenario_ends.push(end);
                    axes.extend(record.case.into_iter().map(|it| it.axis));
                }
                cases.push(Case { scenario, end });
            }
            cases[case].end = end;
            scenario_ends[cases[case].scenario] = end;
            lines.push(Line { begin: end, bytes: records.bytes(), case: case as u32 });
        }
        lines.sort_unstable_by_key(|line| (cases[line.case as usize].end, line.begin));
        let end = records.end();
        Ok(Self { records, lines, numbers, cases, axes, scenario_ends, given: 0, end })
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The names of the axes of all scenarios.
    pub fn axes(&self) -> impl Iterator<Item = &str> {
        self.axes.iter().map(String::as_str)
    }

    /// Where the last whole record ends.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// A warning if the file ends within a record.
    pub fn broken_end(&self) -> Option<&str> {
        self.records.broken_end()
    }

    /// The next case; the one that ends first in the file comes first.
    pub fn next_case(&mut self) -> Result<Option<WholeCase>, ReadError> {
        let Some(line) = self.lines.get(self.given) else { return Ok(None) };
        let Case { scenario, end } = self.cases[line.case as usize];
        let records = self.read(self.given)?;
        while self
            .lines
            .get(self.given)
            .is_some_and(|line| self.cases[line.case as usize].end == end)
        {
            self.given += 1;
        }
        let ends_scenario = self.scenario_ends[scenario] == end;
        Ok(Some(WholeCase { records, ends_scenario }))
    }

    /// The records of one case, none if the file has none.
    pub fn of(
        &mut self,
        run_id: &str,
        scenario: &str,
        axes: &[AxisValue],
    ) -> Result<Vec<Record>, ReadError> {
        let Some(case) = self.numbers.get(&key(run_id, scenario, axes)) else {
            return Ok(Vec::new());
        };
        let end = self.cases[*case].end;
        self.read(self.lines.partition_point(|line| self.cases[line.case as usize].end < end))
    }

    /// The records of the case whose lines begin with this one.
    fn read(&mut self, first: usize) -> Result<Vec<Record>, ReadError> {
        let case = self.lines[first].case;
        let mut records: Vec<Record> = Vec::new();
        let mut known = HashMap::new();
        for line in self.lines[first..].iter().take_while(|line| line.case == case) {
            let record = self.records.at(line.begin, line.bytes)?;
            let (pass, group, trial, subject) = record.trial_key();
            match known.entry((pass, group, trial, subject.to_owned())) {
                Entry::Occupied(place) => records[*place.get()] = record,
                Entry::Vacant(place) => {
                    place.insert(records.len());
                    records.push(record);
                }
            }
        }
        Ok(records)
    }
}

fn key(run_id: &str, scenario: &str, axes: &[AxisValue]) -> String {
    // Lengths keep texts apart that contain the separator.
    let mut key = format!("{} {} {run_id}{scenario}", run_id.len(), scenario.len());
    for AxisValue { axis, value } in axes {
        let _ = write!(key, " {} {} {axis}{value}", axis.len(), value.len());
    }
    key
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::record::Status;
    use crate::tests::sample;

    fn by_case(records: &[Record]) -> Vec<Vec<Record>> {
        sample::whole_cases(records).into_iter().map(|case| case.records).collect()
    }

    #[test]
    fn cases_come_in_the_order_of_their_ends() {
        let (first, second) = (sample::everything(), sample::open_loop());
        let cases = by_case(&[first.clone(), second.clone()].concat());
        assert_eq!(cases, [first, second]);
    }

    #[test]
    fn cases_that_lie_apart_come_together() {
        let mut again = sample::ok("a/b/c", 1, 20.0, 5);
        let lost = sample::no_figures("a/b/c", 1, Status::Unmeasured, Some("interrupted"));
        let first = vec![sample::ok("a/b/c", 0, 10.0, 5), lost];
        let between = sample::open_loop();
        let cases = by_case(&[first.clone(), between.clone(), vec![again.clone()]].concat());
        assert_eq!(cases, [between, vec![first[0].clone(), again.clone()]]);
        again.run_id = "another".into();
        assert_eq!(by_case(&[first[0].clone(), again]).len(), 2);
    }

    #[test]
    fn a_case_is_found_by_its_names() {
        let (first, second) = (sample::everything(), sample::open_loop());
        let mut cases = sample::file(&[&first[1..], &second, &first[..1]].concat());
        let mut of = |one: &Record| cases.of(&one.run_id, &one.scenario, &one.case).unwrap();
        assert_eq!(of(&second[0]), second);
        assert_eq!(of(&first[0]), [&first[1..], &first[..1]].concat());
        assert_eq!(of(&Record { run_id: "another".into(), ..first[0].clone() }), []);
    }

    #[test]
    fn a_record_with_a_mistake_is_refused_with_its_line() {
        let line = |record: &Record| serde_json::to_string(record).unwrap() + "\n";
        let good = line(&sample::ok("a/b/c", 0, 10.0, 5));
        let bad = good.replacen("\"trial\":0", "\"trial\":[]", 1);
        let text = [&good, "\n", &bad, &good].concat();
        let mut cases = Cases::find(Cursor::new(text)).unwrap();
        let error = cases.next_case().map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("line 3 is not a record: invalid type: sequence"), "{error}");
    }

    #[test]
    fn names_that_only_look_alike_are_kept_apart() {
        let axes = |axis: &str, value: &str| [AxisValue { axis: axis.into(), value: value.into() }];
        assert_ne!(key("a", "bc", &[]), key("ab", "c", &[]));
        assert_ne!(key("a", "b", &axes("c", "de")), key("a", "b", &axes("cd", "e")));
        assert_ne!(key("a", "b 1 1 cd", &[]), key("a", "b", &axes("c", "d")));
    }

    #[test]
    fn a_scenario_ends_with_its_last_case() {
        let of_case = |connections: &str| {
            let mut record = sample::ok("a/b/c", 0, 10.0, 5);
            record.case[0].value = connections.into();
            record
        };
        let other = sample::open_loop().remove(0);
        let cases = sample::whole_cases(&[of_case("1"), other, of_case("64")]);
        let ended: Vec<bool> = cases.iter().map(|case| case.ends_scenario).collect();
        assert_eq!(ended, [false, true, true]);
    }
}
