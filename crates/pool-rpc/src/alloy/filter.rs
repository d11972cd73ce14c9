//! What a call has to do with filters.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::jsonrpc::{ErrorObject, RpcRequest};

/// What a call does with a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FilterCall {
    /// It makes one; the result is its id.
    Make,
    /// It asks one.
    Ask(FilterId),
    /// It ends one.
    End(FilterId),
}

/// A filter's id as its user has it; `None` when no transport has given it out.
pub(super) type FilterId = Option<u64>;

impl FilterCall {
    /// What a request does; `None` when it has nothing to do with filters, or its parameters are not those of such a
    /// call: then any node can say so.
    pub(super) fn of(request: &RpcRequest) -> Option<Self> {
        match request.method() {
            "eth_newFilter" | "eth_newBlockFilter" | "eth_newPendingTransactionFilter" => Some(Self::Make),
            "eth_getFilterChanges" | "eth_getFilterLogs" => Some(Self::Ask(id(request)?)),
            "eth_uninstallFilter" => Some(Self::End(id(request)?)),
            _ => None,
        }
    }
}

/// The id that a request names.
fn id(request: &RpcRequest) -> Option<FilterId> {
    let [id]: [Cow<'_, str>; 1] = serde_json::from_str(request.params()?.get()).ok()?;
    let digits = id.strip_prefix("0x")?;
    Some(u64::from_str_radix(digits, 16).ok())
}

/// What a node says of a filter that it does not know, in the words that alloy's pollers look for.
pub(super) fn not_found() -> ErrorObject {
    ErrorObject {
        code: -32000,
        message: "filter not found".to_owned(),
        data: None,
    }
}

/// Whether a node says so, in its own words. alloy knows only one wording of it.
pub(super) fn is_not_found(error: &ErrorObject) -> bool {
    let message = error.message.to_lowercase();
    message.contains("filter not found")
        || (message.contains("filter with id") && message.contains("does not exist"))
}

/// What a node says when there was no filter to end.
pub(super) fn nothing_ended() -> Box<RawValue> {
    RawValue::FALSE.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_say_in_many_words_that_a_filter_is_gone() {
        let said = |message: &str| {
            is_not_found(&ErrorObject {
                message: message.to_owned(),
                ..not_found()
            })
        };
        assert!(said("filter not found") && said("Filter not found."));
        assert!(said("Filter with id: 0x1 does not exist."));
        assert!(!said("header not found") && !said("method does not exist"));
    }

    #[test]
    fn calls_are_told_by_method_and_parameters() {
        let of = |method: &'static str, params: &str| {
            FilterCall::of(&RpcRequest::raw(
                method,
                Some(RawValue::from_string(params.to_owned()).unwrap()),
            ))
        };
        assert_eq!(of("eth_newFilter", "[{}]"), Some(FilterCall::Make));
        assert_eq!(
            of("eth_getFilterChanges", r#"["0x1f"]"#),
            Some(FilterCall::Ask(Some(31)))
        );
        assert_eq!(
            of("eth_uninstallFilter", r#"["0x1f"]"#),
            Some(FilterCall::End(Some(31)))
        );
        // a node's own id: longer than ours
        assert_eq!(
            of("eth_getFilterLogs", r#"["0x1234567890abcdef1234567890abcdef"]"#),
            Some(FilterCall::Ask(None))
        );
        for wrong in ["[]", "[1]", r#"["1"]"#, r#"["0x1","0x2"]"#, "{}"] {
            assert_eq!(of("eth_getFilterChanges", wrong), None, "{wrong}");
        }
        assert_eq!(of("eth_getLogs", "[{}]"), None);
    }
}
