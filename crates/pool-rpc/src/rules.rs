//! The table that sorts JSON-RPC errors: codes and the words that providers really send.
//!
//! Read from the top; the first row that matches wins, so the order carries meaning. Reverts come first, for they
//! quote a contract's own words ("execution reverted: rate limit"). What a row finds by its words comes before what a
//! later row finds by a broad code: providers reuse -32000, -32005 and -32602 for everything.

use crate::class::Class;

/// One row. It matches when the code is among `codes` (or there are none) and the text holds one of `words` (or there
/// are none). Words are lower case; `^` at the beginning ties a word to the beginning of the message.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) class: Class,
    pub(crate) codes: &'static [i64],
    pub(crate) words: &'static [&'static str],
}

const fn code(class: Class, codes: &'static [i64]) -> Rule {
    Rule {
        class,
        codes,
        words: &[],
    }
}

const fn words(class: Class, words: &'static [&'static str]) -> Rule {
    Rule {
        class,
        codes: &[],
        words,
    }
}

const fn both(class: Class, codes: &'static [i64], words: &'static [&'static str]) -> Rule {
    Rule { class, codes, words }
}

/// The table.
#[rustfmt::skip]
pub(crate) const RULES: &[Rule] = &[
    code(Class::Reverted, &[3]),
    words(Class::Reverted, &[
        "execution reverted", "vm exception while processing transaction", "vm execution error", "^revert", "reverted 0x",
        "invalid opcode", "invalid jump destination", "stack underflow", "always failing transaction",
    ]),
    // Some gateways use the code of OpenEthereum's "VM execution error" for time-outs.
    both(Class::Timeout, &[-32015], &["timeout", "timed out"]),
    code(Class::Reverted, &[-32015]),

    words(Class::AlreadyKnown, &[
        "already known", "alreadyknown", "^known transaction", "already imported", "tx already exists in cache",
        "tx already in mempool", "transaction already exists", "transaction already in mempool",
        "already in the mempool",
    ]),
    words(Class::NonceTooLow, &[
        "nonce too low", "nonce is too low", "oldnonce", "account sequence mismatch", "incorrect account sequence",
        "nonce has already been used", "nonce already used",
    ]),
    words(Class::ReplacementUnderpriced, &[
        "replacement transaction underpriced", "replacement underpriced", "replacementnotallowed",
        "there is another transaction with same nonce", "replacement fee too low",
    ]),
    words(Class::Underpriced, &[
        "transaction underpriced", "max fee per gas less than block base fee", "less than block base fee",
        "fee cap less than block", "feetoolow", "fee too low", "insufficient fee", "gas price too low",
        "gas price below", "gas tip cap", "max fee per blob gas less than",
    ]),
    words(Class::InsufficientFunds, &[
        "insufficient funds", "insufficientfunds", "insufficient balance for transfer", "doesn't have enough funds",
        "insufficient sender balance",
    ]),
    words(Class::TxInvalid, &[
        "intrinsic gas too low", "exceeds block gas limit", "gas limit exceeded", "gas limit is too high", "nonce too high",
        "nonce gap", "gas required exceeds", "out of gas", "invalid sender", "invalid signature",
        "invalid chain id for signer", "transaction type not supported", "rlp:", "typed transaction too short",
        "oversized data", "tx too large", "exceeds the configured cap", "only replay-protected", "invalid transaction",
        "max initcode size exceeded", "max priority fee per gas higher than max fee", "gas uint64 overflow",
        "gas limit too high", "sender not an eoa", "address already reserved", "delegated account",
        "future transaction tries to replace",
    ]),

    // "Block range" also stands where the head is meant, and where the range is upside down.
    words(Class::UnknownBlock, &["extends beyond current head", "block is out of range", "range is beyond the head"]),
    words(Class::InvalidRequest, &["invalid block range"]),
    words(Class::RangeTooLarge, &[
        "block range", "blocks range", "query returned more than", "range is too large", "range too large",
        "range too wide", "too many blocks", "exceeds the range", "is limited to", "limited to a ", "max range",
        "maximum range", "range limit", "response size exceeded", "response size should", "response is too big",
        "response too large", "exceeds max results", "exceeds limit of results", "matched by query exceeds limit",
        "more than 10000 results", "more than 10,000 results", "batch too large", "batch size", "batch limit",
    ]),

    words(Class::QuotaSpent, &[
        "daily request count exceeded", "daily request limit", "daily limit", "daily quota", "monthly capacity",
        "monthly limit", "monthly quota", "monthly request limit", "quota exceeded", "quota has been exceeded",
        "credits limited", "out of credits", "credit limit", "exceeded its monthly", "billing", "payment required",
    ]),
    both(Class::QuotaSpent, &[-32012], &["credits"]),
    words(Class::RateLimited, &[
        "rate limit", "rate-limit", "ratelimit", "rate exceeded", "rate is exceeded", "too many requests",
        "request limit", "requests limit", "maximum number of concurrent requests", "concurrent requests limit",
        "per second capacity", "throughput", "capacity exceeded", "throttl", "limit exceeded", "exceeded the limit",
        "requests per second", "rps limit",
    ]),
    code(Class::RateLimited, &[429, -32005, -32007, -32029, -32055]),

    words(Class::Unauthorized, &[
        "api key", "apikey", "unauthorized", "unauthenticated", "forbidden", "not authorized", "authentication",
        "must be authenticated", "access denied", "project id", "jwt", "invalid token", "permission denied",
    ]),
    // It quotes the method's name, and names hold words that stand below ("trace_block does not exist").
    code(Class::Unsupported, &[-32601]),
    words(Class::Unsupported, &["does not exist/is not available"]),
    words(Class::Syncing, &[
        "syncing", "sync in progress", "not synced", "catching up", "node is not ready", "initial sync",
    ]),
    words(Class::Pruned, &[
        "missing trie node", "state not available", "state is not available", "state unavailable", "historical state",
        "no state available", "pruned", "lowest height is", "state already discarded", "archive",
        "version does not exist", "history is not available", "state histories haven't been fully indexed",
        "distance to target block exceeds", "old data not available",
    ]),
    code(Class::Pruned, &[-32014, 4444]),
    words(Class::UnknownBlock, &[
        "header not found", "header for hash not found", "block not found", "unknown block", "could not find block",
        "cannot find block", "block does not exist", "cannot query unfinalized data", "after last accepted block",
        "greater than latest", "higher than the latest", "less than or equal to the current blockchain height",
        "block not available", "blockoutofrange", "not yet available", "resource not found",
    ]),
    code(Class::UnknownBlock, &[-32001, -32019]),

    words(Class::Unsupported, &[
        "method not found", "method not supported", "unsupported method",
        "not supported", "no such method", "unknown method", "method is disabled", "method disabled", "not whitelisted",
        "method is not allowed", "method not allowed", "not available on the free", "not available in your plan",
    ]),
    code(Class::Unsupported, &[-32004]),
    words(Class::Timeout, &["timeout", "timed out", "deadline exceeded", "took too long"]),
    words(Class::PoolFull, &[
        "mempool is full", "txpool is full", "txpool overflow", "transaction pool is full", "transaction queue is full",
    ]),
    words(Class::Overloaded, &[
        "overloaded", "over capacity", "no backend", "no backends", "no healthy", "server busy", "server is busy",
        "try again later", "temporarily unavailable", "service unavailable", "bad gateway", "upstream",
    ]),
    code(Class::Overloaded, &[-32002, -32011]),
    code(Class::InvalidRequest, &[-32600, -32602, -32700, -32006]),
    words(Class::InvalidRequest, &[
        "invalid argument", "missing value for required argument", "invalid params", "invalid parameter",
        "parse error", "cannot unmarshal", "invalid hex", "hex string", "invalid request", "invalid address",
        // it lives on the node that made it, if it lives
        "filter not found", "filter with id",
    ]),
    code(Class::TxInvalid, &[-32003]),
    code(Class::Internal, &[-32603]),
];

/// Codes of the Cosmos SDK (codespace `sdk`) in results of `broadcast_tx_*`. What is not listed is sorted by its words.
#[rustfmt::skip]
pub(crate) const SDK_CODES: &[(u32, Class)] = &[
    (2, Class::TxInvalid),           // cannot be decoded
    (3, Class::NonceTooLow),         // invalid sequence
    (4, Class::TxInvalid),           // signature not accepted
    (5, Class::InsufficientFunds),
    (11, Class::TxInvalid),          // out of gas
    (12, Class::TxInvalid),          // memo too large
    (13, Class::Underpriced),        // insufficient fee
    (19, Class::AlreadyKnown),       // in the mempool's cache
    (20, Class::PoolFull),
    (21, Class::TxInvalid),          // too large
    (28, Class::TxInvalid),          // of another chain
    (30, Class::TxInvalid),          // beyond its timeout height
    (32, Class::NonceTooLow),        // wrong sequence
];
