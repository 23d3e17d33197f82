//! What can go wrong: one closed list, the same on both sides of the wire.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use crate::json::{push_number, push_string};

/// Whose fault a failure is; the `type` member of an error body.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// The request is wrong: the caller must change it.
    InvalidRequest,
    /// The credential is missing, dead or too weak.
    Permission,
    /// The caller asked too often.
    RateLimit,
    /// The edge or a backend failed.
    Server,
    /// The answer never came whole: seen by a client only, never sent by the edge.
    Connection,
}

impl Kind {
    /// The spelling on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Permission => "permission_error",
            Self::RateLimit => "rate_limit_error",
            Self::Server => "server_error",
            Self::Connection => "connection_error",
        }
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $spelling:literal, $status:literal, $kind:ident, $retry:literal;)+) => {
        /// Why a call failed.
        ///
        /// Each code has one spelling on the wire, one HTTP status, one [`Kind`], and one answer to
        /// whether the same request may be sent again. Source: the platform's error table; the
        /// connection codes are ours, because a client must name failures that never had a status.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// Every code. Tests and the README's table walk this list.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The spelling on the wire and in JavaScript. Never changes once released.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $spelling,)+ }
            }

            /// The HTTP status the edge answers with; 0 for a failure that has no answer.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)+ }
            }

            /// Whether the same request, sent again unchanged, may succeed.
            #[must_use]
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$name => $retry,)+ }
            }

            /// The code of a wire spelling; `None` for one that is not ours.
            #[must_use]
            pub fn from_spelling(spelling: &str) -> Option<Self> {
                match spelling { $($spelling => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

codes! {
    /// The request is not JSON, or a field is missing, of the wrong type or out of range.
    BadRequest = "bad_request", 400, InvalidRequest, false;
    /// A one-time code that is wrong, used up or too old.
    InvalidCode = "invalid_code", 400, InvalidRequest, false;
    /// No credential, or one that is malformed, forged or unknown.
    Unauthorized = "unauthorized", 401, Permission, false;
    /// A good signature past its time.
    TokenExpired = "token_expired", 401, Permission, false;
    /// A token or session that was revoked.
    TokenRevoked = "token_revoked", 401, Permission, false;
    /// The e-mail address and the password do not go together.
    InvalidCredentials = "invalid_credentials", 401, Permission, false;
    /// The password is right, the address not yet confirmed.
    EmailNotConfirmed = "email_not_confirmed", 403, Permission, false;
    /// The password is right, the account suspended.
    AccountSuspended = "account_suspended", 403, Permission, false;
    /// The personal access token lacks the scope that the route needs.
    InsufficientScope = "insufficient_scope", 403, Permission, false;
    /// A personal access token where only a JWT may go.
    PatNotAllowed = "pat_not_allowed", 403, Permission, false;
    /// An admin-only scope asked for by somebody who is not one.
    AdminScopesRequired = "admin_scopes_required", 403, Permission, false;
    /// None of the user's organizations has a plan with personal access tokens.
    PlanRequired = "plan_required", 403, Permission, false;
    /// No such route or resource.
    NotFound = "not_found", 404, InvalidRequest, false;
    /// No backend has this model.
    ModelNotFound = "model_not_found", 404, InvalidRequest, false;
    /// The path exists, not with this method.
    MethodNotAllowed = "method_not_allowed", 405, InvalidRequest, false;
    /// The model cannot do what was asked of it.
    CapabilityNotSupported = "capability_not_supported", 409, InvalidRequest, false;
    /// Something of this name exists already.
    Duplicate = "duplicate", 409, InvalidRequest, false;
    /// The user has as many active tokens as anyone may have.
    TokenLimitReached = "token_limit_reached", 409, InvalidRequest, false;
    /// The body is larger than the limit.
    RequestTooLarge = "request_too_large", 413, InvalidRequest, false;
    /// The headers are larger than the limit.
    HeadersTooLarge = "headers_too_large", 431, InvalidRequest, false;
    /// The body is not JSON where JSON is due.
    UnsupportedMediaType = "unsupported_media_type", 415, InvalidRequest, false;
    /// Too many requests or tokens, or too many failed sign-ins.
    RateLimited = "rate_limited", 429, RateLimit, true;
    /// The edge's own fault; the details are in its log.
    InternalError = "internal_error", 500, Server, true;
    /// A backend answered nonsense, or stopped in mid-answer.
    UpstreamError = "upstream_error", 502, Server, true;
    /// No backend that serves this model can be reached.
    NoBackendAvailable = "no_backend_available", 503, Server, true;
    /// A backend took too long.
    UpstreamTimeout = "upstream_timeout", 504, Server, true;
    /// The server could not be reached, or the connection broke before an answer.
    ConnectionFailed = "connection_failed", 0, Connection, true;
    /// No answer within the time the caller allowed.
    Timeout = "timeout", 0, Connection, true;
    /// The caller gave up on purpose.
    Aborted = "aborted", 0, Connection, false;
    /// The stream ended before the answer did.
    StreamTruncated = "stream_truncated", 0, Connection, false;
    /// The stream, or an answer, is not of the documented form.
    ResponseMalformed = "response_malformed", 0, Connection, false;
}

impl Code {
    /// What a status alone tells, for an answer whose body has no code of ours.
    #[must_use]
    pub const fn from_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthorized,
            403 => Self::InsufficientScope,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::Timeout,
            409 => Self::CapabilityNotSupported,
            413 => Self::RequestTooLarge,
            415 => Self::UnsupportedMediaType,
            429 => Self::RateLimited,
            431 => Self::HeadersTooLarge,
            400..=499 => Self::BadRequest,
            502 => Self::UpstreamError,
            503 => Self::NoBackendAvailable,
            504 => Self::UpstreamTimeout,
            500..=599 => Self::InternalError,
            _ => Self::ResponseMalformed,
        }
    }
}

/// A failure: a [`Code`] for programs, a message for people.
///
/// The message is safe to show to the caller: it holds no secret, no prompt, no internal address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// What happened.
    pub code: Code,
    /// One sentence for a person.
    pub message: Cow<'static, str>,
    /// The request field at fault, in dotted form (`messages.0.role`).
    pub param: Option<Cow<'static, str>>,
    /// How long to wait before trying again, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// The scope that was missing, with [`Code::InsufficientScope`].
    pub required_scope: Option<&'static str>,
}

