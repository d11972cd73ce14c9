//! What methods cost, in the units that a provider counts.

use std::{collections::BTreeMap, sync::Arc};

use pool_core::{Cost, ProviderId};

/// What each method costs with one provider, by name. Without a price a method costs one unit, as it does where requests
/// are counted.
///
/// Providers that count compute units or credits publish a list of their own, and change it; take the figures from there.
///
/// ```
/// # use pool_rpc::PriceList;
/// let prices = PriceList::new().price("*", 10).price("debug_*", 80).price("eth_blockNumber", 5);
/// assert_eq!(prices.of("eth_blockNumber"), 5);
/// assert_eq!(prices.of("debug_traceCall"), 80);
/// assert_eq!(prices.of("eth_call"), 10);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceList {
    names: BTreeMap<String, u32>,
    /// Beginnings, the longest first.
    beginnings: Vec<(String, u32)>,
}

impl PriceList {
    /// One unit for everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the price of a method, or with a `*` at the end that of all whose names begin so: the longest beginning
    /// counts, and a full name before all of them. A later price for the same replaces the first. 0 costs nothing.
    #[must_use]
    pub fn price(mut self, method: &str, units: u32) -> Self {
        if let Some(beginning) = method.strip_suffix('*') {
            self.beginnings.retain(|(known, _)| known != beginning);
            self.beginnings.push((beginning.to_owned(), units));
            self.beginnings
                .sort_by_key(|(known, _)| std::cmp::Reverse(known.len()));
        } else {
            self.names.insert(method.to_owned(), units);
        }
        self
    }

    /// What a method costs.
    pub fn of(&self, method: &str) -> u32 {
        self.names.get(method).copied().unwrap_or_else(|| {
            let mut beginnings = self.beginnings.iter();
            let longest = beginnings.find(|(beginning, _)| method.starts_with(beginning.as_str()));
            longest.map_or(1, |(_, units)| *units)
        })
    }

    fn sum<'a>(&self, methods: impl Iterator<Item = &'a str>) -> u32 {
        methods.fold(0, |sum: u32, method| sum.saturating_add(self.of(method)))
    }
}

/// The price lists of all providers, for [`RpcCall::pool_request_at`](crate::RpcCall::pool_request_at). Cheap to clone.
///
/// Where no list is known requests are counted: each method costs one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MethodCosts {
    lists: Arc<Vec<(ProviderId, PriceList)>>,
}

impl MethodCosts {
    /// One unit for every method, everywhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a provider's price list.
    #[must_use]
    pub fn at(mut self, provider: ProviderId, prices: PriceList) -> Self {
        let lists = Arc::make_mut(&mut self.lists);
        lists.retain(|(known, _)| *known != provider);
        lists.push((provider, prices));
        self
    }

    /// What these methods cost together.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "iterators are handed over, not lent"
    )]
    pub fn cost<'a>(&self, methods: impl Iterator<Item = &'a str> + Clone) -> Cost {
        let count = u32::try_from(methods.clone().count()).unwrap_or(u32::MAX);
        let lists = self.lists.iter();
        lists.fold(Cost::units(count), |cost, (provider, prices)| {
            let units = prices.sum(methods.clone());
            if units == count {
                cost
            } else {
                cost.at(provider.clone(), units)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_counts_in_its_own_units() {
        let [by_unit, by_request] = ["unit", "request"].map(|id| ProviderId::new(id).unwrap());
        let list = PriceList::new()
            .price("*", 20)
            .price("eth_get*", 15)
            .price("eth_getLogs", 60)
            .price("eth_getLogs", 75)
            .price("eth_get*", 16)
            .price("net_version", 0);
        let costs = MethodCosts::new()
            .at(by_unit.clone(), list)
            .at(by_request.clone(), PriceList::new());
        for (methods, units) in [
            (&["eth_getLogs"][..], 75),
            (&["eth_getBalance"], 16),
            (&["eth_call", "eth_call", "eth_getLogs"], 115),
            (&["net_version"], 0),
            (&[], 0),
        ] {
            let cost = costs.cost(methods.iter().copied());
            assert_eq!(cost.of(&by_unit), units, "{methods:?}");
            assert_eq!(cost.of(&by_request) as usize, methods.len());
            assert_eq!(cost.plain() as usize, methods.len());
        }
    }
}
