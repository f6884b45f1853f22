//! The behaviour kit: small questions about a runtime, one check for each.
//!
//! A check runs in a process of its own, on a runtime that does nothing else. It never compares
//! runtimes, and never knows the name of the one that it runs on. If a runtime hangs or ends the
//! process, the check cannot answer: the harness notices that from outside.

mod cancelling;
mod cancelling_io;
mod connect_storm;
mod connection;
mod fairness;
mod files;
mod lab;
mod many_connections;
mod nesting;
mod offloading;
mod operations;
mod process;
mod quadrant;
mod shared_stream;
mod shutdown;
mod tasks;
mod tcp;
mod timers;
mod wakes;

use std::future::pending;

use serde::{Deserialize, Serialize};

use crate::check_part::Part;
use crate::description::Capability;
pub use crate::outcome::Verdict;
use crate::plan::PlannedCheck;
use crate::runtime::{Refusal, Runtime, Task, Work};
use crate::scene::Scene;
use lab::Lab;

/// One question.
#[derive(Debug)]
pub struct Check {
    pub id: &'static str,
    pub question: &'static str,
    pub kind: Kind,
    /// What a runtime needs besides tasks.
    pub needs: &'static [Capability],
    /// Why the answer matters, and which public bug shows it.
    pub why: &'static str,
    /// Where runtimes may differ: the answers in words.
    words: &'static [&'static str],
    place: Place,
}

impl Check {
    /// For the plan of its process.
    pub fn planned(&self) -> PlannedCheck {
        let needs = self.needs.iter().copied().chain([Capability::Tasks]).collect();
        PlannedCheck { id: self.id.to_owned(), needs }
    }

    /// The answers that a team may rely on; none where the answer is a number.
    pub fn answers(&self) -> Vec<&'static str> {
        match self.kind {
            Kind::Must => vec!["pass"],
            // The harness notices the last two from outside.
            Kind::Differs => [self.words, &[ENDS_ALL, "hangs", "crashes"]].concat(),
            Kind::Metric => Vec::new(),
        }
    }
}

/// The answer where the runtime, or the check's own task, was ended.
const ENDS_ALL: &str = "ends all";

/// What the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Pass or fail: every runtime with the needed capabilities has to satisfy it.
    Must,
    /// One of several words: runtimes may differ.
    Differs,
    /// A number.
    Metric,
}

/// Where a check runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a task of the runtime.
    Task,
    /// In the future that the runtime was started with.
    Root,
    /// Beside the runtime, which it starts and ends, more than once if need be.
    Outside,
}

/// Declares the checks of a file, and the function that runs one of them. `Differs` has the possible
/// answers behind it; a function that several checks use has its further arguments behind it.
macro_rules! checks {
    ($($id:literal, $place:ident, $kind:ident $(($($word:literal),+))?, [$($need:ident),*], $run:ident $(($($argument:expr),+))?, $question:literal, $why:literal;)+) => {
        pub(super) const CHECKS: &[super::Check] = &[$(super::Check {
            id: $id,
            question: $question,
            kind: super::Kind::$kind,
            needs: &[$(crate::description::Capability::$need),*],
            why: $why,
            words: &[$($($word),+)?],
            place: super::Place::$place,
        }),+];

        /// `None` if the check is in another file.
        pub(super) async fn run<R: crate::runtime::Runtime>(
            lab: &super::Lab<R>,
            id: &str,
        ) -> Option<super::Verdict> {
            // Boxed, so that a task is not as large as the largest of all checks.
            Some(match id {
                $($id => Box::pin($run(lab $($(, $argument)+)?)).await,)+
                _ => return None,
            })
        }
    };
}
use checks;

