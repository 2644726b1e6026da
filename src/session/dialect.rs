//! How a viewer speaks.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `weir.v1`.
    V1,
    /// Media only, as WebSocket messages.
    Raw,
    /// Media only, as the body of a response.
    Http,
}

impl Dialect {
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "weir.v1",
            Self::Raw => "weir.raw",
            Self::Http => "http",
        }
    }
}
