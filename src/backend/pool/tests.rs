//! Who is picked, who is left in peace, and what is never lost.

use super::*;
use std::vec;

const NEVER: u64 = u64::MAX;
const POLICY: BreakerPolicy = BreakerPolicy { failures: 3, open_ms: 1000 };

fn pool() -> Pool<()> {
    Pool::new(POLICY, 10)
}

fn of(backends: &[(&'static str, u32)]) -> Vec<Candidate<'static>> {
    backends.iter().map(|&(id, weight)| Candidate { id, weight }).collect()
}

fn pick(pool: &mut Pool<()>, backends: &[(&'static str, u32)]) -> (usize, Ticket) {
    pool.begin(&of(backends), None, false, 0, NEVER, ()).unwrap()
}

#[test]
fn idle_backends_take_turns_in_the_order_of_the_configuration() {
    let mut pool = pool();
    let order: Vec<usize> = (0..6)
        .map(|_| {
            let (place, ticket) = pick(&mut pool, &[("a", 1), ("b", 1), ("c", 1)]);
            pool.end(ticket, Outcome::Answered, 0);
            place
        })
        .collect();
    assert_eq!(order, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn a_busy_one_gets_less() {
    let mut pool = pool();
    let both = [("slow", 1), ("fast", 1)];
    let (slow, mut fast) = (pick(&mut pool, &both), pick(&mut pool, &both));
    assert_eq!((slow.0, fast.0), (0, 1));
    for _ in 0..10 {
        pool.end(fast.1, Outcome::Answered, 0);
        fast = pick(&mut pool, &both);
        assert_eq!(fast.0, 1);
    }
    pool.end(slow.1, Outcome::Answered, 0);
    pool.end(slow.1, Outcome::Answered, 0);
    assert_eq!(pick(&mut pool, &both).0, 0);
}

#[test]
fn weights_share_the_work_and_zero_gets_none() {
    let mut pool = pool();
    let backends = [("big", 3), ("drained", 0), ("small", 1)];
    let picks: Vec<usize> = (0..40).map(|_| pick(&mut pool, &backends).0).collect();
    assert_eq!([0, 1, 2].map(|place| picks.iter().filter(|&&it| it == place).count()), [30, 0, 10]);
    assert_eq!(pool.begin(&of(&[("drained", 0)]), None, false, 0, NEVER, ()), Err(None));
    assert_eq!(pool.begin(&[], None, false, 0, NEVER, ()), Err(None));
}

#[test]
fn what_a_backend_says_of_its_load_counts_for_a_while() {
    let mut pool = pool();
    pool.note_pulse("a", Pulse { load: 4, progress: 0 }, 0);
    let at =
        |pool: &mut Pool<()>, now_ms| pool.begin(&of(&[("a", 1), ("b", 1)]), None, false, now_ms, NEVER, ()).unwrap().0;
    assert_eq!((0..5).map(|_| at(&mut pool, 0)).collect::<Vec<_>>(), [1, 1, 1, 1, 0]);
    assert_eq!(at(&mut pool, OTHERS_LAST_MS), 0, "forgotten: one there, four here");
}

#[test]
fn old_news_do_not_send_all_isolates_to_the_same_backend() {
    let ids: Vec<String> = (0..20).map(|at| std::format!("gpu-{at}")).collect();
    let backends: Vec<Candidate<'_>> = ids.iter().map(|id| Candidate { id, weight: 1 }).collect();
    let mut counts = [0_u32; 20];
    for isolate in 0..400 {
        let mut pool: Pool<()> = pool();
        for (at, id) in ids.iter().enumerate() {
            // One has nothing to do, as far as was heard.
            pool.note_pulse(id, Pulse { load: if at == 3 { 0 } else { 10 }, progress: 0 }, 0);
        }
        counts[pool.begin(&backends, None, false, isolate, NEVER, ()).unwrap().0] += 1;
    }
    assert!(counts[3] > 20 && counts.iter().all(|&count| count < 80), "{counts:?}");
}

#[test]
fn a_conversation_stays_where_it_is_while_there_is_room() {
    let mut pool = pool();
    let backends = of(&[("a", 1), ("b", 1), ("c", 1)]);
    let mut homes = vec![];
    for conversation in 0..300 {
        let (home, ticket) = pool.begin(&backends, Some(conversation), false, 0, NEVER, ()).unwrap();
        pool.end(ticket, Outcome::Answered, 0);
        homes.push(home);
    }
    for conversation in (0..300).rev() {
        let (place, ticket) = pool.begin(&backends, Some(conversation), false, 0, NEVER, ()).unwrap();
        pool.end(ticket, Outcome::Answered, 0);
        assert_eq!(place, homes[usize::try_from(conversation).unwrap()]);
    }
    // One conversation, many requests at once: no backend has more than 5/4 of its share, and one.
    let mut counts = [0_u64; 3];
    for sent in 1..=300_u64 {
        let (place, _) = pool.begin(&backends, Some(7), false, 0, NEVER, ()).unwrap();
        counts[place] += 1;
        assert!(counts.iter().all(|&count| count <= (5 * sent).div_ceil(12) + 1), "{counts:?} of {sent}");
    }
    assert_eq!(counts.iter().max(), Some(&126));
}

#[test]
fn isolates_agree_on_a_conversations_home() {
    let backends = of(&[("a", 1), ("b", 2), ("c", 1)]);
    let mut agreed = 0;
    for conversation in 0..200 {
        let homes: Vec<usize> = (0..4)
            .map(|isolate| {
                let mut pool = pool();
                for _ in 0..isolate {
                    let _ = pool.begin(&backends, None, false, 0, NEVER, ());
                }
                pool.begin(&backends, Some(conversation), false, 0, NEVER, ()).unwrap().0
            })
            .collect();
        agreed += usize::from(homes.iter().all(|home| *home == homes[0]));
    }
    assert!(agreed == 200, "{agreed} of 200 agree, with up to three requests of others under way");
}

#[test]
fn one_that_fails_is_left_in_peace_and_tried_again() {
    let mut pool = pool();
    let both = of(&[("bad", 1), ("good", 1)]);
    let at = |pool: &mut Pool<()>, now_ms, bad: Outcome| {
        let (place, ticket) = pool.begin(&both, None, false, now_ms, NEVER, ()).unwrap();
        pool.end(ticket, if place == 0 { bad } else { Outcome::Answered }, now_ms);
        place
    };
    let places: Vec<usize> = (0..20).map(|_| at(&mut pool, 0, Outcome::Broken)).collect();
    assert_eq!(places.iter().filter(|&&place| place == 0).count(), 3);
    assert_eq!(pool.standing("bad", 0), Standing::Open { until_ms: 1000 });
    let places: Vec<usize> = (0..20).map(|_| at(&mut pool, 1000, Outcome::Unready)).collect();
    assert_eq!(places.iter().filter(|&&place| place == 0).count(), 1, "one trial");
    assert_eq!(pool.standing("bad", 1000), Standing::Open { until_ms: 3000 });
    let places: Vec<usize> = (0..20).map(|_| at(&mut pool, 3000, Outcome::Answered)).collect();
    assert_eq!(places.iter().filter(|&&place| place == 0).count(), 10, "as before");
}

#[test]
fn what_is_sent_again_is_not_what_others_are_tried_with() {
    let mut pool = pool();
    for id in ["a", "b"] {
        let (_, ticket) = pool.begin(&of(&[(id, 1)]), None, false, 0, NEVER, ()).unwrap();
        pool.end(ticket, Outcome::Dead, 0);
    }
    let (_, busy) = pool.begin(&of(&[("c", 1)]), None, false, 0, NEVER, ()).unwrap();
    let all = of(&[("a", 1), ("b", 1), ("c", 1)]);
    let mut begin = |is_again| pool.begin(&all, None, is_again, 60_000, NEVER, ()).unwrap().0;
    assert_eq!((begin(false), begin(true)), (0, 2), "the first is a trial, though c has something to do");
    pool.end(busy, Outcome::Answered, 60_000);
    let (place, _) = pool.begin(&of(&[("b", 1)]), None, true, 60_000, NEVER, ()).unwrap();
    assert_eq!(place, 0, "there is no other");
}

#[test]
fn when_all_are_left_in_peace_the_wait_is_known() {
    let mut pool = pool();
    for id in ["a", "b"] {
        let (_, ticket) = pool.begin(&of(&[(id, 1)]), None, false, 0, NEVER, ()).unwrap();
        pool.end(ticket, Outcome::Dead, if id == "a" { 100 } else { 400 });
    }
    assert_eq!(pool.begin(&of(&[("a", 1), ("b", 1)]), None, false, 500, NEVER, ()), Err(Some(600)));
    assert!(pool.begin(&of(&[("a", 1)]), None, false, 1100, NEVER, ()).is_ok());
    assert_eq!(pool.begin(&of(&[("a", 1)]), None, false, 1100, NEVER, ()), Err(Some(1)), "the trial is under way");
}

#[test]
fn a_saturated_backend_is_slow_and_not_ill() {
    let mut pool = pool();
    let one = of(&[("a", 1)]);
    for _ in 0..20 {
        let (_, slow) = pool.begin(&one, None, false, 0, NEVER, ()).unwrap();
        let (_, other) = pool.begin(&one, None, false, 0, NEVER, ()).unwrap();
        pool.hear(other, 10, NEVER);
        pool.end(slow, Outcome::Slow, 20);
        pool.end(other, Outcome::Answered, 20);
        assert_eq!(pool.standing("a", 20), Standing::Closed);
    }
    for _ in 0..3 {
        let (_, slow) = pool.begin(&one, None, false, 30, NEVER, ()).unwrap();
        pool.end(slow, Outcome::Slow, 50);
    }
    assert_ne!(pool.standing("a", 50), Standing::Closed, "nothing came from it at all");
}

#[test]
fn too_much_to_do_is_no_failure() {
    let mut pool = pool();
    for _ in 0..20 {
        let (_, ticket) = pick(&mut pool, &[("a", 1)]);
        pool.end(ticket, Outcome::Busy, 0);
    }
    assert_eq!(pool.standing("a", 0), Standing::Closed);
}

#[test]
fn what_gives_no_sign_of_life_is_taken_off_with_what_belongs_to_it() {
    let mut pool: Pool<&str> = Pool::new(POLICY, 0);
    let both = of(&[("a", 1), ("b", 1)]);
    let (left, _) = pool.begin(&both, None, false, 0, 5000, "left").unwrap();
    let (kept, heard) = pool.begin(&both, None, false, 0, 5000, "heard").unwrap();
    let (_, waiting) = pool.begin(&both, None, false, 0, 5000, "waiting").unwrap();
    assert_eq!((left, kept), (0, 1));
    pool.hear(heard, 4000, 9000);
    pool.renew(waiting, 9000);
    pool.hear(77, 0, 0);
    assert_eq!(pool.sweep(4999), Vec::<&str>::new());
    assert_eq!(pool.sweep(5000), Vec::<&str>::new(), "looked a moment ago");
    assert_eq!(pool.sweep(5999), ["left"]);
    assert_eq!(pool.end(heard, Outcome::Answered, 6000), Some("heard"));
    assert_eq!(pool.end(heard, Outcome::Answered, 6000), None, "once");
}

#[test]
fn retries_are_a_fifth_of_the_requests_and_a_burst() {
    let again = |pool: &mut Pool<()>| pool.begin(&of(&[("a", 1)]), None, true, 0, NEVER, ()).is_ok();
    let mut pool = Pool::new(POLICY, 2);
    assert_eq!([(); 3].map(|()| again(&mut pool)), [true, true, false]);
    for _ in 0..5 {
        assert!(!again(&mut pool));
        pick(&mut pool, &[("a", 1)]);
    }
    assert_eq!([(); 2].map(|()| again(&mut pool)), [true, false]);
    assert!(!again(&mut Pool::new(POLICY, 0)));
    let mut pool = Pool::new(POLICY, 1);
    assert_eq!(pool.begin(&[], None, true, 0, NEVER, ()), Err(None));
    assert!(again(&mut pool), "where there was nobody to ask, none was spent");
}

#[test]
fn one_that_breaks_every_stream_in_its_middle_is_left_in_peace() {
    let mut pool = pool();
    for _ in 0..3 {
        assert_eq!(pool.standing("a", 0), Standing::Closed);
        let (_, ticket) = pick(&mut pool, &[("a", 1)]);
        pool.hear(ticket, 0, NEVER);
        pool.end(ticket, Outcome::Broken, 0);
    }
    assert_eq!(pool.standing("a", 0), Standing::Open { until_ms: 1000 });
    let (_, trial) = pool.begin(&of(&[("a", 1)]), None, false, 1000, NEVER, ()).unwrap();
    pool.hear(trial, 1000, NEVER);
    assert_eq!(pool.standing("a", 1000), Standing::Closed, "a long stream proves itself when it begins");
}

#[test]
fn what_happened_is_counted_for_a_monitor() {
    let mut pool = pool();
    let (_, ticket) = pick(&mut pool, &[("a", 1)]);
    pool.end(ticket, Outcome::Answered, 0);
    let (_, ticket) = pick(&mut pool, &[("a", 1)]);
    pool.end(ticket, Outcome::Dead, 0);
    pool.begin(&of(&[("b", 1)]), None, false, 0, NEVER, ()).unwrap();
    pool.begin(&of(&[("b", 1)]), None, true, 0, NEVER, ()).unwrap();
    pool.count_cost("a", Cost { tokens: 7, is_estimate: false });
    pool.count_cost("a", Cost { tokens: 5, is_estimate: true });
    let page = pool.metrics(["a", "b", "c"].into_iter(), 1);
    for line in [
        "comind_backend_requests_total{backend=\"a\",outcome=\"answered\"} 1",
        "comind_backend_requests_total{backend=\"a\",outcome=\"dead\"} 1",
        "comind_backend_requests_total{backend=\"c\",outcome=\"busy\"} 0",
        "comind_backend_requests_under_way{backend=\"b\"} 2",
        "comind_backend_breaker_state{backend=\"a\",state=\"open\"} 1",
        "comind_backend_breaker_state{backend=\"c\",state=\"closed\"} 1",
        "comind_retries_total 1",
        "comind_tokens_total{backend=\"a\",source=\"usage\"} 7",
        "comind_tokens_total{backend=\"a\",source=\"estimate\"} 5",
    ] {
        assert!(page.lines().any(|shown| shown == line), "{line}\n{page}");
    }
}
