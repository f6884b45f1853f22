//! What the check of a read costs within the measured time, as a share of the read: `cargo bench
//! -p quadrant --bench check_cost`.
//!
//! Against the plain call on a file in the page cache, the shortest read there is, on the same
//! bytes right after it. Comparing all of them stands beside it.

use std::hint::black_box;
use std::process::ExitCode;

use quadrant::fixtures::Fixtures;
use quadrant::system::clock;
use quadrant_suite::clock::stamp;
use quadrant_suite::file_check::{check_whole, check_windows};

/// The share of a read that its check may take.
const DEMAND: f64 = 0.01;
const SIZES: [(u64, usize); 4] =
    [(4 << 10, 20_000), (64 << 10, 10_000), (1 << 20, 1_000), (64 << 20, 30)];

fn main() -> ExitCode {
    clock::choose().install();
    let shares = SIZES.map(|(bytes, reads)| share(bytes, reads));
    let is_reached = shares.iter().all(|share| *share <= DEMAND);
    println!(
        "demand: {DEMAND} of the read{}",
        if is_reached { "" } else { ", not reached by all" }
    );
    if is_reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn share(bytes: u64, reads: usize) -> f64 {
    let set = Fixtures::files(&std::env::temp_dir(), 1, bytes)
        .expect("the folder for temporary files has room");
    let (files, path) = (set.file_set(false), set.directory().join("0"));
    let [mut read, mut windows, mut whole, mut nothing] =
        [(); 4].map(|()| Vec::with_capacity(reads));
    for turn in 0..reads as u64 {
        let began = stamp();
        let contents = std::fs::read(&path).expect("the file was made just now");
        let was_read = stamp();
        let right = check_windows(&files, 0, &contents, turn.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let was_checked = stamp();
        let empty = stamp();
        black_box((right, check_whole(&files, 0, &contents))).0.expect("it is what was written");
        whole.push(stamp() - empty);
        nothing.push(empty - was_checked);
        windows.push(was_checked - was_read);
        read.push(was_read - began);
    }
    let nothing = median(&mut nothing);
    let [read, windows, whole] =
        [read, windows, whole].map(|mut times| (median(&mut times) - nothing) as f64);
    println!(
        "{:>6} KiB  windows {:.4} of the read, all bytes {:.4}",
        bytes >> 10,
        windows / read,
        whole / read
    );
    windows / read
}

fn median(times: &mut [u64]) -> u64 {
    times.sort_unstable();
    times[times.len() / 2]
}
