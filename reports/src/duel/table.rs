//! A duel as tables, one for each scenario case.
//!
//! Never lays out a table by itself: it makes the tables that runs are shown in.

use super::{
    Conclusion, Decisive, DuelCase, NoResult, Ratio, Verdict, Warning, conclusion, ratio, turns_of,
};
use crate::case_table::{CaseTable, Ranked, Told};
use crate::closing::joined;
use crate::columns::{CellText, Column, Kind, Tint};
use crate::markdown;
use crate::number;
use crate::paint::{Paint, Style};
use crate::prose::{clean, plural, wrap};
use crate::remarks::{Remark, Remarks};
use crate::series::Figure;
use crate::terminal;
use crate::turns::{Start, Turn};

pub(super) fn draw(cases: &[DuelCase], concern: f64, style: Style) -> String {
    let mut text = String::new();
    for case in cases {
        text.push_str(&terminal::draw(&table(case, concern), style));
        text.push('\n');
    }
    let paint = Paint::new(style);
    let explanation = wrap(&explanation(cases, concern), style.width);
    text + &joined(explanation.iter().map(|line| paint.dim(line)).collect())
}

pub(super) fn page(cases: &[DuelCase], concern: f64) -> String {
    let mut text = String::new();
    for case in cases {
        text.push_str(&markdown::write(&table(case, concern)));
        text.push('\n');
    }
    text + &markdown::escape(&explanation(cases, concern)) + "\n"
}

fn table(duel: &DuelCase, concern: f64) -> CaseTable {
    let starts = duel.result.as_ref().map(Vec::as_slice).unwrap_or_default();
    let is_measured = duel.result.is_ok();
    let ranked = |id: &String| Ranked { id: clean(id), compared: None };
    CaseTable {
        scenario: clean(&duel.scenario),
        axes: duel
            .case
            .iter()
            .map(|axis| clean(&format!("{}={}", axis.axis, axis.value)))
            .collect(),
        workload: workload(duel, starts),
        question: clean(&duel.question),
        columns: if is_measured { columns(duel, starts, concern) } else { Vec::new() },
        subjects: if is_measured { duel.subjects.iter().map(ranked).collect() } else { Vec::new() },
        without_figures: duel
            .result
            .as_ref()
            .err()
            .map(|none| told(duel, none))
            .into_iter()
            .collect(),
        by: Figure::Throughput,
        order: None,
        remarks: Remarks {
            warnings: duel.warnings.iter().map(remark).collect(),
            ..Remarks::default()
        },
    }
}

fn remark(warning: &Warning) -> Remark {
    let subjects = warning.subject.as_deref().unwrap_or("all");
    Remark { subjects: clean(subjects), text: clean(&warning.text) }
}

fn told(duel: &DuelCase, none: &NoResult) -> Told {
    let id = none.subject.clone().unwrap_or_else(|| duel.subjects.join(", "));
    Told { id: clean(&id), status: none.status, text: clean(&none.reason) }
}

/// `64 B, closed loop, 5 starts of 11 rounds`.
fn workload(duel: &DuelCase, starts: &[Start]) -> String {
    let workload = clean(&duel.workload);
    if starts.is_empty() {
        return workload;
    }
    let rounds: usize = starts.iter().map(|start| start.first().map_or(0, Vec::len)).sum();
    let measured = format!(
        "{} in {}",
        plural(rounds as u64, "round", "rounds"),
        plural(starts.len() as u64, "start", "starts")
    );
    if workload.is_empty() { measured } else { format!("{workload}, {measured}") }
}

