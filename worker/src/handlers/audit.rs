//! The audit log: written behind every route that is remembered, read by auditors.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;

use comind::account::Profile;
use comind::audit::{Actor, AuditQuery, Remark, remark};
use comind::auth::Need;
use comind::error::{Code, Error};
use comind::route::Route;
use comind::token::pat::{is_user_id, user_of};

use crate::context::RequestContext;
use crate::http::{Answer, query_value};
use crate::storage::audit::{AuditCall, NAME, NewEvent};
use crate::storage::{AUDIT, know};
use crate::{guard, runtime};

const MINUTE_MS: u64 = 60_000;

thread_local! {
    /// What has been remembered in this minute of what is frequent.
    static REMEMBERED: RefCell<(u64, BTreeSet<String>)> = RefCell::default();
}

/// So many different ones a minute; what comes after them is not remembered.
const MAX_REMEMBERED: usize = 1000;

/// Remembers what there is to remember of a request, before its answer goes out.
pub(crate) async fn note(context: &RequestContext, route: Route, id: &str, error: Option<Code>) {
    let Some(Remark { action, is_frequent }) = remark(route, error) else { return };
    let user_id = context.journal.user_id();
    // Whatever stands in the header that is no address is not kept.
    let ip_address = guard::client_address(context).filter(|client| client.parse::<IpAddr>().is_ok());
    if is_frequent && !is_first(user_id.as_ref().or(ip_address.as_ref()), action.as_str(), error) {
        return;
    }
    let actor = match (route.need(), &user_id) {
        (Need::Service, _) => Actor::Operator,
        (Need::Public, _) if error.is_some() => Actor::Anonymous,
        (_, None) => Actor::Anonymous,
        _ => Actor::User,
    };
    // What somebody invents as an id is not kept.
    let is_ours = is_user_id(id) || user_of(id).is_some();
    let resource_id = context.journal.resource_id().or_else(|| is_ours.then(|| id.to_owned()));
    let event = NewEvent {
        user_id,
        actor: actor.as_str().to_owned(),
        action: action.as_str().to_owned(),
        resource: action.resource().to_owned(),
        resource_id: resource_id.or_else(|| is_frequent.then(|| route.path().to_owned())),
        code: error.map(|code| code.as_str().to_owned()),
        request_id: context.journal.request_id.clone(),
        ip_address,
    };
    // What was done is done: a log that cannot be written is in the other log.
    let _ = know::<_, ()>(&context.env, AUDIT, NAME, &AuditCall::Add(event)).await;
}

fn is_first(subject: Option<&String>, action: &str, error: Option<Code>) -> bool {
    let key = format!("{action} {} {}", error.map_or("", Code::as_str), subject.map_or("", String::as_str));
    let minute = runtime::now_ms() / MINUTE_MS;
    REMEMBERED.with_borrow_mut(|(of, keys)| {
        if *of != minute {
            *of = minute;
            keys.clear();
        }
        keys.len() < MAX_REMEMBERED && keys.insert(key)
    })
}

/// A page of events: `?start=&end=&user_id=&action=&resource=&status=&limit=&offset=`.
///
/// # Errors
///
/// `insufficient_scope` for who is not an admin with the privilege `auditView`; `bad_request` naming the filter.
pub(crate) async fn list(context: &RequestContext, caller: &Profile) -> Result<Answer, Error> {
    const PRIVILEGE: &str = "auditView";
    if !(caller.is_admin() && caller.has_privilege(PRIVILEGE)) {
        let message = "The audit log is for admins with the privilege `auditView`. Ask your operator for it.";
        return Err(Error { required_scope: Some(PRIVILEGE), ..Error::new(Code::InsufficientScope, message) });
    }
    let query = AuditQuery::parse(|name| query_value(context.head.url(), name))?;
    let found: String = know(&context.env, AUDIT, NAME, &AuditCall::Find(query)).await?;
    Ok(Answer::json_text(200, found))
}
