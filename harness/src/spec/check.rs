//! What can be told of a scenario without knowing any axis: its parts fit together.
//!
//! Never looks at a value that may be `$axis`.

use super::document::{Document, Expect};
use super::error::{Place, Problem};
use super::limits;
use super::names;
use super::step::Step;
use quadrant_reports::number::grouped;

/// What records call one operation of a server.
const OPERATION_OF_A_SERVER: &str = "request";

pub(super) fn parts(document: &Document) -> Result<(), Problem> {
    names::check(&document.name)?;
    names::check_question(&document.question)?;
    match (&document.server, &document.load) {
        (Some(server), None) => {
            return Err(Problem::new(
                server.referenced.into(),
                "a server without `load` is never asked anything",
            )
            .help("add `load: { connections: 50, send: 64B }`".to_owned()));
        }
        (None, Some(load)) => {
            return Err(Problem::new(load.referenced.into(), "there is no `server` for this load")
                .help("add `server: { steps: [echo] }`".to_owned()));
        }
        (None, None) if document.tasks.is_empty() => {
            return Err(Problem::new(
                document.name.at,
                "this scenario does nothing: it has neither `server` nor `tasks`",
            ));
        }
        _ => {}
    }
    groups(document)?;
    document
        .expect
        .iter()
        .try_for_each(|expect| expectation(&expect.value, expect.referenced.into()))?;
    step_count(document)
}

fn groups(document: &Document) -> Result<(), Problem> {
    for (index, group) in document.tasks.iter().enumerate() {
        let group = &group.value;
        names::check(&group.name)?;
        if group.name.text == OPERATION_OF_A_SERVER {
            return Err(Problem::new(
                group.name.at,
                "`request` is what an operation of a server is called; take another name",
            ));
        }
        let before = document.tasks[..index].iter();
        if let Some(first) = before.map(|g| &g.value.name).find(|n| n.text == group.name.text) {
            return Err(Problem::new(
                group.name.at,
                format!("the tasks in line {} are named `{}` already", first.at.line, first.text),
            ));
        }
        if let (Some(_), Some(repeat)) = (&group.every, &group.repeat) {
            return Err(Problem::new(
                repeat.at,
                "tasks have either `every` (on a schedule) or `repeat` (so many times), not both",
            ));
        }
    }
    Ok(())
}

fn expectation(expect: &Expect, at: Place) -> Result<(), Problem> {
    if expect.metrics.is_empty() {
        return Err(Problem::new(at, "this expects nothing")
            .help("name a figure, for example `stalls.count: 0`".to_owned()));
    }
    Ok(())
}

fn step_count(document: &Document) -> Result<(), Problem> {
    let server = document.server.iter().map(|server| &server.value.steps);
    let tasks = document.tasks.iter().map(|group| &group.value.steps);
    let mut waiting: Vec<&[Step]> = server.chain(tasks).map(Vec::as_slice).collect();
    let mut count = 0;
    while let Some(list) = waiting.pop() {
        for step in list {
            count += 1;
            if count > limits::STEPS {
                return Err(Problem::new(
                    step.at,
                    format!(
                        "there are too many steps; a scenario can have {}",
                        grouped(limits::STEPS as u64)
                    ),
                ));
            }
            waiting.extend(step.body.lists());
        }
    }
    Ok(())
}