/// Declares the groups of checks that run on a runtime, and the function that runs one of them.
macro_rules! groups {
    ($($name:literal: $file:ident,)+) => {
        /// All checks, by subject matter.
        pub const GROUPS: &[(&str, &[Check])] =
            &[$(($name, $file::CHECKS),)+ ("shutting down", shutdown::CHECKS)];

        async fn run<R: Runtime>(lab: &Lab<R>, id: &str) -> Option<Verdict> {
            $(if let Some(verdict) = $file::run(lab, id).await {
                return Some(verdict);
            })+
            None
        }
    };
}

groups! {
    "wakes": wakes,
    "tasks": tasks,
    "fairness": fairness,
    "timers": timers,
    "cancelling and panicking": cancelling,
    "cancelling operations": cancelling_io,
    "nesting": nesting,
    "offloading": offloading,
    "tcp": tcp,
    "one stream in two tasks": shared_stream,
    "many connections": many_connections,
    "files": files,
    "the process": process,
    "quadrants": operations,
}

pub fn all() -> impl Iterator<Item = &'static Check> {
    GROUPS.iter().flat_map(|(_, checks)| *checks)
}

pub fn named(id: &str) -> Option<&'static Check> {
    all().find(|check| check.id == id)
}

/// Runs a check that starts the runtime itself; `None` if it is another kind of check.
pub(crate) fn outside(
    scene: &'static Scene,
    id: &str,
    start: &dyn Fn() -> Result<(), Refusal>,
) -> Option<Verdict> {
    let check = named(id)?;
    (check.place == Place::Outside).then(|| shutdown::run(&lab::Outside::new(scene, start), id))
}

/// The verdict where the runtime, or the check's own task, was ended instead of answering.
pub(crate) fn ended(scene: &Scene, how: String) -> Verdict {
    let check = scene.plan().check.as_ref().and_then(|check| named(&check.id));
    if check.is_some_and(|check| check.kind == Kind::Differs) {
        Verdict::answer(ENDS_ALL, how)
    } else if lab::panics_on_purpose() {
        let reason = format!("the panic of one task ends more than this task here: {how}");
        Verdict::Unsupported { reason }
    } else {
        Verdict::fail(how)
    }
}

/// Says that this library has no check.
#[cfg(not(feature = "checks"))]
pub(crate) async fn at_root<R: Runtime>(scene: &'static Scene, _: &str, _: R, _: bool) {
    let reason = "the library was built without the behaviour kit: build it with `--features \
                  quadrant-suite/checks`";
    scene.refuse(Refusal::Failed(reason.to_owned()));
}

/// What a root does during a check.
#[cfg(feature = "checks")]
pub(crate) async fn at_root<R: Runtime>(
    scene: &'static Scene,
    id: &str,
    runtime: R,
    is_first: bool,
) {
    let Some(check) = named(id) else {
        let reason = format!("the adapter has no check `{id}`: build it again");
        return scene.refuse(Refusal::Failed(reason));
    };
    match check.place {
        Place::Outside => {
            if let Some(part) = scene.take_root_part().filter(|_| is_first) {
                part.run(Lab::new(scene, runtime)).await;
            }
        }
        // The process ends with the answer, so this root has only to stay alive.
        _ if !is_first => pending().await,
        Place::Root => answer(scene, runtime).await,
        Place::Task => {
            let task = Task::new(scene, &runtime, Work::Check(Part::Main));
            if let Err(error) = R::join(runtime.spawn(task)).await {
                scene.answer(Verdict::fail(format!("the task of the check was lost: {error}")));
            }
        }
    }
}

/// Runs the check of the plan and hands in its verdict.
pub(crate) async fn answer<R: Runtime>(scene: &'static Scene, runtime: R) {
    let Some(PlannedCheck { id, .. }) = &scene.plan().check else { return };
    let lab = Lab::new(scene, runtime);
    let verdict = run(&lab, id).await;
    let verdict = verdict.unwrap_or_else(|| Verdict::fail(format!("there is no check `{id}`")));
    scene.answer(verdict);
}

#[cfg(test)]
mod tests;
