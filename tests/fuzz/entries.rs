//! What is fuzzed: one function for each reader of foreign bytes. None may panic, and each says what must be true
//! of whatever it is given. The same functions are run by libFuzzer (`make fuzz`) and, briefly, by `make test-fuzz`.

use std::collections::BTreeMap;

use base64ct::{Base64UrlUnpadded, Encoding};
use comind::backend::{Completion, Provider};
use comind::chat::{Accumulator, Relay, Verdict};
use comind::request::{InferenceRequest, Operation};
use comind::retry::{parse_retry_after, to_retry_after_secs};
use comind::secret::Secret;
use comind::sse::{Decoder, Event, Sink};
use comind::token::jwt::{Claims, ISSUER, Keys, Use};
use comind::token::pat::{self, Pat};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

type Entry = (&'static str, fn(&[u8]));

/// Name and function of each.
pub(crate) const ENTRIES: &[Entry] =
    &[("sse", sse), ("jwt", jwt), ("pat", pat), ("request", request), ("retry_after", retry_after), ("config", config)];

const LIMIT_BYTES: usize = 256;

#[derive(Default, PartialEq, Debug)]
struct Events(Vec<(String, String)>);

impl Sink for Events {
    fn event(&mut self, event: Event<'_>) {
        self.0.push((event.event_type.to_string(), event.text().into_owned()));
    }
}

/// The first byte says how the rest is cut. However that is, the events are the same; what a relay lets pass are
/// whole events of the backend, and an answer it calls whole ends in `[DONE]`.
pub(crate) fn sse(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else { return };
    let pieces = || stream.chunks(usize::from(cut % 16) + 1);

    let (mut whole, mut events) = (Decoder::new(LIMIT_BYTES), Events::default());
    let outcome = whole.handle_chunk(stream, &mut events);
    let (mut cut, mut cut_events) = (Decoder::new(LIMIT_BYTES), Events::default());
    let cut_outcome = pieces().try_for_each(|piece| cut.handle_chunk(piece, &mut cut_events));
    assert_eq!((&events, outcome.is_ok()), (&cut_events, cut_outcome.is_ok()));
    assert_eq!((whole.last_event_id(), whole.retry_ms()), (cut.last_event_id(), cut.retry_ms()));
    assert_eq!(whole.finish(), cut.finish());

    let mut accumulator = Accumulator::new(1 << 20);
    for (_, data) in &events.0 {
        if accumulator.handle_data(data).is_err() {
            break;
        }
    }
    assert!(serde_json::from_str::<Value>(&accumulator.to_json()).is_ok());

    let mut relay = Relay::new(LIMIT_BYTES);
    let mut written = Vec::new();
    for piece in pieces() {
        let forward = relay.handle_chunk(piece);
        written.extend_from_slice(forward.held);
        written.extend_from_slice(&piece[forward.chunk]);
        if relay.is_between_events() {
            let heartbeat = relay.heartbeat();
            assert!(heartbeat.starts_with(':') && heartbeat.ends_with("\n\n"));
        }
    }
    let ending = relay.handle_end();
    let verdict = ending.verdict;
    written.extend_from_slice(ending.write);
    if verdict == Verdict::Whole && stream.len() < LIMIT_BYTES {
        let mut events = Events::default();
        let _ = Decoder::new(1 << 20).handle_chunk(&written, &mut events);
        assert!(events.0.iter().any(|(_, data)| data.trim() == "[DONE]"), "whole, and no [DONE]");
    }
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A token from outside is refused, unless it is one of ours to the letter; header and claims of any content, signed
/// with the right key, are read without a fall and mean what they say.
pub(crate) fn jwt(data: &[u8]) {
    let keys = Keys::new(Secret::new(SECRET), Some(Secret::new("another secret, of 32 bytes and more")));
    let text = String::from_utf8_lossy(data);
    assert!(keys.read(&text).is_err(), "nobody has the key");

    let genuine = keys.sign(&Claims {
        iss: ISSUER.into(),
        sub: pat::make_user_id(&[7; 16]),
        iat: 1_700_000_000,
        exp: 1_700_003_600,
        jti: "j".into(),
        sid: "s".into(),
        generation: 1,
        ver: 1,
        used_as: Use::Access,
    });
    let genuine = genuine.expose();
    assert!(keys.verify(genuine, Use::Access, 1_700_000_001).is_ok());
    if let [at, mask, ..] = *data {
        let mut changed = genuine.as_bytes().to_vec();
        let at = usize::from(at) * changed.len() / 256;
        changed[at] ^= mask;
        let is_changed = mask != 0;
        let changed = String::from_utf8_lossy(&changed);
        assert_eq!(keys.verify(&changed, Use::Access, 1_700_000_001).is_err(), is_changed, "{changed}");
    }

    let (header, claims) = data.split_at(data.iter().position(|&byte| byte == b'\n').unwrap_or(0));
    let claims = claims.strip_prefix(b"\n").unwrap_or(claims);
    let mut token = Base64UrlUnpadded::encode_string(if header.is_empty() { br#"{"alg":"HS256"}"# } else { header });
    token.push('.');
    token.push_str(&Base64UrlUnpadded::encode_string(claims));
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).map(|key| key.chain_update(&token).finalize());
    token.push('.');
    token.push_str(&Base64UrlUnpadded::encode_string(&mac.expect("a key of any length").into_bytes()));
    if let Ok(read) = keys.read(&token) {
        // A number beyond all measure, in a member of no meaning, is JSON too; not for this parser.
        let Ok(said) = serde_json::from_slice::<Value>(claims) else { return };
        assert_eq!((said["sub"].as_str(), said["exp"].as_u64()), (Some(read.sub.as_str()), Some(read.exp)));
        assert!(pat::is_user_id(&read.sub) && said.get("aud").is_none());
        assert!(keys.verify(&token, read.used_as, read.exp).is_err(), "dead at `exp`");
    }
}

/// What is taken for a token is one, to the letter; one that was made is taken, and with any other byte it is not.
pub(crate) fn pat(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(pat) = Pat::parse(&text) {
        assert!(pat::is_user_id(&pat.user_id()));
        assert_eq!(pat.into_secret().expose(), text);
    }
    let mut random = [0; 58];
    for (place, byte) in random.iter_mut().zip(data) {
        *place = *byte;
    }
    let take = |range: std::ops::Range<usize>| &random[range];
    let user_id = pat::make_user_id(take(0..16).try_into().expect("16"));
    let made = Pat::make(&user_id, take(16..24).try_into().expect("8"), take(24..56).try_into().expect("32"));
    let secret = made.expect("of a user").into_secret();
    let text = secret.expose();
    assert_eq!(Pat::parse(text).map(|pat| pat.user_id()).ok(), Some(user_id));
    let (at, mask) = (usize::from(random[56]) * text.len() / 256, random[57]);
    let mut changed = text.as_bytes().to_vec();
    changed[at] ^= mask;
    assert_eq!(Pat::parse(&String::from_utf8_lossy(&changed)).is_ok(), mask == 0);
}

/// A body that passes is JSON to another parser too, which finds the same model in it; what is edited for a backend
/// stays JSON, with all else as it was.
pub(crate) fn request(data: &[u8]) {
    for operation in [Operation::ChatCompletion, Operation::Completion, Operation::Embedding] {
        let Ok(request) = InferenceRequest::parse(operation, data, 64) else { continue };
        let text = std::str::from_utf8(data).expect("what passes is UTF-8");
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "what passes is JSON: {text}");
        // JSON too, but not for this parser: half a surrogate pair, a number beyond all measure.
        let Ok(said) = serde_json::from_str::<Value>(text) else { continue };
        assert_eq!(said["model"].as_str(), Some(request.model.as_str()));
        assert_eq!(said["stream"].as_bool().unwrap_or(false) && operation != Operation::Embedding, request.stream);
        for provider in Provider::ALL {
            let Some(edit) = request.edit(provider.quirks()) else { continue };
            let mut edited = text.to_owned();
            edited.replace_range(edit.range, &edit.text);
            let mut edited: Value = serde_json::from_str(&edited).expect("what is edited stays JSON");
            let mut before = said.clone();
            for name in ["stream_options", "encoding_format"] {
                edited.as_object_mut().expect("an object").remove(name);
                before.as_object_mut().expect("an object").remove(name);
            }
            assert_eq!(edited, before);
        }
    }
    let _ = Completion::read(data);
}

/// A wait is a number of milliseconds below ten years, and is never told as 0 seconds.
pub(crate) fn retry_after(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for now_ms in [0, 1_700_000_000_000, u64::MAX] {
        if let Some(wait_ms) = parse_retry_after(&text, now_ms) {
            assert!(wait_ms <= 3660 * 86_400_000 + 999, "{wait_ms}");
            assert!((1..=3660 * 86_400 + 1).contains(&to_retry_after_secs(wait_ms)));
        }
    }
}

/// Settings are taken or refused in a sentence that begins with the name of one. `NAME=value` lines.
pub(crate) fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut values = BTreeMap::from([("BACKENDS", "[]"), ("JWT_SECRET", SECRET)]);
    values.extend(text.lines().filter_map(|line| line.split_once('=')));
    let complaint = comind_edge::complaint_about(|name| values.get(name).map(|value| (*value).to_owned()));
    if let Some(complaint) = complaint {
        let named = complaint.split([' ', ':']).next().unwrap_or_default();
        assert!(comind_edge::SETTINGS.iter().any(|setting| setting.name == named), "{complaint}");
    }
}
