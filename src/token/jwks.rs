//! The keys that a tenant publishes (`OpenID` Connect Discovery 1.0, RFC 7517), and when to ask for them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64UrlUnpadded, Encoding};

use super::object::Object;

/// A tenant whose users may come in.
#[derive(Clone, Copy, Debug)]
pub struct Tenant<'a> {
    authority: &'a str,
    tid: &'a str,
}

impl<'a> Tenant<'a> {
    /// The tenant of this id, if it is one of those allowed. Nothing of what a caller said goes into an
    /// address: the id is the one from the list.
    #[must_use]
    pub fn find(tenants: &'a [String], authority: &'a str, tid: &str) -> Option<Self> {
        let tid = tenants.iter().find(|known| *known == tid)?;
        Some(Self { authority, tid })
    }

    /// The tenant's id.
    #[must_use]
    pub const fn tid(self) -> &'a str {
        self.tid
    }

    /// Who signs: `{authority}/{tid}/v2.0`.
    #[must_use]
    pub fn issuer(self) -> String {
        format!("{}/{}/v2.0", self.authority, self.tid)
    }

    /// Where the tenant says where its keys are (`OpenID` Connect Discovery §4).
    #[must_use]
    pub fn discovery_url(self) -> String {
        format!("{}/.well-known/openid-configuration", self.issuer())
    }

    /// Where the tenant's keys are: `jwks_uri` of its discovery document.
    ///
    /// `None` for a document whose `issuer` is not the tenant to the letter (§4.3), or which points to
    /// another origin than the authority's.
    #[must_use]
    pub fn read_discovery(self, document: &str) -> Option<String> {
        let document = Object::read(document.as_bytes())?;
        let jwks_uri = document.text("jwks_uri")?;
        let (scheme, rest) = self.authority.split_once("://")?;
        let host = rest.split('/').next()?;
        let path = jwks_uri.strip_prefix(scheme)?.strip_prefix("://")?.strip_prefix(host)?;
        let is_right = document.says("issuer", &self.issuer()) && path.starts_with('/');
        is_right.then_some(jwks_uri)
    }

    /// The keys of the tenant that can have signed an ID token. Others are passed over, as are keys that
    /// share a name.
    ///
    /// `None` for what is no set of keys.
    #[must_use]
    pub fn read_keys(self, document: &str) -> Option<KeySet> {
        let document = Object::read(document.as_bytes())?;
        let listed = document.list("keys").filter(|keys| keys.len() <= MAX_LISTED_KEYS)?;
        let mut names = Vec::new();
        let mut keys = Vec::new();
        for key in listed {
            let Some(key) = Object::read(key.get().as_bytes()) else { continue };
            let Some(kid) = key.text("kid") else { continue };
            keys.extend(self.read_key(&kid, &key));
            names.push(kid);
        }
        keys.retain(|key: &PublicKey| names.iter().filter(|name| **name == key.kid).count() == 1);
        keys.truncate(MAX_KEYS);
        Some(KeySet(keys))
    }

    fn read_key(self, kid: &str, key: &Object<'_>) -> Option<PublicKey> {
        let any = Tenant { tid: "{tenantid}", ..self };
        // Microsoft Entra ID publishes keys of other issuers among a tenant's, and says whose each one is.
        let is_own = key.says_at_most("issuer", &self.issuer()) || key.says("issuer", &any.issuer());
        let is_right =
            is_own && key.says("kty", "RSA") && key.says_at_most("use", "sig") && key.says_at_most("alg", "RS256");
        let (modulus, exponent) = (key.text("n")?, key.text("e")?);
        let is_strong = is_right && MODULUS_BITS.contains(&bits(&modulus)?.0) && is_exponent(bits(&exponent)?);
        is_strong.then(|| PublicKey { kid: kid.into(), modulus, exponent })
    }
}

/// RFC 7518 §3.3 asks for 2048 bits or more; more than 8192 would be work for nothing.
const MODULUS_BITS: core::ops::RangeInclusive<usize> = 2048..=8192;
/// Keys of one tenant that are looked at, of whatever kind, and that are kept. Tenants have about ten.
const MAX_LISTED_KEYS: usize = 256;
const MAX_KEYS: usize = 32;

