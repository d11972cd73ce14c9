//! Methods as needs: what the pool routes by, without knowing what a method is.

use std::{
    collections::BTreeMap,
    sync::{OnceLock, PoisonError, RwLock},
};

use pool_core::Need;

use crate::{jsonrpc::RpcRequest, method_rules::MethodRules};

/// Names of methods and their numbers, for the whole process: an endpoint may be in several pools.
#[derive(Debug, Default)]
struct Names {
    numbers: BTreeMap<Box<str>, Need>,
    /// By number.
    names: Vec<Box<str>>,
}

static NAMES: OnceLock<RwLock<Names>> = OnceLock::new();

fn names() -> &'static RwLock<Names> {
    NAMES.get_or_init(RwLock::default)
}

/// The need for a method. `None` once [`Need::LIMIT`] different ones are known: such a method is not routed.
pub(crate) fn need_of(method: &str) -> Option<Need> {
    need_within(method, Need::LIMIT)
}

/// The same, while fewer than so many are known.
fn need_within(method: &str, limit: u32) -> Option<Need> {
    let known = names().read().unwrap_or_else(PoisonError::into_inner);
    if let Some(need) = known.numbers.get(method) {
        return Some(*need);
    }
    drop(known);
    let mut known = names().write().unwrap_or_else(PoisonError::into_inner);
    // somebody may have been faster
    if let Some(need) = known.numbers.get(method) {
        return Some(*need);
    }
    let number = u32::try_from(known.names.len()).ok()?;
    let need = Need::new(number).filter(|_| number < limit)?;
    known.names.push(method.into());
    known.numbers.insert(method.into(), need);
    Some(need)
}

/// The need for all methods of a batch together: that of the only one, or one of its own for several.
pub(crate) fn need_of_all(requests: &[RpcRequest]) -> Option<Need> {
    let mut methods: Vec<&str> = requests.iter().map(RpcRequest::method).collect();
    methods.sort_unstable();
    methods.dedup();
    match methods.as_slice() {
        [] => None,
        [method] => need_of(method),
        // no name of a method holds a space; there are more combinations than methods, and they must not use up all
        several => need_within(&several.join(" "), Need::LIMIT / 2),
    }
}

/// Whether these rules let all methods through that the need stands for.
pub(crate) fn is_offered(rules: &MethodRules, need: Need) -> bool {
    let known = names().read().unwrap_or_else(PoisonError::into_inner);
    let name = known.names.get(need.number() as usize);
    name.is_none_or(|methods| methods.split(' ').all(|method| rules.offer(method)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_is_the_same_need() {
        let (a, b) = (need_of("test_needA"), need_of("test_needB"));
        assert!(a.is_some() && a != b && need_of("test_needA") == a);
        let request = |method| RpcRequest::raw(method, None);
        assert_eq!(need_of_all(&[]), None);
        assert_eq!(need_of_all(&[request("test_needA"), request("test_needA")]), a);
        let both = need_of_all(&[request("test_needB"), request("test_needA")]);
        assert_eq!(both, need_of_all(&[request("test_needA"), request("test_needB")]));
        assert!(both != a && both != b);
    }

    #[test]
    fn a_batch_needs_all_of_its_methods() {
        let rules = MethodRules::new().deny(["test_needD"]).unwrap();
        let request = |method| RpcRequest::raw(method, None);
        let offered = |methods: &[&'static str]| {
            let requests: Vec<_> = methods.iter().map(|method| request(*method)).collect();
            is_offered(&rules, need_of_all(&requests).unwrap())
        };
        assert!(offered(&["test_needC"]) && !offered(&["test_needD"]));
        assert!(!offered(&["test_needC", "test_needD"]));
    }
}
