//! The audit log: what happened to accounts, tokens and passwords, by whom, and whether it was let.
//!
//! Ours in its shape, since the platform documents the route, its filters and who may read it, and not its answer.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::date::parse_iso_8601;
use crate::error::{Code, Error};
use crate::route::Route;

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $name:ident = $spelling:literal, $resource:literal;)+) => {
        /// Something that is remembered.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Action {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Action {
            /// Every action, in the order of the documentation's table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The spelling in answers and filters. Never changes once released.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $spelling,)+ }
            }

            /// What kind of thing it is done to.
            #[must_use]
            pub const fn resource(self) -> &'static str {
                match self { $(Self::$name => $resource,)+ }
            }
        }
    };
}

actions! {
    /// A sign-in with a password.
    SignIn = "auth.login", "session";
    /// A sign-in with a tenant's word.
    Sso = "auth.sso", "session";
    /// A refresh that was refused: a token that was used before ends its session.
    Refresh = "auth.refresh", "session";
    /// A session ended by its owner.
    SignOut = "auth.logout", "session";
    /// An account asked for.
    Register = "user.register", "user";
    /// An account made with a mailed code.
    Confirm = "user.confirm", "user";
    /// An account made by the operator.
    CreateUser = "user.create", "user";
    /// An account suspended, or its name, privileges or groups set.
    UpdateUser = "user.update", "user";
    /// An account deleted.
    DeleteUser = "user.delete", "user";
    /// A password changed by its owner.
    ChangePassword = "password.change", "password";
    /// A code to set a new password asked for.
    RequestPasswordReset = "password.reset_request", "password";
    /// A password set with such a code.
    ResetPassword = "password.reset", "password";
    /// A password set by the operator.
    SetPassword = "password.set", "password";
    /// A personal access token made.
    CreateApiToken = "api_token.create", "api_token";
    /// A personal access token put in the place of another.
    RotateApiToken = "api_token.rotate", "api_token";
    /// A personal access token revoked.
    RevokeApiToken = "api_token.revoke", "api_token";
    /// The audit log read.
    ReadAuditLogs = "audit_log.read", "audit_log";
    /// A request refused because a limit was hit; one a minute and user.
    HitLimit = "limit.hit", "limit";
    /// A request refused to a known user: a dead credential, or one that may not; one a minute, user and reason.
    DenyAccess = "access.denied", "route";
}

/// What there is to remember of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Remark {
    /// What was done, or tried.
    pub action: Action,
    /// Many of a kind are remembered as one a minute.
    pub is_frequent: bool,
}

/// What there is to remember of a request, by its route and why it failed, if it did.
///
/// ```
/// # use comind::audit::{Action, remark};
/// # use comind::route::Route;
/// assert_eq!(remark(Route::Login, None).map(|it| it.action), Some(Action::SignIn));
/// assert_eq!(remark(Route::Models, None), None);
/// ```
#[must_use]
pub fn remark(route: Route, error: Option<Code>) -> Option<Remark> {
    let own = match route {
        Route::Login => Some(Action::SignIn),
        Route::Sso => Some(Action::Sso),
        // Every hour of every session.
        Route::Refresh => error.map(|_| Action::Refresh),
        Route::Logout => Some(Action::SignOut),
        Route::Register => Some(Action::Register),
        Route::Confirm => Some(Action::Confirm),
        Route::CreateUser => Some(Action::CreateUser),
        Route::UpdateUser => Some(Action::UpdateUser),
        Route::DeleteUser => Some(Action::DeleteUser),
        Route::ChangePassword => Some(Action::ChangePassword),
        Route::RequestPasswordReset => Some(Action::RequestPasswordReset),
        Route::ResetPassword => Some(Action::ResetPassword),
        Route::SetPassword => Some(Action::SetPassword),
        Route::CreateApiToken => Some(Action::CreateApiToken),
        Route::RotateApiToken => Some(Action::RotateApiToken),
        Route::RevokeApiToken => Some(Action::RevokeApiToken),
        Route::AuditLogs => Some(Action::ReadAuditLogs),
        _ => None,
    };
    // What nobody could be (not JSON, a body too large) is no news of anybody.
    let is_malformed = matches!(error, Some(Code::BadRequest | Code::RequestTooLarge | Code::UnsupportedMediaType));
    if let Some(action) = own.filter(|_| !is_malformed) {
        // Who is being held back is soon told.
        return Some(Remark { action, is_frequent: error == Some(Code::RateLimited) });
    }
    let action = match error? {
        Code::RateLimited => Action::HitLimit,
        Code::TokenRevoked | Code::AccountSuspended | Code::InsufficientScope | Code::PatNotAllowed => {
            Action::DenyAccess
        }
        _ => return None,
    };
    Some(Remark { action, is_frequent: true })
}

