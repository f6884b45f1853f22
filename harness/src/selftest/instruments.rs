//! What all instruments together cost: echo with poll wrapper, pings and looks from outside,
//! against the same without any of it, in lock-step.

use std::time::Duration;

use quadrant_reports::duel::ratio;
use quadrant_reports::selftest::row::{Bound, Row, Unit};
use quadrant_reports::turns::Turn;

use super::Part;
use super::bench::{Bench, Interrupted, Trial};
use super::extent::Extent;
use super::turns::{self, Side};

pub(super) const PART: Part = Part { name: "what the instruments cost", takes, measure };

const CONNECTIONS: u32 = 64;

fn takes(extent: &Extent, subjects: u32) -> Duration {
    (extent.cost_bout + Duration::from_millis(300)) * extent.cost_bouts * subjects
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let mut row = Row::new(
        "instruments.echo",
        "throughput that the instruments leave, echo",
        Bound::AtLeast(0.97),
        Unit::Share,
    );
    let trial = Trial::of_echo(CONNECTIONS, None, Duration::ZERO);
    let sides = [false, true].map(|measured| Side { trial: &trial, measured });
    let mut cpu = Vec::new();
    for subject in bench.shuffled("instruments") {
        match turns::starts(bench, subject, &sides, bench.extent.cost_bouts, bench.extent.cost_bout)
        {
            Ok(starts) => {
                let throughput = ratio(&starts, 1, Turn::ops_per_sec);
                row.add(
                    &subject.id,
                    throughput.map(|ratio| ratio.value),
                    starts.iter().map(|start| start[1].len() as u64).sum(),
                );
                cpu.extend(ratio(&starts, 1, Turn::cpu_ns_per_op).map(|ratio| ratio.value));
            }
            Err(unmeasured) => unmeasured.tell(&subject.id, [&mut row])?,
        }
    }
    if let Some(most) = cpu.iter().copied().reduce(f64::max) {
        row.note(format!(
            "closed loop over {CONNECTIONS} connections; its CPU time for a request is {:.3} times \
             what it is without them, at the most",
            most
        ));
    }
    Ok(vec![row])
}