impl Error {
    /// A failure with its sentence.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), param: None, retry_after_ms: None, required_scope: None }
    }

    /// A [`Code::BadRequest`] that names the field at fault.
    #[must_use]
    pub fn bad_param(param: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { param: Some(param.into()), ..Self::new(Code::BadRequest, message) }
    }

    /// A [`Code::ResponseMalformed`]: `what` is larger than the limit.
    #[must_use]
    pub(crate) fn too_large(what: &str, limit_bytes: usize) -> Self {
        let mut message = String::from(what);
        message.push_str(" is larger than ");
        push_number(&mut message, limit_bytes as u64);
        message.push_str(" bytes.");
        Self::new(Code::ResponseMalformed, message)
    }

    /// When to try again, in milliseconds; for a fault of the servers a short wait where none is known.
    /// `None`: trying again is no use, or needs no wait.
    #[must_use]
    pub fn wait_ms(&self) -> Option<u64> {
        const SERVER_WAIT_MS: u64 = 1000;
        let default = matches!(self.code.kind(), Kind::Server).then_some(SERVER_WAIT_MS);
        self.retry_after_ms.or(default)
    }

    /// The same failure, saying when to try again.
    #[must_use]
    pub fn retry_after_ms(mut self, wait_ms: u64) -> Self {
        self.retry_after_ms = Some(wait_ms);
        self
    }

    /// The body that crosses the wire, an [`ErrorBody`](crate::types::ErrorBody):
    /// `{"error":{"message":"…","type":"…","code":"…","param":null}}`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::from(r#"{"error":{"message":"#);
        push_string(&mut json, &self.message);
        json.push_str(r#","type":"#);
        push_string(&mut json, self.code.kind().as_str());
        json.push_str(r#","code":"#);
        push_string(&mut json, self.code.as_str());
        json.push_str(r#","param":"#);
        match &self.param {
            Some(param) => push_string(&mut json, param),
            None => json.push_str("null"),
        }
        if let Some(scope) = self.required_scope {
            json.push_str(r#","required_scope":"#);
            push_string(&mut json, scope);
        }
        json.push_str("}}");
        json
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_reads_back_and_is_spelled_once() {
        let mut seen = BTreeSet::new();
        for &code in Code::ALL {
            assert_eq!(Code::from_spelling(code.as_str()), Some(code));
            assert!(seen.insert(code.as_str()), "{} twice", code.as_str());
        }
        assert_eq!(Code::from_spelling("teapot"), None);
    }

    #[test]
    fn status_and_kind_agree() {
        for &code in Code::ALL {
            let fits = match code.kind() {
                Kind::InvalidRequest => matches!(code.status(), 400 | 404 | 405 | 409 | 413 | 415 | 431),
                Kind::Permission => matches!(code.status(), 401 | 403),
                Kind::RateLimit => code.status() == 429,
                Kind::Server => (500..=504).contains(&code.status()),
                Kind::Connection => code.status() == 0,
            };
            assert!(fits, "{}", code.as_str());
        }
    }

    #[test]
    fn the_body_has_the_documented_members() {
        let error = Error::bad_param("temperature", "`temperature` must be between 0 and 2.");
        assert_eq!(
            error.to_json(),
            r#"{"error":{"message":"`temperature` must be between 0 and 2.","type":"invalid_request_error","code":"bad_request","param":"temperature"}}"#
        );
        let error = Error { required_scope: Some("chat:write"), ..Error::new(Code::InsufficientScope, "no") };
        assert_eq!(
            error.to_json(),
            r#"{"error":{"message":"no","type":"permission_error","code":"insufficient_scope","param":null,"required_scope":"chat:write"}}"#
        );
    }

    #[test]
    fn the_readme_has_a_row_for_each_code_and_no_other() {
        let readme = include_str!("../README.md");
        let table = readme.split("### Errors").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows: BTreeSet<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(rows.len(), Code::ALL.len());
        for &code in Code::ALL {
            let status = if code.status() == 0 { "–".into() } else { std::format!("{}", code.status()) };
            let retry = if code.is_retryable() { "yes" } else { "no" };
            let start = std::format!("| `{}` | {status} | {retry} | ", code.as_str());
            assert!(rows.iter().any(|row| row.starts_with(&start)), "{start}");
        }
    }
}
