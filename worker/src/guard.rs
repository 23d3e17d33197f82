//! What holds strangers back, on routes that ask for no token.
//!
//! By client where a trusted proxy tells us who that is, by e-mail address always, and for all together
//! by what the machine can bear: a password hash takes as long as a thousand other requests.

use std::cell::RefCell;
use std::net::Ipv6Addr;

use comind::error::{Code, Error};
use comind::limit::{Bucket, Quota};
use comind::telemetry::Limit;

use crate::context::RequestContext;
use crate::storage::throttle::ThrottleCall;
use crate::storage::{THROTTLES, ask, key, know, shard};
use crate::{runtime, telemetry};

fn too_many(limit: Limit, message: &'static str, wait_ms: Option<u64>) -> Error {
    telemetry::refuse(limit);
    Error::new(Code::RateLimited, message).retry_after_ms(wait_ms.unwrap_or(1000))
}

/// The client, if a trusted proxy names it.
pub(crate) fn client_address(context: &RequestContext) -> Option<String> {
    let value = context.header(context.config.client_ip_header.as_deref()?)?;
    // A list (`X-Forwarded-For`) ends with what our own proxy saw; what stands before it is hearsay.
    let client = value.rsplit(',').next().map(str::trim).filter(|client| !client.is_empty())?;
    Some(network_of(client))
}

/// The part of an address that one client cannot change: all of an IPv4 address, the first 64 bits of
/// an IPv6 one (RFC 4291 §2.5.4).
fn network_of(client: &str) -> String {
    match client.parse() {
        Ok(address) if Ipv6Addr::to_ipv4_mapped(&address).is_some() => client.to_owned(),
        Ok(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).to_string(),
        Err(_) => client.to_owned(),
    }
}

/// Counts a call of a route that needs no token.
///
/// # Errors
///
/// `rate_limited` beyond `PUBLIC_RATE_LIMIT_RPM` of one client.
pub(crate) async fn count_stranger(context: &RequestContext) -> Result<(), Error> {
    let quota = Quota { count: context.config.public_rate_limit_rpm, minutes: 1 };
    match client_address(context) {
        Some(client) if quota.count > 0 => {
            let message = "Too many requests without a token in a minute. Wait as long as `Retry-After` says.";
            take(context, key("stranger", &client), quota, Limit::Client, message).await
        }
        _ => Ok(()),
    }
}

/// Counts a mail to an address, whether or not one is sent.
///
/// # Errors
///
/// `rate_limited` beyond `MAIL_LIMIT_PER_HOUR`.
pub(crate) async fn count_mail(context: &RequestContext, address: &str) -> Result<(), Error> {
    let quota = Quota { count: context.config.mail_limit_per_hour, minutes: 60 };
    let message = "Too many mails to this address in an hour. Wait as long as `Retry-After` says.";
    take(context, key("mail", address), quota, Limit::Mail, message).await
}

async fn take(
    context: &RequestContext,
    key: String,
    quota: Quota,
    limit: Limit,
    message: &'static str,
) -> Result<(), Error> {
    let call = ThrottleCall::Take { key: key.clone(), quota };
    let outcome = ask::<_, ()>(&context.env, THROTTLES, shard(&key), &call).await?;
    outcome.map_err(|refusal| too_many(limit, message, refusal.wait_ms))
}

thread_local! {
    static PASSWORDS: RefCell<Option<Bucket>> = const { RefCell::new(None) };
}

/// Lets one password be hashed.
///
/// # Errors
///
/// `rate_limited` beyond `PASSWORD_RATE_LIMIT_RPM` of everybody in this isolate.
pub(crate) fn count_password(context: &RequestContext) -> Result<(), Error> {
    let quota = Quota { count: context.config.password_rate_limit_rpm, minutes: 1 };
    let taken = PASSWORDS.with_borrow_mut(|bucket| {
        *bucket = Some(quota.take(*bucket, runtime::steady_ms())?);
        Ok(())
    });
    taken.map_err(|wait_ms| {
        too_many(
            Limit::Passwords,
            "Too many people sign in at this moment. Wait as long as `Retry-After` says.",
            Some(wait_ms),
        )
    })
}

/// A guess at a password that has been counted as wrong until it proves right.
pub(crate) struct Guess {
    address: String,
    client: Option<String>,
}

impl Guess {
    /// Counts a guess.
    ///
    /// # Errors
    ///
    /// `rate_limited` after too many wrong ones for the address or from the client.
    pub(crate) async fn count(context: &RequestContext, address: &str) -> Result<Self, Error> {
        count_password(context)?;
        let client = client_address(context).map(|client| key("client", &client));
        // The client first: one who is held back already must not hold back the owner of the address.
        if let Some(client) = &client {
            count_try(context, client).await?;
        }
        count_try(context, address).await?;
        Ok(Self { address: address.to_owned(), client })
    }

    /// It was right.
    ///
    /// # Errors
    ///
    /// `internal_error`.
    pub(crate) async fn was_right(self, context: &RequestContext) -> Result<(), Error> {
        forgive(context, &self.address).await?;
        match &self.client {
            Some(client) => tell(context, client, ThrottleCall::Forgive { key: client.clone() }).await,
            None => Ok(()),
        }
    }
}

/// Forgets the failures of an address: its owner has shown up by another way.
///
/// # Errors
///
/// `internal_error`.
pub(crate) async fn forgive(context: &RequestContext, address: &str) -> Result<(), Error> {
    tell(context, address, ThrottleCall::Clear { key: address.to_owned() }).await
}

async fn count_try(context: &RequestContext, key: &str) -> Result<(), Error> {
    let call = ThrottleCall::Try { key: key.to_owned() };
    ask::<_, ()>(&context.env, THROTTLES, shard(key), &call).await?.map_err(|refusal| {
        too_many(
            Limit::SignIn,
            "Too many failed sign-ins. Wait as long as `Retry-After` says, then try again.",
            refusal.wait_ms,
        )
    })
}

async fn tell(context: &RequestContext, key: &str, call: ThrottleCall) -> Result<(), Error> {
    know(&context.env, THROTTLES, shard(key), &call).await
}

#[cfg(test)]
mod tests {
    use super::network_of;

    #[test]
    fn one_client_has_one_network() {
        for (client, network) in [
            ("203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::1", "2001:db8:1:2::"),
            ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
            ("somebody", "somebody"),
        ] {
            assert_eq!(network_of(client), network);
        }
    }
}
