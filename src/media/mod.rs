//! Messages become frames, frames become fragments. All pure; knows nothing of the rest.

pub mod fragment;
pub mod fragmenter;
pub mod frame;

mod aac;
mod avc;
mod bits;
mod error;
pub mod flv;
pub mod fmp4;
mod mp3;
mod nal;
mod time;

pub use error::Error;