fn columns(duel: &DuelCase, starts: &[Start], concern: f64) -> Vec<Column> {
    let operation = clean(&duel.operation);
    let mut columns = Vec::new();
    let mut add = |kind, heading: [String; 2], cell: &dyn Fn(usize) -> CellText| {
        columns.push(Column { kind, heading, cells: (0..duel.subjects.len()).map(cell).collect() });
    };
    let all = |side: usize| turns_of(starts, side);
    let per_second = match operation.as_str() {
        "request" => "requests/s".to_owned(),
        name => format!("{name}/s"),
    };
    let against = || ["against the first".to_owned(), "ratio (99 %)".to_owned()];
    add(Kind::Change, [per_second, "in its turns".to_owned()], &|side| {
        CellText::number(Some(number::rate(all(side).ops_per_sec())))
    });
    add(Kind::Change, against(), &|side| {
        with_interval(side, ratio(starts, side, Turn::ops_per_sec))
    });
    add(Kind::Standing, [String::new(), "verdict".to_owned()], &|side| {
        let words = [("faster", Tint::Good), ("slower", Tint::Bad)];
        verdict(side, ratio(starts, side, Turn::ops_per_sec), concern, words)
    });
    add(Kind::Change, ["CPU per".to_owned(), operation.clone()], &|side| {
        CellText::number(Some(number::duration(all(side).cpu_ns_per_op() as u64)))
    });
    add(Kind::Change, against(), &|side| {
        with_interval(side, ratio(starts, side, Turn::cpu_ns_per_op))
    });
    add(Kind::Standing, [String::new(), "verdict".to_owned()], &|side| {
        let words = [("more", Tint::Bad), ("less", Tint::Good)];
        verdict(side, ratio(starts, side, Turn::cpu_ns_per_op), concern, words)
    });
    add(Kind::Standing, [String::new(), "altogether".to_owned()], &|side| {
        concluded(conclusion(starts, side, concern).filter(|_| side > 0))
    });
    columns
}

fn concluded(conclusion: Option<Conclusion>) -> CellText {
    let (rest, tint) = match conclusion {
        None => return CellText::default(),
        Some(Conclusion::Same) => ("same", Tint::Good),
        Some(Conclusion::CannotTell) => ("cannot tell", Tint::Plain),
        Some(Conclusion::Ahead { by: Decisive::Throughput }) => ("ahead", Tint::Good),
        Some(Conclusion::Behind { by: Decisive::Throughput }) => ("behind", Tint::Bad),
        Some(Conclusion::Ahead { by: Decisive::CpuPerOp }) => ("ahead by CPU", Tint::Good),
        Some(Conclusion::Behind { by: Decisive::CpuPerOp }) => ("behind by CPU", Tint::Bad),
    };
    CellText { number: String::new(), rest: rest.to_owned(), tint }
}

fn with_interval(side: usize, ratio: Option<Ratio>) -> CellText {
    let Some(ratio) = ratio.filter(|_| side > 0) else { return CellText::none() };
    CellText {
        number: number::fine_ratio(ratio.value),
        rest: format!(" ({:.3}…{:.3})", ratio.interval.low, ratio.interval.high),
        tint: Tint::Plain,
    }
}

fn verdict(
    side: usize,
    ratio: Option<Ratio>,
    concern: f64,
    [more, less]: [(&str, Tint); 2],
) -> CellText {
    let Some(ratio) = ratio.filter(|_| side > 0) else { return CellText::default() };
    let (word, tint) = match ratio.verdict(concern) {
        Verdict::More => more,
        Verdict::Less => less,
        Verdict::Same => ("same", Tint::Good),
        Verdict::CannotTell => ("cannot tell", Tint::Plain),
    };
    CellText { number: String::new(), rest: word.to_owned(), tint }
}

fn explanation(cases: &[DuelCase], concern: f64) -> String {
    let first = cases.first().and_then(|case| case.subjects.first());
    let Some(first) = first.map(|id| clean(id)) else { return String::new() };
    let concern = format!("{} %", (concern * 1e6).round() / 1e4);
    format!(
        "ratios are to {first}. faster, slower (more, less CPU): all of the 99 % interval lies to one \
         side of 1. same: it lies within {concern} of 1. cannot tell: anything else; more time would \
         tell (--time). altogether: by throughput; by CPU time per operation where throughput cannot \
         tell, or where the load driver was busy for 90 % of the time. One subject ran at a time and the others were frozen, in turns; latencies, \
         stalls and threads are for `quadrant run`."
    )
}
