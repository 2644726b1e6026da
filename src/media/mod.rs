//! Messages become frames, frames become fragments. All pure; knows nothing of the rest.

pub mod flv;
pub mod fmp4;
pub mod fragment;
pub mod fragmenter;
pub mod frame;

mod aac;
mod av1;
mod avc;
mod bits;
mod error;
mod flac;
mod hevc;
mod mp3;
mod nal;
mod opus;
mod time;
mod vp9;

pub use error::Error;
