//! Damages JSON in ways that keep most of it as it was, so that what reads it gets far.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// How many cases a property is tried with: `PROPTEST_CASES`, or as many as take a few seconds.
pub fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(usual), ..ProptestConfig::default() }
}

/// Changes to a value, one after the other.
pub fn mutations() -> impl Strategy<Value = Vec<(Index, u8, Value)>> {
    prop::collection::vec((any::<Index>(), 0..6_u8, hostile()), 1..5)
}

fn hostile() -> impl Strategy<Value = Value> {
    let texts = ["", "\u{1b}[2J", "a\nb", "\u{202e}x", "$(x)", "..", "/", "ops > 1e999", "\u{0}"];
    let huge = [u64::MAX, u64::MAX / 2, u64::from(u32::MAX), 1 << 53, 0, 1];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::sample::select(huge.to_vec()).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![f64::MAX, f64::MIN_POSITIVE, -0.0, 1e-320]).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
    ]
}

pub fn mutated(mut value: Value, mutations: &[(Index, u8, Value)]) -> Value {
    for (place, how, other) in mutations {
        let count = places(&value);
        if let Some(node) = place_at(&mut value, &mut place.index(count)) {
            change(node, *how, other.clone());
        }
    }
    value
}

fn change(node: &mut Value, how: u8, other: Value) {
    match (how, node) {
        (0, Value::Array(items)) => drop(items.pop()),
        (0, Value::Object(entries)) => {
            let key = entries.keys().next_back().cloned();
            key.and_then(|key| entries.remove(&key));
        }
        (1, Value::Array(items)) => items.extend(items.clone()),
        (2, Value::Array(items)) => items.push(other),
        (1 | 2, Value::Object(entries)) => drop(entries.insert("other".to_owned(), other)),
        (_, node) => *node = other,
    }
}

fn places(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(places).sum(),
        Value::Object(entries) => entries.values().map(places).sum(),
        _ => 0,
    }
}

fn place_at<'v>(value: &'v mut Value, left: &mut usize) -> Option<&'v mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| place_at(item, left)),
        Value::Object(entries) => entries.values_mut().find_map(|item| place_at(item, left)),
        _ => None,
    }
}
