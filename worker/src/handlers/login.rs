//! `POST /v1/auth/login`.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use comind::error::{Code, Error};
use comind::token::jwt::{ACCESS_LIFETIME_SECS, Claims, ISSUER, REFRESH_LIFETIME_SECS, Use};
use comind::types::{LoginRequest, LoginResponse};

use crate::context::RequestContext;
use crate::http::{Answer, read_json_body};
use crate::storage::account::{AccountCall, SignedIn};
use crate::storage::directory::DirectoryCall;
use crate::storage::throttle::ThrottleCall;
use crate::storage::{ACCOUNTS, DIRECTORIES, Reply, THROTTLES, ask, key, normalize_email, shard};
use crate::{runtime, seed};

/// A sign-in is two short strings.
const BODY_LIMIT_BYTES: u32 = 16 * 1024;
/// A longer password than any account can have is not worth hashing, in bytes.
const MAX_PASSWORD_BYTES: usize = 1024;

/// Signs in: the right password opens a session and gives its first pair of tokens.
///
/// An address that nobody has takes the same way as one with a wrong password: the same objects are
/// asked, the same hash is computed, the same answer is given.
///
/// # Errors
///
/// `invalid_credentials`; `rate_limited` after too many failures for the address or from the client;
/// `account_suspended` and `email_not_confirmed`, both only after the right password.
pub(crate) async fn sign_in(context: &RequestContext) -> Result<Answer, Error> {
    let (_, body) = read_json_body(&context.request, BODY_LIMIT_BYTES.min(context.config.body_limit_bytes)).await?;
    let LoginRequest { email, password } = LoginRequest::parse(&body)?;
    let email =
        normalize_email(&email).ok_or_else(|| Error::bad_param("email", "`email` must be an e-mail address."))?;
    if password.expose().is_empty() || password.expose().len() > MAX_PASSWORD_BYTES {
        return Err(Error::bad_param("password", "`password` must have 1 to 1024 bytes."));
    }
    seed::ensure(context).await?;
    let address = key("address", &email);
    let client = client_address(context).map(|client| key("client", &client));
    // The client first: one who is held back already must not hold back the owner of the address.
    if let Some(client) = &client {
        count_try(context, client).await?;
    }
    count_try(context, &address).await?;
    let account = find_account(context, &address).await?;
    let call = AccountCall::SignIn { password: password.expose().to_owned() };
    let signed_in = match ask(&context.env, ACCOUNTS, &account, &call).await? {
        Reply::Done(signed_in) => signed_in,
        Reply::Refused(refusal) => return Err(refused(refusal.code())),
    };
    tell_throttle(context, &address, ThrottleCall::Clear { key: address.clone() }).await?;
    if let Some(client) = client {
        tell_throttle(context, &client, ThrottleCall::Forgive { key: client.clone() }).await?;
    }
    Ok(Answer::json_text(200, issue(context, signed_in).into_public_json()))
}

/// The name of the account to ask: the owner's, or that of an account nobody has.
async fn find_account(context: &RequestContext, address: &str) -> Result<String, Error> {
    let call = DirectoryCall::FindOwner { key: address.to_owned() };
    let owner: Option<String> = ask(&context.env, DIRECTORIES, shard(address), &call).await?.done()?;
    // The digest spreads them over several objects, so that they do not wait for each other.
    Ok(owner.unwrap_or_else(|| format!("nobody-{}", shard(address))))
}

fn client_address(context: &RequestContext) -> Option<String> {
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

async fn count_try(context: &RequestContext, key: &str) -> Result<(), Error> {
    let call = ThrottleCall::Try { key: key.to_owned() };
    match ask::<_, ()>(&context.env, THROTTLES, shard(key), &call).await? {
        Reply::Done(()) => Ok(()),
        Reply::Refused(refusal) => {
            let message = "Too many failed sign-ins. Wait as long as `Retry-After` says, then try again.";
            Err(Error::new(Code::RateLimited, message).retry_after_ms(refusal.wait_ms.unwrap_or(1000)))
        }
    }
}

async fn tell_throttle(context: &RequestContext, key: &str, call: ThrottleCall) -> Result<(), Error> {
    ask::<_, ()>(&context.env, THROTTLES, shard(key), &call).await.map(|_| ())
}

fn issue(context: &RequestContext, signed_in: SignedIn) -> LoginResponse {
    let SignedIn { user, session_id } = signed_in;
    let now = runtime::now_secs();
    let sign = |used_as, lifetime_secs| {
        context.config.jwt_keys.sign(&Claims {
            iss: ISSUER.to_owned(),
            sub: user.id.clone(),
            iat: now,
            exp: now + lifetime_secs,
            jti: runtime::random_id(),
            sid: session_id.clone(),
            ver: user.user_version,
            used_as,
        })
    };
    LoginResponse {
        access_token: sign(Use::Access, ACCESS_LIFETIME_SECS),
        refresh_token: sign(Use::Refresh, REFRESH_LIFETIME_SECS),
        token_type: Cow::Borrowed("bearer"),
        expires_in: ACCESS_LIFETIME_SECS,
        user,
    }
}

fn refused(code: Code) -> Error {
    let message = match code {
        Code::InvalidCredentials => "The e-mail address and the password do not go together.",
        Code::AccountSuspended => "The account is suspended. Ask your administrator.",
        Code::EmailNotConfirmed => "The e-mail address is not confirmed yet.",
        _ => "The edge could not check the password.",
    };
    Error::new(code, message)
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
