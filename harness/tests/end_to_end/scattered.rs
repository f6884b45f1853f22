//! Files of records whose cases lie scattered: after each trial of one case comes one of another.
//! Benches use them too.

use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::path::Path;

/// Of each of that many cases.
const SUBJECTS: u32 = 2;
pub const TRIALS: u32 = 5;
pub const RECORDS_OF_CASE: u32 = SUBJECTS * TRIALS;

/// Writes the same records scattered or case by case, in the same order within each case.
pub fn write(path: &Path, cases: u32, is_scattered: bool) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let outer = if is_scattered { 1 } else { cases };
    for first in 0..outer {
        let cases = if is_scattered { 0..cases } else { first..first + 1 };
        for trial in 0..TRIALS {
            for subject in 0..SUBJECTS {
                for case in cases.clone() {
                    record(&mut file, case, subject, trial)?;
                }
            }
        }
    }
    file.flush()
}

fn record(file: &mut impl Write, case: u32, subject: u32, trial: u32) -> Result<()> {
    let (runtime, connections, bytes) = (subject, case % 1_000, case / 1_000);
    let ops = 19_000 + (case * 7 + subject * 311 + trial * 13) % 3_000;
    let p99 = 10_000_000 + ops;
    write!(
        file,
        r#"{{"schema":1,"run_id":"r","seed":1,"scenario":"echo","question":"How many?","workload":"64 B, closed loop","case":[{{"axis":"connections","value":"{connections}"}},{{"axis":"bytes","value":"{bytes}"}}],"trial":{trial},"subject":{{"id":"runtime-{runtime}/multi-thread/epoll","runtime":"runtime-{runtime}","version":"1.0.0","executor":"multi-thread","backend":"epoll","workers":2}},"cpus":{{"subject":[0],"driver":[1]}},"status":"ok","metrics":{{"operation":"request","ops":{ops},"errors":0,"elapsed_ns":1000000000,"ops_per_sec":{ops}.5,"#
    )?;
    write!(
        file,
        r#""latency_ns":{{"min":20508,"p50":3620864,"p90":6848512,"p99":{p99},"p999":12910592,"max":13553700,"mean":4090732,"histogram":{{"count":26,"sum":78672971,"min":20508,"max":13553700,"buckets":[[592,1],[594,1],[668,1],[684,2],[689,1],[693,1],[701,1],[705,2],[706,1],[708,1],[709,1],[712,3],[715,1],[717,1],[718,1],[720,1],[721,3],[725,1],[729,1],[730,1]]}}}},"concurrency":{{"peak":256,"mean":256.0}},"threads":{{"peak":4,"mean":4.0,"loops":2,"kernel":0,"method":"pids cgroup","names":{{}}}},"#
    )?;
    writeln!(
        file,
        r#""stalls":{{"threshold_ns":10000000,"count":0,"longest_ns":0,"total_ns":0,"count_1ms":58,"count_100ms":0,"polls":26703}},"cpu_ns":291894358,"context_switches":{{"voluntary":654,"involuntary":631}},"rss_bytes":{{"start":6545408,"peak":6656000}}}},"warnings":[],"expectations":[],"took_ns":1061127155}}"#
    )
}
