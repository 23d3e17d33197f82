//! How often the core asks for memory, where it works for every request and every chunk. A budget is what was needed
//! when it was set; who needs more says why.
#![allow(clippy::unwrap_used, reason = "a test")]

use allocation_counter::{AllocationInfo, measure};
use comind::backend::{BreakerPolicy, Candidate, Completion, Outcome, Pool};
use comind::chat::Relay;
use comind::lease::{Decision, Grant, Lease, Share};
use comind::request::{InferenceRequest, Operation};
use comind::secret::Secret;
use comind::sse::{Decoder, Event};
use comind::token::jwt::{Claims, ISSUER, Keys, Use};
use comind::token::pat::{Pat, make_user_id};

const LIMIT_BYTES: usize = 1 << 20;
const NOW_SECS: u64 = 1_800_000_000;

fn event(at: u32) -> String {
    format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
         \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word {at:05}\"}},\"finish_reason\":null}}]}}\n\n"
    )
}

fn stream() -> Vec<u8> {
    (0..1000).flat_map(|at| event(at).into_bytes()).collect()
}

fn body(bytes: usize) -> Vec<u8> {
    let text = "Why? ".repeat(bytes / 5);
    format!(r#"{{"model":"m","messages":[{{"role":"system","content":"s"}},{{"role":"user","content":"{text}"}}],"temperature":0.5}}"#)
        .into_bytes()
}

fn count(work: impl FnOnce()) -> u64 {
    let AllocationInfo { count_total, .. } = measure(work);
    count_total
}

#[test]
fn whole_events_are_relayed_without_memory() {
    let stream = stream();
    let mut relay = Relay::new(LIMIT_BYTES);
    let piece = event(0).len();
    let mut chunks = stream.chunks(piece);
    // The first one may set something up.
    relay.handle_chunk(chunks.next().unwrap());
    let allocations = count(|| chunks.for_each(|chunk| assert!(relay.handle_chunk(chunk).chunk.len() <= chunk.len())));
    assert_eq!(allocations, 0);
}

#[test]
fn events_that_are_cut_are_relayed_in_memory_that_is_kept() {
    let stream = stream();
    let mut relay = Relay::new(LIMIT_BYTES);
    let mut chunks = stream.chunks(100);
    chunks.by_ref().take(50).for_each(|chunk| assert!(relay.handle_chunk(chunk).chunk.len() <= chunk.len()));
    let allocations = count(|| chunks.for_each(|chunk| assert!(relay.handle_chunk(chunk).chunk.len() <= chunk.len())));
    assert_eq!(allocations, 0);
}

#[test]
fn events_are_decoded_in_memory_that_is_kept() {
    let stream = stream();
    for piece in [event(0).len(), 100, 16 << 10] {
        let mut decoder = Decoder::new(LIMIT_BYTES);
        let mut seen = 0;
        let mut decode = |chunk: &[u8]| decoder.handle_chunk(chunk, &mut |_: Event<'_>| seen += 1).unwrap();
        let mut chunks = stream.chunks(piece);
        chunks.by_ref().take(6).for_each(&mut decode);
        let allocations = count(|| chunks.for_each(&mut decode));
        assert_eq!((allocations, seen), (0, 1000), "pieces of {piece} bytes");
    }
}

#[test]
fn a_request_is_read_in_the_same_memory_whatever_its_length() {
    let read = |body: Vec<u8>| count(|| drop(InferenceRequest::parse(Operation::ChatCompletion, &body, 64).unwrap()));
    let (short, long) = (read(body(100)), read(body(1_000_000)));
    assert_eq!(short, long);
    assert!((1..=2).contains(&long), "{long}: the model's name, and what reads it");
}

#[test]
fn an_answer_is_read_in_hardly_any_memory() {
    let answer = format!(
        r#"{{"choices":[{{"message":{{"content":"{}"}}}}],"usage":{{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}}}"#,
        "x".repeat(100_000)
    );
    let allocations = count(|| assert!(Completion::read(answer.as_bytes()).unwrap().usage.is_some()));
    assert!(allocations <= 2, "{allocations}: which brackets are open");
}

#[test]
fn credentials_are_checked_in_little_memory() {
    let keys = Keys::new(Secret::new("a secret of 48 bytes, as long as those that are made"), None);
    let user_id = make_user_id(&[7; 16]);
    let token = keys.sign(&Claims {
        iss: ISSUER.to_owned(),
        sub: user_id.clone(),
        iat: NOW_SECS - 60,
        exp: NOW_SECS + 3600,
        jti: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        sid: "BBBBBBBBBBBBBBBBBBBBBB".to_owned(),
        generation: 0,
        ver: 1,
        used_as: Use::Access,
    });
    let jwt = count(|| drop(keys.verify(token.expose(), Use::Access, NOW_SECS).unwrap()));
    assert!(jwt <= JWT_ALLOCATIONS, "{jwt} for a session's token");
    let pat = Pat::make(&user_id, &[1; 8], &[2; 32]).unwrap();
    let text = pat.into_secret();
    let allocations = count(|| drop(Pat::parse(text.expose()).unwrap().hash()));
    println!("PAT {allocations}");
    assert!(allocations <= PAT_ALLOCATIONS, "{allocations} for a personal access token");
}

const JWT_ALLOCATIONS: u64 = 17;
const PAT_ALLOCATIONS: u64 = 3;

#[test]
fn a_lease_decides_without_memory() {
    let mut lease = Lease::default();
    lease.remember("token", (), 0, 10_000);
    let grant = Grant { share: Share { requests: 100, tokens: 100_000 }, ..Grant::default() };
    lease.take_in(grant, Share::default(), 0, 10_000).unwrap();
    let allocations = count(|| {
        for now_ms in 0..100 {
            assert!(lease.credential("token", now_ms).is_some());
            assert!(matches!(lease.decide(100, now_ms), Decision::Pass { .. }));
        }
    });
    assert_eq!(allocations, 0);
}

#[test]
fn a_backend_is_picked_in_little_memory() {
    let ids: Vec<String> = (0..10).map(|at| format!("gpu-{at}")).collect();
    let candidates: Vec<Candidate<'_>> = ids.iter().map(|id| Candidate { id, weight: 1 }).collect();
    let mut pool: Pool<()> = Pool::new(BreakerPolicy { failures: 5, open_ms: 5000 }, 100);
    let mut pick = || {
        let (_, ticket) = pool.begin(&candidates, Some(7), false, 0, u64::MAX, ()).unwrap();
        pool.end(ticket, Outcome::Answered, 0);
    };
    (0..100).for_each(|_| pick());
    let each = count(&mut pick);
    println!("PICK {each}");
    assert!(each <= PICK_ALLOCATIONS, "{each}");
}

const PICK_ALLOCATIONS: u64 = 6;
