//! Who said what, where several endpoints are asked the same.

use std::fmt;

use pool_core::EndpointId;

/// Who said what.
#[derive(Clone, Debug)]
pub struct Said<A> {
    /// The endpoint; `None` where none became usable.
    pub endpoint: Option<EndpointId>,
    /// What it said.
    pub answer: A,
}

/// Everybody's words in one line.
pub(crate) struct Everybody<'a, A>(pub(crate) &'a [Said<A>]);

impl<A: fmt::Display> fmt::Display for Everybody<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Said { endpoint, answer }) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { "; " } else { "" })?;
            if let Some(endpoint) = endpoint {
                write!(f, "{endpoint}: ")?;
            }
            answer.fmt(f)?;
        }
        Ok(())
    }
}