/// Who did it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Actor {
    /// Somebody without a token.
    Anonymous,
    /// The user.
    User,
    /// Who has the service token.
    Operator,
}

impl Actor {
    /// The spelling in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User => "user",
            Self::Operator => "operator",
        }
    }
}

/// Something that happened, as `GET /v1/admin/audit-logs` shows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema))]
pub struct AuditEvent<'a> {
    /// Grows with time.
    pub id: u64,
    /// ISO 8601, UTC, with milliseconds.
    pub timestamp: Cow<'a, str>,
    /// Whose account it was about; `null` where there is none, or nobody knows.
    pub user_id: Option<Cow<'a, str>>,
    /// `anonymous`, `user` or `operator`.
    pub actor: Cow<'a, str>,
    /// [`Action::as_str`].
    pub action: Cow<'a, str>,
    /// [`Action::resource`].
    pub resource: Cow<'a, str>,
    /// Which one: a token's id, a user's, a path.
    pub resource_id: Option<Cow<'a, str>>,
    /// `success` or `failure`.
    pub status: Cow<'a, str>,
    /// Why it failed: [`Code::as_str`].
    pub code: Option<Cow<'a, str>>,
    /// The request's `x-request-id`.
    pub request_id: Cow<'a, str>,
    /// The client's network, where a trusted proxy tells it.
    pub ip_address: Option<Cow<'a, str>>,
}

/// A page of events, the newest first.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema))]
pub struct AuditLogs<'a> {
    /// `list`.
    pub object: Cow<'a, str>,
    /// The events.
    #[serde(borrow)]
    pub data: alloc::vec::Vec<AuditEvent<'a>>,
    /// How many there are that fit the filters.
    pub total: u64,
    /// How many a page has at most.
    pub limit: u32,
    /// How many newer ones were left out.
    pub offset: u32,
}

/// Which events are asked for.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuditQuery {
    /// From this Unix millisecond on.
    pub start_ms: u64,
    /// Before this one.
    pub end_ms: Option<u64>,
    /// About this user.
    pub user_id: Option<String>,
    /// [`Action::as_str`].
    pub action: Option<String>,
    /// [`Action::resource`].
    pub resource: Option<String>,
    /// Whether it was let.
    pub is_success: Option<bool>,
    /// The most that are given.
    pub limit: u32,
    /// So many of the newest are left out.
    pub offset: u32,
}

/// A page, unless said.
pub const DEFAULT_PAGE: u32 = 50;
/// The largest page.
pub const MAX_PAGE: u32 = 500;
/// No log is longer.
pub const MAX_OFFSET: u32 = 10_000_000;

