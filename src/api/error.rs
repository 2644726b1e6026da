//! Every error of the API and the problem+json that it becomes: the one map.

use crate::auth;
use crate::net::problem::Problem;
use crate::store::{self, Conflict, Role};
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use std::time::Duration;

/// Told with 503; the store is asked again at once, a person or program waits a little.
const RETRY_AFTER_S: u32 = 1;

/// By then a listener who went away is known to have gone.
const LEFT_AFTER_S: u32 = 15;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// One answer for each reason.
    #[error("a valid API key is needed: `Authorization: Bearer wk_...`, or somebody who is signed in")]
    Unauthorized,
    #[error("the role `{}` or a higher one is needed", needed.name())]
    Forbidden { needed: Role },
    #[error("too many wrong keys from this address")]
    TooManyTries { wait: Duration },
    #[error("too many wrong passwords, from this address or for this user")]
    TooManyLogins { wait: Duration },
    /// One answer for each reason.
    #[error("login and password don't fit, or the link was used before or is too old")]
    WrongLogin,
    #[error("a browser's request must come from a page of this server, with Content-Type: application/json")]
    CrossSite,
    #[error("too many sign in just now, try again")]
    Busy,
    #[error("at most {most} connections listen to events by one key or user at once")]
    TooManyListeners { most: u32 },
    #[error("the tenant is disabled: it can be looked at, and nothing can be changed")]
    TenantDisabled,
    #[error("more requests than this key may make")]
    TooManyRequests { wait: Duration },
    #[error("a request with this Idempotency-Key is being worked on, try again")]
    IdempotencyRunning,
    #[error("this Idempotency-Key was used for another request within the last 24 h")]
    IdempotencyReused,
    #[error("no such {0}")]
    NotFound(&'static str),
    #[error("{method} is not allowed here")]
    Method { method: Method, allowed: String },
    #[error("{detail}")]
    Invalid { field: String, detail: String, allowed: String },
    #[error("the body is no JSON: {0}")]
    Malformed(String),
    #[error("the body is longer than {0} bytes")]
    TooLarge(usize),
    #[error("the body is `{0}`, it must be application/json")]
    MediaType(String),
    #[error("{0}")]
    Conflict(&'static str, String),
    #[error("it was changed meanwhile: read it again, and send its ETag as If-Match")]
    Stale,
    #[error("others changed it again and again meanwhile, try again")]
    Overtaken,
    #[error("the database does not answer, try again")]
    Unavailable,
    #[error("an error of ours; the log tells more")]
    Internal,
}

impl Error {
    pub(super) fn invalid(field: &str, detail: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self::Invalid { field: field.to_owned(), detail: detail.into(), allowed: allowed.into() }
    }

    pub(super) fn problem(&self) -> Problem {
        let (status, code) = match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden { .. } => (StatusCode::FORBIDDEN, "forbidden"),
            Self::TooManyTries { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_tries"),
            Self::TooManyLogins { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_tries"),
            Self::WrongLogin => (StatusCode::UNAUTHORIZED, "wrong_login"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "cross_site"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::TooManyListeners { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_listeners"),
            Self::TenantDisabled => (StatusCode::FORBIDDEN, "tenant_disabled"),
            Self::TooManyRequests { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::IdempotencyRunning => (StatusCode::CONFLICT, "idempotency_running"),
            Self::IdempotencyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed_json"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::MediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::Conflict(code, _) => (StatusCode::CONFLICT, *code),
            Self::Stale => (StatusCode::PRECONDITION_FAILED, "stale"),
            Self::Overtaken => (StatusCode::SERVICE_UNAVAILABLE, "overtaken"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        let detail = match self {
            Self::Conflict(_, detail) => detail.clone(),
            other => other.to_string(),
        };
        let problem = Problem::new(status, code, detail);
        match self {
            Self::Invalid { field, allowed, .. } => problem.with_field(field, allowed),
            Self::TooManyTries { wait } | Self::TooManyLogins { wait } | Self::TooManyRequests { wait } => {
                problem.with_retry_after(wait.as_secs().max(1).try_into().unwrap_or(60))
            }
            Self::TooManyListeners { .. } => problem.with_retry_after(LEFT_AFTER_S),
            Self::Overtaken | Self::Unavailable | Self::Busy | Self::IdempotencyRunning => {
                problem.with_retry_after(RETRY_AFTER_S)
            }
            _ => problem,
        }
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.problem().status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.problem().to_response();
        if let Self::Method { allowed, .. } = self
            && let Ok(value) = HeaderValue::from_str(allowed)
        {
            response.headers_mut().insert(ALLOW, value);
        }
        response
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NotFound(what) => Self::NotFound(what),
            store::Error::Conflict(Conflict::Stale | Conflict::Superseded) => Self::Stale,
            store::Error::Conflict(conflict @ Conflict::Exists) => Self::Conflict("exists", conflict.to_string()),
            store::Error::Conflict(conflict @ Conflict::TooManyKeys) => {
                Self::Conflict("too_many_keys", conflict.to_string())
            }
            store::Error::Conflict(conflict @ Conflict::TooManyWebhooks) => {
                Self::Conflict("too_many_webhooks", conflict.to_string())
            }
            store::Error::Conflict(conflict @ Conflict::TooManyKeySets) => {
                Self::Conflict("too_many_key_sets", conflict.to_string())
            }
            store::Error::Unavailable(_) | store::Error::InUse(_) => {
                tracing::warn!(%error, "the API can't reach the database");
                Self::Unavailable
            }
            store::Error::Broken(_) => {
                tracing::error!(%error, "the database refused a statement of the API");
                Self::Internal
            }
        }
    }
}

impl From<auth::Error> for Error {
    fn from(error: auth::Error) -> Self {
        tracing::error!(%error, "a stored key can't be used");
        Self::Internal
    }
}
