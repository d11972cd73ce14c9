//! YAML (and therefore JSON) with the place of every value.
//!
//! Messages must name line and column, and all problems of a file should come out at once. Ordinary deserialisers
//! stop at the first error and know no place for what is found later. So a document is first read into a [`Node`] tree
//! that keeps every place, and typed values are made from that tree: a value that doesn't fit is reported, left out,
//! and the rest is read on.

mod de;
mod misfit;
mod overlay;
mod tree;

pub(crate) use de::typed;
pub(crate) use misfit::did_you_mean;
pub(crate) use tree::{Document, Kind, Node, Place};
