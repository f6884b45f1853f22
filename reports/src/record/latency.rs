//! How long operations took.
//!
//! Never rounded: the histogram is kept beside the quantiles.

use quadrant_suite::histogram::Histogram;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub min: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
    pub mean: u64,
    #[serde(deserialize_with = "ordered")]
    pub histogram: Histogram,
}

/// Quantiles lie between the least and the largest value.
fn ordered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Histogram, D::Error> {
    let histogram = Histogram::deserialize(deserializer)?;
    match histogram.is_empty() || histogram.min() <= histogram.max() {
        true => Ok(histogram),
        false => Err(D::Error::custom("the least value of a histogram is above its largest")),
    }
}

impl From<Histogram> for Latency {
    fn from(histogram: Histogram) -> Self {
        Self {
            min: histogram.min(),
            p50: histogram.quantile(0.5),
            p90: histogram.quantile(0.9),
            p99: histogram.quantile(0.99),
            p999: histogram.quantile(0.999),
            max: histogram.max(),
            mean: histogram.mean(),
            histogram,
        }
    }
}
