//! Rules with limits of single pools, to be proven beside the default ones.

use std::path::Path;

use crate::{generate::rules, model::rules::Rule, spec::Spec};

/// Two pools with limits of their own, one above and one below that of all others.
pub(super) const QUEUE: &str = "ConnectionPoolQueueGrowing_by_pool";
/// One pool with a limit of its own, in an expression of two metrics.
pub(super) const UTILIZATION: &str = "ConnectionPoolHighUtilization_by_pool";
/// All of them.
pub(super) const NAMES: [&str; 2] = [QUEUE, UTILIZATION];

const SPEC: &str = "alerts:\n  \
    ConnectionPoolQueueGrowing: { pools: { high: { threshold: 40 }, low: { threshold: 5 } } }\n  \
    ConnectionPoolHighUtilization: { pools: { high: { threshold: 0.9 } } }\n";

/// Every rule that is proven, with its name there.
pub(super) fn rules() -> Vec<(String, Rule)> {
    let of = |spec: &Spec| {
        let file = rules::rule_file(spec);
        file.groups.into_iter().flat_map(|group| group.rules)
    };
    let default = of(&Spec::default()).map(|rule| (rule.name().to_owned(), rule));
    // A constant: the tests below would fail without it.
    let spec = Spec::parse(SPEC, Path::new("by-pool.yaml")).unwrap_or_default();
    let by_pool = of(&spec).filter_map(|rule| {
        let name = NAMES
            .into_iter()
            .find(|name| name.strip_suffix("_by_pool") == Some(rule.name()))?;
        Some((name.to_owned(), rule))
    });
    default.chain(by_pool).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_single_pools_are_among_what_is_proven() {
        let rules = rules();
        for name in NAMES {
            let rule = rules.iter().find(|(own, _)| own == name);
            assert!(
                rule.is_some_and(|(_, rule)| rule.expr.contains("pool=\"high\"")),
                "{name}"
            );
        }
    }
}
