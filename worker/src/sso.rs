//! Sign-ins that somebody else vouches for: ID tokens, and the keys they are checked with.

use std::cell::RefCell;

use comind::error::{Code, Error};
use comind::request::account::SsoRequest;
use comind::token::Rejected;
use comind::token::id_token::{Expected, Identity, Unproven};
use comind::token::jwks::{Decision, FAILURE_COOL_DOWN_MS, FETCH_LIMIT_MS, KeyCache, KeySet, PublicKey, Tenant};
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

use crate::config::Sso;
use crate::{log, runtime};

#[wasm_bindgen(module = "/src/js/sso.js")]
extern "C" {
    #[wasm_bindgen(js_name = fetchDocument)]
    async fn fetch_document(url: &str, limit_bytes: u32, limit_ms: u32) -> JsValue;

    #[wasm_bindgen(js_name = isSignedBy)]
    async fn is_signed_by(modulus: &str, exponent: &str, signed: &str, signature: Uint8Array) -> JsValue;

    /// What `fetchDocument` resolves to.
    type Document;

    #[wasm_bindgen(method, getter)]
    fn text(this: &Document) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn complaint(this: &Document) -> Option<String>;
}

/// The largest document that is read. Those of Microsoft Entra ID are about 20 KiB.
const DOCUMENT_LIMIT_BYTES: u32 = 256 * 1024;
/// For both documents of a tenant.
const DOCUMENTS_LIMIT_MS: u64 = 5000;
const _: () = assert!(DOCUMENTS_LIMIT_MS < FETCH_LIMIT_MS, "whoever asks is done before others ask themselves");
/// How long a request waits for others: for one that was cut off, and for the one that asked in its place.
const WAIT_LIMIT_MS: u64 = 2 * FETCH_LIMIT_MS;
/// How often a request looks whether another one has got the keys.
const PAUSE_MS: u64 = 50;

thread_local! {
    static KEYS: RefCell<KeyCache> = const { RefCell::new(KeyCache::new()) };
}

/// Who signs in: what the request claims, once the ID token has proved it.
///
/// # Errors
///
/// `unauthorized`; `token_expired` for a token that is right but for its time; `upstream_error` when the
/// tenant's keys cannot be had.
pub(crate) async fn verify(sso: &Sso, request: &SsoRequest) -> Result<Identity, Error> {
    // Before anything is fetched: nobody chooses whom the edge calls.
    let tenant = Tenant::find(&sso.tenants, &sso.authority, &request.tid).ok_or_else(|| refused(Rejected::Invalid))?;
    let token = request.id_token.as_ref().ok_or_else(|| refused(Rejected::Invalid))?;
    let expected = Expected {
        issuer: &tenant.issuer(),
        audience: &sso.client_id,
        tid: tenant.tid(),
        oid: &request.oid,
        upn: &request.upn,
        now_unix_secs: runtime::now_secs(),
    };
    // The token is read, not shown: nothing but who it speaks of leaves here.
    let unproven = Unproven::parse(token.expose(), expected).map_err(refused)?;
    let Some(key) = find_key(tenant, unproven.kid()).await? else { return Err(refused(Rejected::Invalid)) };
    let signature = Uint8Array::from(unproven.signature());
    let is_genuine = is_signed_by(&key.modulus, &key.exponent, unproven.signed(), signature).await;
    unproven.accept(is_genuine.is_truthy()).map_err(refused)
}

/// The tenant's key of this name, if it has one.
///
/// One request asks the tenant. Others look now and then whether it is done rather than wait for what it
/// waits for: a request may be cut off, and what it has begun with it.
async fn find_key(tenant: Tenant<'_>, kid: &str) -> Result<Option<PublicKey>, Error> {
    let begun_ms = runtime::now_ms();
    loop {
        let now_ms = runtime::now_ms();
        match KEYS.with_borrow_mut(|keys| keys.decide(tenant.tid(), kid, now_ms)) {
            Decision::Use(key) => return Ok(Some(key)),
            Decision::Unknown => return Ok(None),
            Decision::Unavailable { wait_ms } => return Err(unavailable(wait_ms)),
            Decision::Wait if now_ms.saturating_sub(begun_ms) > WAIT_LIMIT_MS => {
                return Err(unavailable(FAILURE_COOL_DOWN_MS));
            }
            Decision::Wait => runtime::sleep(PAUSE_MS).await,
            Decision::Fetch => {
                let fetched = fetch_keys(tenant, now_ms).await;
                let now_ms = runtime::now_ms();
                let Some(fetched) = fetched else {
                    KEYS.with_borrow_mut(|keys| keys.fail(tenant.tid(), now_ms));
                    return Err(unavailable(FAILURE_COOL_DOWN_MS));
                };
                let key = fetched.find(kid).cloned();
                KEYS.with_borrow_mut(|keys| keys.store(tenant.tid(), kid, fetched, now_ms));
                return Ok(key);
            }
        }
    }
}

async fn fetch_keys(tenant: Tenant<'_>, begun_ms: u64) -> Option<KeySet> {
    let discovery_url = tenant.discovery_url();
    let document = fetch(tenant, "The discovery document", &discovery_url, begun_ms).await?;
    let Some(jwks_uri) = tenant.read_discovery(&document) else {
        let issuer = tenant.issuer();
        let complaint = format!("The discovery document is not that of {issuer}, or its keys are elsewhere.");
        log::backend(tenant.tid(), &complaint);
        return None;
    };
    let document = fetch(tenant, "The set of keys", &jwks_uri, begun_ms).await?;
    let keys = tenant.read_keys(&document);
    if keys.is_none() {
        log::backend(tenant.tid(), "The set of keys is not one (RFC 7517 §5).");
    }
    keys
}

async fn fetch(tenant: Tenant<'_>, name: &str, url: &str, begun_ms: u64) -> Option<String> {
    let left_ms = DOCUMENTS_LIMIT_MS.saturating_sub(runtime::now_ms().saturating_sub(begun_ms));
    let limit_ms = u32::try_from(left_ms).unwrap_or_default();
    let document: Document = fetch_document(url, DOCUMENT_LIMIT_BYTES, limit_ms).await.unchecked_into();
    if let Some(complaint) = document.complaint() {
        log::backend(tenant.tid(), &format!("{name} {complaint}."));
    }
    document.text()
}

fn refused(rejected: Rejected) -> Error {
    match rejected {
        Rejected::Invalid => Error::new(
            Code::Unauthorized,
            "Signing in takes an `id_token` of an admitted tenant, made for this edge, that says the same of the user.",
        ),
        Rejected::Expired => Error::new(Code::TokenExpired, "The `id_token` has expired. Get a new one."),
    }
}

fn unavailable(wait_ms: u64) -> Error {
    let message = "The tenant's keys cannot be had at the moment, so nobody can be signed in with them.";
    Error::new(Code::UpstreamError, message).retry_after_ms(wait_ms)
}
