//! Messages become frames, frames become fragments. All pure; knows nothing of the rest.

pub mod fragment;
pub mod frame;