/// The length of a number in bits, and its last byte.
#[inline(never)]
fn bits(base64url: &str) -> Option<(usize, u8)> {
    let number = Base64UrlUnpadded::decode_vec(base64url).ok()?;
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    Some(((number.len() - zeros) * 8 - first, number.last().copied().unwrap_or(0)))
}

/// Odd, and neither 1, with which anything is its own signature, nor larger than a public one is.
fn is_exponent((bits, last): (usize, u8)) -> bool {
    (2..=32).contains(&bits) && last % 2 == 1
}

/// A key for RS256 (RFC 7518 §6.3.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicKey {
    kid: String,
    /// The modulus, base64url: `n`.
    pub modulus: String,
    /// The exponent, base64url: `e`.
    pub exponent: String,
}

/// The keys of a tenant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeySet(Vec<PublicKey>);

impl KeySet {
    /// The key of this name.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.kid == kid)
    }
}

/// How long keys are taken for the tenant's, in milliseconds: a day.
pub const KEYS_LIVE_MS: u64 = 24 * 3600 * 1000;
/// How long nobody asks again after the tenant did not have the key that was looked for, in
/// milliseconds: tokens with invented key names must not be a way to flood a tenant.
pub const UNKNOWN_COOL_DOWN_MS: u64 = 5 * 60 * 1000;
/// How long nobody asks again after the tenant could not be asked, in milliseconds.
pub const FAILURE_COOL_DOWN_MS: u64 = 10 * 1000;
/// How long whoever asks a tenant has for it, in milliseconds. Others wait so long and then ask themselves.
pub const FETCH_LIMIT_MS: u64 = 6 * 1000;
/// Tenants that are remembered.
const MAX_TENANTS: usize = 256;

/// What to do with a token signed with a certain key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// This is the key.
    Use(PublicKey),
    /// Ask the tenant, and say how it went: [`KeyCache::store`] or [`KeyCache::fail`].
    Fetch,
    /// Somebody is asking: look again in a moment.
    Wait,
    /// The tenant has no such key, as far as is known.
    Unknown,
    /// The tenant could not be asked.
    Unavailable {
        /// When it will be asked again, in milliseconds.
        wait_ms: u64,
    },
}

/// The keys of all tenants, and when each was asked last.
#[derive(Debug, Default)]
pub struct KeyCache {
    tenants: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    tid: String,
    keys: KeySet,
    keys_until_ms: u64,
    /// Until when nobody else asks, and why not.
    quiet_until_ms: u64,
    quiet: Quiet,
}

#[derive(Debug)]
enum Quiet {
    UnderWay,
    Asked,
    Failed,
}

