//! The line of a wrong duration among the pool's settings.

use std::path::Path;

use pool_core::PoolConfig;
use serde_yaml::{Mapping, Value};

use super::{ConfigProblem, lines::Lines};

/// Finds which duration in `settings` is wrong, when that is what serde complains about.
///
/// The pool's own settings reject a duration after its text was read, so that serde only knows the mapping around it.
/// Here each one that is written down is tried again by itself.
pub(super) fn wrong_duration(file: &Path, lines: &Lines, error: &serde_yaml::Error) -> Option<ConfigProblem> {
    let said = error.to_string();
    if !said.contains(" is not a duration") {
        return None;
    }
    let keys = duration_keys();
    let wrong = lines.scalars().find_map(|(path, line, text)| {
        let of_pool = path.split_once("].settings.").map(|(_, key)| key);
        let key = of_pool.or_else(|| path.strip_prefix("defaults.settings."))?;
        let refused = keys.iter().any(|known| known == key) && parse(key, text).is_err();
        refused.then_some((path, line))
    });
    let (path, line) = wrong?;
    // what is wrong, without serde's own idea of where
    let what = said.split_once(": ")?.1.split(" at line ").next()?;
    Some(ConfigProblem::new(
        file,
        Some(line),
        super::problem::without_values(&format!("{path}: {what}")),
    ))
}

/// `acquire_timeout`, `breaker.window`, ...: what the defaults write as text.
fn duration_keys() -> Vec<String> {
    fn collect(value: &Value, path: &str, keys: &mut Vec<String>) {
        for (key, value) in value.as_mapping().into_iter().flatten() {
            let Some(key) = key.as_str() else { continue };
            let path = if path.is_empty() {
                key.to_owned()
            } else {
                format!("{path}.{key}")
            };
            match value {
                Value::String(_) => keys.push(path),
                value => collect(value, &path, keys),
            }
        }
    }
    let mut keys = Vec::new();
    if let Ok(defaults) = serde_yaml::to_value(PoolConfig::default()) {
        collect(&defaults, "", &mut keys);
    }
    keys
}

fn parse(key: &str, text: &str) -> Result<PoolConfig, serde_yaml::Error> {
    let value = key
        .rsplit('.')
        .fold(Value::String(text.to_owned()), |value, key| {
            Value::Mapping(Mapping::from_iter([(Value::String(key.to_owned()), value)]))
        });
    serde_yaml::from_value(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_all_groups_are_known() {
        let keys = duration_keys();
        for key in ["acquire_timeout", "breaker.window", "health.interval"] {
            assert!(keys.iter().any(|known| known == key), "{key} in {keys:?}");
            assert!(parse(key, "5s").is_ok() && parse(key, "5").is_err(), "{key}");
        }
        assert!(!keys.iter().any(|key| key == "max_attempts"));
    }
}
