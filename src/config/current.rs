//! A setting that may change while a node runs: read anew at each use.

use std::sync::{Arc, PoisonError, RwLock};

#[derive(Debug, Default)]
pub struct Current<T>(Arc<RwLock<T>>);

impl<T: Clone> Current<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new(RwLock::new(value)))
    }

    pub fn get(&self) -> T {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

/// Of the same setting.
impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