impl KeyCache {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { tenants: Vec::new() }
    }

    /// What to do with a token of this tenant that says that it is signed with this key.
    pub fn decide(&mut self, tid: &str, kid: &str, now_ms: u64) -> Decision {
        let Some(known) = self.known(tid) else { return Decision::Unknown };
        // A clock that was set back must not make anything last longer than it may.
        let left = |until_ms: u64, limit_ms: u64| until_ms.checked_sub(now_ms).filter(|ms| (1..=limit_ms).contains(ms));
        if left(known.keys_until_ms, KEYS_LIVE_MS).is_some()
            && let Some(key) = known.keys.find(kid)
        {
            return Decision::Use(key.clone());
        }
        let Some(wait_ms) = left(known.quiet_until_ms, UNKNOWN_COOL_DOWN_MS) else {
            known.quiet = Quiet::UnderWay;
            known.quiet_until_ms = now_ms.saturating_add(FETCH_LIMIT_MS);
            return Decision::Fetch;
        };
        match known.quiet {
            Quiet::UnderWay => Decision::Wait,
            Quiet::Asked => Decision::Unknown,
            Quiet::Failed => Decision::Unavailable { wait_ms },
        }
    }

    /// The tenant was asked because of the key `kid`, and these are all it has now.
    ///
    /// Only a key that it does not have begins a cool-down: one that it has was worth the question, and
    /// nobody but the tenant can make more of those.
    pub fn store(&mut self, tid: &str, kid: &str, keys: KeySet, now_ms: u64) {
        let cool_down_ms = if keys.find(kid).is_some() { 0 } else { UNKNOWN_COOL_DOWN_MS };
        let Some(known) = self.known(tid) else { return };
        known.keys = keys;
        known.keys_until_ms = now_ms.saturating_add(KEYS_LIVE_MS);
        known.quiet = Quiet::Asked;
        known.quiet_until_ms = now_ms.saturating_add(cool_down_ms);
    }

    /// The tenant could not be asked. What was known before stays, as long as it lives.
    pub fn fail(&mut self, tid: &str, now_ms: u64) {
        let Some(known) = self.known(tid) else { return };
        known.quiet = Quiet::Failed;
        known.quiet_until_ms = now_ms.saturating_add(FAILURE_COOL_DOWN_MS);
    }

    /// What is known of a tenant. It is there whenever it is asked for: `Option` is what the list gives.
    fn known(&mut self, tid: &str) -> Option<&mut Known> {
        let at = self.tenants.iter().position(|known| known.tid == tid).unwrap_or_else(|| {
            if self.tenants.len() >= MAX_TENANTS {
                self.tenants.remove(0);
            }
            self.tenants.push(Known {
                tid: tid.into(),
                keys: KeySet::default(),
                keys_until_ms: 0,
                quiet_until_ms: 0,
                quiet: Quiet::Asked,
            });
            self.tenants.len() - 1
        });
        self.tenants.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHORITY: &str = "https://login.example.com";
    const TENANT: Tenant<'static> = Tenant { authority: AUTHORITY, tid: "t-1" };
    const NOW: u64 = 1_800_000_000_000;

    /// A modulus of so many bits.
    fn modulus(bits: usize) -> String {
        let mut number = std::vec![0; bits.div_ceil(8)];
        number[0] = 1 << ((bits - 1) % 8);
        Base64UrlUnpadded::encode_string(&number)
    }

    fn key(kid: &str, more: &str) -> String {
        format!(r#"{{"kid":"{kid}","kty":"RSA","n":"{}","e":"AQAB"{more}}}"#, modulus(2048))
    }

    fn set(keys: &[String]) -> KeySet {
        TENANT.read_keys(&format!(r#"{{"keys":[{}]}}"#, keys.join(","))).unwrap()
    }

    #[test]
    fn a_tenant_is_one_of_the_list_to_the_letter() {
        let tenants = ["t-1".into(), "t-2".into()];
        let tenant = Tenant::find(&tenants, AUTHORITY, "t-2").unwrap();
        assert_eq!(tenant.issuer(), "https://login.example.com/t-2/v2.0");
        assert_eq!(tenant.discovery_url(), "https://login.example.com/t-2/v2.0/.well-known/openid-configuration");
        for tid in ["", "T-1", "t-3", "t-1/", "t-1/../t-2", "t-1%2f..", "../t-1", "t-1?x=", "t-1#", "t-1\0", "common"] {
            assert!(Tenant::find(&tenants, AUTHORITY, tid).is_none(), "{tid:?}");
        }
        assert!(Tenant::find(&[], AUTHORITY, "").is_none());
    }

    #[test]
    fn a_discovery_document_is_the_tenants_own_and_points_nowhere_else() {
        let issuer = TENANT.issuer();
        let read = |issuer: &str, uri: &str| {
            TENANT.read_discovery(&format!(r#"{{"issuer":"{issuer}","jwks_uri":"{uri}","claims_supported":["sub"]}}"#))
        };
        let right = "https://login.example.com/t-1/discovery/v2.0/keys";
        assert_eq!(read(&issuer, right).as_deref(), Some(right));
        for other in ["https://login.example.com/{tenantid}/v2.0", "https://login.example.com/t-1/v2.0/", "", "null"] {
            assert_eq!(read(other, right), None, "{other}");
        }
        for uri in [
            "http://login.example.com/keys",
            "https://login.example.com",
            "https://login.example.com:444/keys",
            "https://login.example.com.evil.example/keys",
            "https://login.example.com@evil.example/keys",
            "https://evil.example/https://login.example.com/keys",
            "//login.example.com/keys",
            "/keys",
            "",
        ] {
            assert_eq!(read(&issuer, uri), None, "{uri}");
        }
        for document in ["", "[]", "{}", r#"{"issuer":7,"jwks_uri":"x"}"#] {
            assert_eq!(TENANT.read_discovery(document), None, "{document}");
        }
        let twice = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{right}","jwks_uri":"{right}"}}"#);
        assert_eq!(TENANT.read_discovery(&twice), None);
        let below = Tenant { authority: "http://localhost:1/idp", tid: "t" };
        let document = r#"{"issuer":"http://localhost:1/idp/t/v2.0","jwks_uri":"http://localhost:1/keys"}"#;
        assert_eq!(below.read_discovery(document).as_deref(), Some("http://localhost:1/keys"));
    }

    #[test]
    fn a_key_that_may_have_signed_is_found_by_its_name() {
        for more in [
            "",
            r#","use":"sig""#,
            r#","alg":"RS256","x5c":["AA=="],"x5t":"a""#,
            r#","issuer":"https://login.example.com/{tenantid}/v2.0""#,
            r#","issuer":"https://login.example.com/t-1/v2.0""#,
        ] {
            let found = set(&[key("a", more), key("b", "")]);
            assert_eq!(found.find("a").map(|key| key.exponent.as_str()), Some("AQAB"), "{more}");
            assert_eq!((found.find("A"), found.find("")), (None, None));
        }
    }

    #[test]
    fn a_key_that_may_not_have_signed_is_passed_over() {
        let good = key("a", "");
        for bad in [
            key("a", r#","use":"enc""#),
            key("a", r#","use":null"#),
            key("a", r#","alg":"RS512""#),
            key("a", r#","alg":"HS256""#),
            key("a", r#","issuer":"https://login.example.com/t-2/v2.0""#),
            key("a", r#","issuer":7"#),
            key("a", r#","kty":"RSA""#),
            good.replace("RSA", "oct"),
            good.replace("RSA", "rsa"),
            good.replace(r#""kid":"a""#, r#""kid":7"#),
            good.replace(r#""kid":"a","#, ""),
            good.replace(r#""e":"AQAB""#, r#""e":"AQ""#),
            good.replace(r#""e":"AQAB""#, r#""e":"AQAC""#),
            good.replace(r#""e":"AQAB""#, r#""e":"""#),
            good.replace(r#""e":"AQAB""#, r#""e":"AQAAAAE""#),
            good.replace(&modulus(2048), &modulus(2047)),
            good.replace(&modulus(2048), &modulus(1024)),
            good.replace(&modulus(2048), &modulus(8193)),
            good.replace(&modulus(2048), ""),
            good.replace(&modulus(2048), "not base64url!"),
            good.replace(&modulus(2048), &format!("{}==", modulus(2048))),
            "7".into(),
            "null".into(),
            "[]".into(),
        ] {
            let found = set(&[bad.clone(), key("b", "")]);
            assert_eq!(found.find("a"), None, "{bad}");
            assert!(found.find("b").is_some(), "{bad}");
        }
        let mut padded = std::vec![0; 160];
        padded[32] = 1;
        let padded = good.replace(&modulus(2048), &Base64UrlUnpadded::encode_string(&padded));
        assert_eq!(set(&[padded]).find("a"), None, "zeros in front make no key longer");
        assert!(set(&[good.replace(&modulus(2048), &modulus(8192))]).find("a").is_some());
    }

    #[test]
    fn of_keys_that_share_a_name_none_is_taken() {
        let found = set(&[key("a", ""), key("a", r#","use":"enc""#), key("b", "")]);
        assert_eq!((found.find("a"), found.find("b").is_some()), (None, true));
    }

    #[test]
    fn what_is_no_set_of_keys_is_none() {
        let many = std::vec!["{}"; MAX_LISTED_KEYS + 1].join(",");
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, &format!(r#"{{"keys":[{many}]}}"#)] {
            assert_eq!(TENANT.read_keys(text), None);
        }
        let many: Vec<String> = (0..100).map(|at| key(&format!("{at}"), "")).collect();
        assert_eq!(set(&many).0.len(), MAX_KEYS);
    }

    #[test]
    fn a_known_key_asks_nobody_for_a_day() {
        let mut cache = KeyCache::new();
        assert_eq!(cache.decide("t", "a", NOW), Decision::Fetch);
        cache.store("t", "a", set(&[key("a", "")]), NOW);
        for at in [NOW, NOW + KEYS_LIVE_MS - 1] {
            assert!(matches!(cache.decide("t", "a", at), Decision::Use(_)));
        }
        assert_eq!(cache.decide("t", "a", NOW + KEYS_LIVE_MS), Decision::Fetch);
        cache.fail("t", NOW + KEYS_LIVE_MS);
        let wait_ms = FAILURE_COOL_DOWN_MS;
        assert_eq!(
            cache.decide("t", "a", NOW + KEYS_LIVE_MS),
            Decision::Unavailable { wait_ms },
            "a day, whatever comes"
        );
    }

    #[test]
    fn invented_names_cost_the_tenant_one_question_in_five_minutes() {
        let mut cache = KeyCache::new();
        let mut questions = 0;
        for second in 0..3600 {
            let now_ms = NOW + second * 1000;
            for at in 0..10 {
                let kid = format!("invented {at}");
                if cache.decide("t", &kid, now_ms) == Decision::Fetch {
                    questions += 1;
                    cache.store("t", &kid, set(&[key("a", "")]), now_ms);
                }
            }
            assert!(matches!(cache.decide("t", "a", now_ms), Decision::Use(_)), "those who are right notice nothing");
        }
        assert_eq!(questions, 12);
    }

    #[test]
    fn a_new_key_is_asked_for_once_and_at_once() {
        let mut cache = KeyCache::new();
        cache.decide("t", "a", NOW);
        cache.store("t", "a", set(&[key("a", "")]), NOW);
        assert_eq!(cache.decide("t", "b", NOW + 1), Decision::Fetch);
        assert_eq!(cache.decide("t", "b", NOW + 2), Decision::Wait, "one asks");
        assert!(matches!(cache.decide("t", "a", NOW + 2), Decision::Use(_)), "a known key waits for nobody");
        cache.store("t", "b", set(&[key("b", "")]), NOW + 3);
        assert!(matches!(cache.decide("t", "b", NOW + 4), Decision::Use(_)));
        assert_eq!(cache.decide("t", "a", NOW + 4), Decision::Fetch, "withdrawn: asked about once more");
        cache.store("t", "a", set(&[key("b", "")]), NOW + 5);
        assert_eq!(cache.decide("t", "a", NOW + 6), Decision::Unknown);
    }

    #[test]
    fn a_tenant_that_is_down_is_left_in_peace_for_a_while() {
        let mut cache = KeyCache::new();
        cache.decide("t", "a", NOW);
        cache.fail("t", NOW);
        assert_eq!(cache.decide("t", "a", NOW + 9_000), Decision::Unavailable { wait_ms: 1000 });
        assert_eq!(cache.decide("u", "a", NOW), Decision::Fetch, "each tenant for itself");
        assert_eq!(cache.decide("t", "a", NOW + 10_000), Decision::Fetch);
    }

    #[test]
    fn whoever_asked_and_was_never_heard_of_again_is_not_waited_for_long() {
        let mut cache = KeyCache::new();
        assert_eq!(cache.decide("t", "a", NOW), Decision::Fetch);
        assert_eq!(cache.decide("t", "a", NOW + FETCH_LIMIT_MS - 1), Decision::Wait);
        assert_eq!(cache.decide("t", "a", NOW + FETCH_LIMIT_MS), Decision::Fetch);
    }

    #[test]
    fn a_clock_that_is_set_back_prolongs_nothing() {
        let mut cache = KeyCache::new();
        cache.decide("t", "a", NOW);
        cache.store("t", "b", set(&[key("a", "")]), NOW);
        assert_eq!(cache.decide("t", "b", NOW - 1), Decision::Fetch);
        assert_eq!(cache.decide("t", "a", NOW - KEYS_LIVE_MS), Decision::Fetch);
    }

    #[test]
    fn so_many_tenants_are_remembered_and_no_more() {
        let mut cache = KeyCache::new();
        for at in 0..2 * MAX_TENANTS {
            cache.decide(&format!("{at}"), "a", NOW);
        }
        assert_eq!(cache.tenants.len(), MAX_TENANTS);
    }
}
