//! What a pool says over what the file's `defaults` say.

use pool_core::PoolConfig;
use serde_yaml::Value;

/// The settings of the pool at this index.
///
/// Both halves have been read by themselves before, so their keys and types are right.
pub(super) fn settings(values: &Value, index: usize) -> Result<PoolConfig, serde_yaml::Error> {
    let defaults = &values["defaults"]["settings"];
    let own = &values["pools"][index]["settings"];
    let settings = if own.is_null() {
        defaults.clone()
    } else {
        merged(defaults, own)
    };
    if settings.is_null() {
        return Ok(PoolConfig::default());
    }
    serde_yaml::from_value(settings)
}

/// The second over the first, key by key. A null that is written down counts: it switches something off.
fn merged(below: &Value, above: &Value) -> Value {
    match (below, above) {
        (Value::Mapping(below), Value::Mapping(above)) => {
            let mut all = below.clone();
            for (key, value) in above {
                let value = match below.get(key) {
                    Some(under) => merged(under, value),
                    None => value.clone(),
                };
                all.insert(key.clone(), value);
            }
            Value::Mapping(all)
        }
        (_, above) => above.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_wins_key_by_key_and_null_switches_off() {
        let values: Value = serde_yaml::from_str(
            "defaults: {settings: {max_waiters: 7, hedge: {quantile: 0.9}, breaker: {jitter: 0.1, window: 5s}}}
pools:
  - settings: {breaker: {jitter: 0.3}}
  - settings: {hedge: null}
  - {}
",
        )
        .unwrap();
        let [first, off, plain] = [0, 1, 2].map(|index| settings(&values, index).unwrap());
        assert_eq!((first.max_waiters, first.breaker.jitter), (7, 0.3));
        assert_eq!(first.breaker.window.as_secs(), 5);
        assert!(first.hedge.is_some() && off.hedge.is_none());
        assert_eq!((off.max_waiters, plain.breaker.jitter), (7, 0.1));
        let nothing: Value = serde_yaml::from_str("pools: [{}]").unwrap();
        assert_eq!(settings(&nothing, 0).unwrap(), PoolConfig::default());
    }
}
