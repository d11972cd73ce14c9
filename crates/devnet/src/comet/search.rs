//! `tx_search`: conditions over transactions, joined by AND.

use serde_json::{Value, json};

use super::internal;
use super::params::Params;
use super::transaction::{self, Transaction};
use crate::digest::{Hash, parse_hex};
use crate::rpc::{ErrorObject, Outcome};
use crate::view::View;

/// The most results a page can have.
const MAX_PER_PAGE: u64 = 100;

/// A query: a range of heights and what else must hold.
#[derive(Debug, PartialEq)]
struct Query {
    from: u64,
    to: u64,
    hash: Option<Hash>,
    /// Event attributes as `type.key`, and the value each must have.
    attributes: Vec<(String, String)>,
}

pub(super) fn search(view: &View<'_>, params: Params<'_>) -> Outcome {
    let text = params
        .text("query", 0)?
        .ok_or_else(|| ErrorObject::invalid_params("query is missing"))?;
    // Proofs can't be made of hashes that are derived; saying so beats a made-up proof.
    if params.flag("prove", 1)? {
        return Err(internal("proofs are not supported"));
    }
    let page = params.number("page", 2)?.unwrap_or(1);
    let per_page = params.number("per_page", 3)?.unwrap_or(30).clamp(1, MAX_PER_PAGE);
    let descending = match params.text("order_by", 4)? {
        None | Some("" | "asc") => false,
        Some("desc") => true,
        Some(_) => return Err(ErrorObject::invalid_params("order_by must be either asc or desc")),
    };
    let query =
        parse(text, view.tip).map_err(|reason| internal(format!("failed to parse query: {reason}")))?;
    let mut found = run(view, &query)?;
    if descending {
        found.reverse();
    }
    let pages = (found.len() as u64).div_ceil(per_page).max(1);
    if !(1..=pages).contains(&page) {
        return Err(internal(format!(
            "page should be within [1, {pages}] range, given {page}"
        )));
    }
    let skip = usize::try_from((page - 1) * per_page).unwrap_or(usize::MAX);
    let take = usize::try_from(per_page).unwrap_or(usize::MAX);
    let txs: Vec<Value> = found
        .iter()
        .skip(skip)
        .take(take)
        .map(Transaction::render)
        .collect();
    Ok(json!({ "txs": txs, "total_count": found.len().to_string() }))
}

fn run(view: &View<'_>, query: &Query) -> Result<Vec<Transaction>, ErrorObject> {
    let matches = |tx: &Transaction| {
        let attributes = tx.attributes();
        query.attributes.iter().all(|(key, value)| {
            let key = key.strip_prefix("escrow.");
            key.is_some_and(|key| attributes.iter().any(|has| has.0 == key && has.1 == *value))
        })
    };
    let (from, to) = (query.from.max(1), query.to.min(view.tip));
    if let Some(hash) = &query.hash {
        let found = transaction::find(view, hash).into_iter();
        return Ok(found
            .filter(|tx| (from..=to).contains(&tx.height))
            .filter(matches)
            .collect());
    }
    let limit = view.chain.config().max_log_range;
    if to.saturating_sub(from) >= limit {
        return Err(internal(format!(
            "query covers more than {limit} blocks: narrow it by tx.height"
        )));
    }
    Ok((from..=to)
        .flat_map(|height| transaction::of_block(view.chain, height))
        .filter(matches)
        .collect())
}

fn parse(text: &str, tip: u64) -> Result<Query, String> {
    let mut query = Query {
        from: 0,
        to: tip,
        hash: None,
        attributes: vec![],
    };
    for condition in text.split(" AND ") {
        let condition = condition.trim();
        let operator = [">=", "<=", "=", ">", "<"]
            .into_iter()
            .filter_map(|operator| Some((condition.find(operator)?, operator)))
            // The earliest, and of two at one place the longer: `>=` is listed before `>`.
            .min_by_key(|(place, _)| *place);
        let Some((place, operator)) = operator else {
            return Err(format!("no operator in {condition:?}: use =, <, <=, > or >="));
        };
        let (key, value) = (
            condition[..place].trim(),
            condition[place + operator.len()..].trim(),
        );
        apply(&mut query, key, operator, value)?;
    }
    Ok(query)
}

fn apply(query: &mut Query, key: &str, operator: &str, value: &str) -> Result<(), String> {
    let quoted = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    if key == "tx.height" {
        let height: u64 = value
            .parse()
            .map_err(|_| format!("tx.height is compared with {value:?}, not a number"))?;
        let (from, to) = match operator {
            "=" => (height, height),
            ">" => (height.saturating_add(1), u64::MAX),
            ">=" => (height, u64::MAX),
            "<" => (0, height.checked_sub(1).ok_or("no height is below 0")?),
            _ => (0, height),
        };
        query.from = query.from.max(from);
        query.to = query.to.min(to);
        return Ok(());
    }
    let value = quoted.ok_or_else(|| format!("the value of {key} must be in single quotes"))?;
    if operator != "=" {
        return Err(format!("{key} can only be compared by ="));
    }
    if key == "tx.hash" {
        let hash = parse_hex(value).and_then(|bytes| bytes.try_into().ok());
        query.hash = Some(hash.ok_or("tx.hash must be 64 hex digits")?);
    } else {
        query.attributes.push((key.to_owned(), value.to_owned()));
    }
    Ok(())
}