impl AuditQuery {
    /// Reads the filters `start`, `end`, `user_id`, `action`, `resource`, `status`, `limit` and `offset` from what `get`
    /// gives by name.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] naming the filter.
    pub fn parse(get: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let instant = |name: &'static str| match get(name) {
            None => Ok(None),
            Some(text) => parse_iso_8601(&text).map(Some).ok_or_else(|| {
                let message =
                    format!("`{name}` must be a day or an instant in UTC: `2026-11-22` or `2026-11-22T21:42:01Z`.");
                Error::bad_param(name, message)
            }),
        };
        let number = |name: &'static str, default: u32, low: u32, high: u32| match get(name) {
            None => Ok(default),
            Some(text) => text.parse().ok().filter(|number| (low..=high).contains(number)).ok_or_else(|| {
                Error::bad_param(name, format!("`{name}` must be a whole number between {low} and {high}."))
            }),
        };
        let known = |name: &'static str, is_known: &dyn Fn(&str) -> bool| match get(name) {
            Some(text) if !is_known(&text) => Err(Error::bad_param(name, format!("There is no such `{name}`."))),
            known => Ok(known),
        };
        let status = known("status", &|text| matches!(text, "success" | "failure"))?;
        Ok(Self {
            start_ms: instant("start")?.unwrap_or(0),
            end_ms: instant("end")?,
            user_id: get("user_id"),
            action: known("action", &|text| Action::ALL.iter().any(|action| action.as_str() == text))?,
            resource: known("resource", &|text| Action::ALL.iter().any(|action| action.resource() == text))?,
            is_success: status.map(|status| status == "success"),
            limit: number("limit", DEFAULT_PAGE, 1, MAX_PAGE)?,
            offset: number("offset", 0, 0, MAX_OFFSET)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn query(pairs: &[(&str, &str)]) -> Result<AuditQuery, Error> {
        AuditQuery::parse(|name| pairs.iter().find(|(given, _)| *given == name).map(|(_, value)| value.to_string()))
    }

    #[test]
    fn every_filter_is_read() {
        let all = query(&[
            ("start", "2026-11-22"),
            ("end", "2026-11-22T21:42:01Z"),
            ("user_id", "user_1"),
            ("action", "auth.login"),
            ("resource", "session"),
            ("status", "failure"),
            ("limit", "500"),
            ("offset", "10000000"),
        ]);
        let expected = AuditQuery {
            start_ms: 1_795_305_600_000,
            end_ms: Some(1_795_383_721_000),
            user_id: Some("user_1".into()),
            action: Some("auth.login".into()),
            resource: Some("session".into()),
            is_success: Some(false),
            limit: 500,
            offset: 10_000_000,
        };
        assert_eq!(all, Ok(expected));
        assert_eq!(query(&[]), Ok(AuditQuery { limit: DEFAULT_PAGE, ..AuditQuery::default() }));
    }

    #[test]
    fn a_bad_filter_is_named() {
        for (name, value) in [
            ("start", "yesterday"),
            ("end", ""),
            ("action", "auth"),
            ("resource", "x"),
            ("status", "200"),
            ("limit", "0"),
            ("limit", "501"),
            ("limit", "-1"),
            ("offset", "10000001"),
        ] {
            let error = query(&[(name, value)]).unwrap_err();
            assert_eq!((error.code, error.param.as_deref()), (Code::BadRequest, Some(name)), "{value}");
        }
    }

    #[test]
    fn what_is_remembered_and_what_is_not() {
        let of = |route, error| remark(route, error).map(|it| (it.action, it.is_frequent));
        assert_eq!(of(Route::Login, Some(Code::InvalidCredentials)), Some((Action::SignIn, false)));
        assert_eq!(of(Route::Login, Some(Code::RateLimited)), Some((Action::SignIn, true)));
        assert_eq!(of(Route::Login, Some(Code::BadRequest)), None);
        assert_eq!((of(Route::Refresh, None), of(Route::Health, None)), (None, None));
        assert_eq!(of(Route::Refresh, Some(Code::TokenRevoked)), Some((Action::Refresh, false)));
        assert_eq!(of(Route::ChatCompletions, Some(Code::RateLimited)), Some((Action::HitLimit, true)));
        assert_eq!(of(Route::ChatCompletions, Some(Code::InsufficientScope)), Some((Action::DenyAccess, true)));
        assert_eq!(of(Route::ChatCompletions, Some(Code::UpstreamError)), None);
    }

    #[test]
    fn the_documentation_has_a_row_for_each_action_and_no_other() {
        let page = include_str!("../docs/operations.md");
        let table = page.split("### The audit log").nth(1).unwrap().split("\n#").next().unwrap();
        let rows: std::vec::Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(rows.len(), Action::ALL.len());
        for (row, action) in rows.iter().zip(Action::ALL) {
            let start = format!("| `{}` | {} | ", action.as_str(), action.resource());
            assert!(row.starts_with(&start), "{row}: {start}");
        }
    }

    #[test]
    fn every_action_is_spelled_once() {
        let spellings: std::collections::BTreeSet<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(spellings.len(), Action::ALL.len());
    }
}
