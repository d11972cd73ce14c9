//! Transactions that CometBFT's application refuses inside a successful answer.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    class::Class,
    jsonrpc::{ErrorObject, shorten},
    rules::SDK_CODES,
};

/// A transaction that the application refused: `broadcast_tx_sync` and its kin answer with a *result* whose `code` is
/// not 0.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct TxRefusal {
    /// The application's code, which means something only within its codespace.
    pub code: u32,
    /// Who numbered the code: `sdk`, or a module's name.
    #[serde(default)]
    pub codespace: String,
    /// The application's words.
    #[serde(default)]
    pub log: String,
}

impl TxRefusal {
    /// Reads the result of `broadcast_tx_sync`, `_async` or `_commit`. `None` when the mempool took the transaction.
    pub fn in_result(result: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Outcome {
            /// `_commit` nests the mempool's check.
            Commit {
                check_tx: TxRefusal,
            },
            Plain(TxRefusal),
        }
        let (Outcome::Plain(outcome) | Outcome::Commit { check_tx: outcome }) =
            serde_json::from_str(result.get()).ok()?;
        (outcome.code != 0).then_some(outcome)
    }

    /// What the refusal says: by the code where the SDK numbered it, else by its words. What neither tells is the
    /// transaction's own fault.
    pub fn class(&self) -> Class {
        let numbered = SDK_CODES
            .iter()
            .find(|(code, _)| self.codespace == "sdk" && *code == self.code);
        if let Some((_, class)) = numbered {
            return *class;
        }
        let said = ErrorObject {
            code: 0,
            message: self.log.clone(),
            data: None,
        };
        match said.class() {
            Class::Unknown => Class::TxInvalid,
            class => class,
        }
    }
}

impl fmt::Display for TxRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transaction refused with code {} of ", self.code)?;
        shorten(f, &self.codespace)?;
        f.write_str(": ")?;
        shorten(f, &self.log)
    }
}

impl fmt::Debug for TxRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TxRefusal({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(result: &str) -> Option<TxRefusal> {
        TxRefusal::in_result(&RawValue::from_string(result.to_owned()).unwrap())
    }

    #[test]
    fn refusals_are_found_and_sorted() {
        assert_eq!(read(r#"{"code":0,"data":"","log":"","hash":"AA"}"#), None);
        assert_eq!(
            read(r#"{"check_tx":{"code":0},"tx_result":{"code":5},"hash":"AA"}"#),
            None
        );
        assert_eq!(read("\"odd\""), None);
        for (result, class) in [
            (
                r#"{"code":19,"codespace":"sdk","log":"tx already in mempool"}"#,
                Class::AlreadyKnown,
            ),
            (r#"{"code":32,"codespace":"sdk","log":"x"}"#, Class::NonceTooLow),
            (
                r#"{"code":5,"codespace":"sdk","log":"x"}"#,
                Class::InsufficientFunds,
            ),
            (r#"{"code":13,"codespace":"sdk","log":"x"}"#, Class::Underpriced),
            (
                r#"{"code":20,"codespace":"sdk","log":"mempool is full"}"#,
                Class::PoolFull,
            ),
            (
                r#"{"code":5,"codespace":"wasm","log":"account sequence mismatch"}"#,
                Class::NonceTooLow,
            ),
            (
                r#"{"check_tx":{"code":5,"codespace":"wasm","log":"contract says no"}}"#,
                Class::TxInvalid,
            ),
        ] {
            assert_eq!(
                read(result).map(|refusal| refusal.class()),
                Some(class),
                "{result}"
            );
        }
    }

    #[test]
    fn codes_mean_something_only_in_their_codespace() {
        for (code, class) in SDK_CODES {
            let sdk = format!(r#"{{"code":{code},"codespace":"sdk","log":"x"}}"#);
            let other = format!(r#"{{"code":{code},"codespace":"wasm","log":"x"}}"#);
            assert_eq!(read(&sdk).map(|refusal| refusal.class()), Some(*class), "{code}");
            assert_eq!(
                read(&other).map(|refusal| refusal.class()),
                Some(Class::TxInvalid),
                "{code}"
            );
        }
    }

    #[test]
    fn a_refusal_is_shown_in_one_line() {
        let refusal = read(r#"{"code":7,"codespace":"sdk","log":"a\nb"}"#).unwrap();
        assert_eq!(
            refusal.to_string(),
            "transaction refused with code 7 of sdk: a\\nb"
        );
    }
}
