//! How failed tries are waited out.
use super::*;

fn waits_after(status: u16, retry_after: Option<Duration>) -> (Timer, Duration) {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.status(status, retry_after);
    assert_eq!(scene.connect_failures(), 1);
    (scene.wait_why(), scene.wait_for())
}

#[test]
fn connect_errors_back_off_and_a_message_resets_it() {
    let mut scene = Scene::of(Policy::Http);
    scene.input(Input::Start);
    for top in [5, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        scene.fail(FailKind::Connect, ReachedServer::No);
        assert_eq!(scene.wait_why(), Timer::Backoff);
        assert!(scene.wait_for() <= secs(top) && (top == 5 || scene.wait_for() >= secs(top) / 2));
        scene.pass(scene.wait_for());
    }
    scene.answer(ServerToAgent::default());
    scene.pass(secs(33));
    scene.fail(FailKind::Connect, ReachedServer::No);
    assert!(scene.wait_for() <= secs(5));
    assert_eq!(scene.connect_failures(), 12);
}

#[test]
fn a_200_with_garbage_does_not_reset_the_backoff() {
    let mut scene = Scene::of(Policy::Http);
    scene.input(Input::Start);
    for _ in 0..8 {
        scene.fact(Fact::Message(Bytes::from_static(b"<html>")));
        scene.pass(scene.wait_for());
    }
    scene.fact(Fact::Message(Bytes::from_static(b"<html>")));
    assert!(scene.wait_for() >= secs(64));
}

#[test]
fn too_many_requests_waits_for_retry_after_with_jitter_and_a_cap() {
    for status in [429, 503] {
        let (why, wait) = waits_after(status, Some(secs(60)));
        assert_eq!(why, Timer::RetryAfter);
        assert!(wait >= secs(60) && wait <= secs(90), "{wait:?}");
        let (_, wait) = waits_after(status, Some(secs(1_000_000)));
        assert!(wait >= secs(3600) && wait <= secs(3630), "{wait:?}");
        let (_, wait) = waits_after(status, None);
        assert!(wait >= secs(30) && wait <= secs(60), "{wait:?}");
    }
}

#[test]
fn no_wish_goes_through_a_closed_gate() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.status(503, Some(secs(300)));
    scene.forget();
    scene.host(Change::Description(description("new")));
    scene.host(Change::PollNow);
    scene.host(Change::ReportFullState);
    scene.host(Change::Reconnect);
    scene.host(Change::Headers);
    scene.host(Change::Interval(millis(10)));
    scene.host(Change::Report {
        ticket: 1,
        tries: None,
        force_message: true,
    });
    scene.pass(millis(299_999));
    assert!(scene.sent.is_empty());
    scene.pass(secs(31));
    assert_eq!(scene.sent.len(), 1);
}

#[test]
fn a_server_that_puts_off_for_nothing_is_not_asked_all_the_time() {
    let config = Config {
        retry_after_jitter: Duration::ZERO,
        ..Config::new(Policy::Http)
    };
    let mut scene = Scene::with(config, PersistentState::new(UID));
    scene.input(Input::Start);
    let unavailable = error(
        ServerErrorResponseType::Unavailable,
        Some(Duration::from_nanos(1)),
    );
    scene.answer(unavailable.clone());
    scene.pass_answering(secs(60), &unavailable);
    assert!(scene.sent.len() < 12, "{}", scene.sent.len());
}

#[test]
fn other_4xx_wait_for_the_next_poll() {
    for status in [400, 401, 403, 404, 405, 415, 301, 201, 206] {
        let (why, wait) = waits_after(status, None);
        assert_eq!(why, Timer::NextPoll, "{status}");
        assert!(wait >= secs(27) && wait <= secs(33), "{wait:?}");
    }
    for status in [408, 500, 502, 504] {
        let (why, wait) = waits_after(status, Some(secs(100)));
        assert_eq!(why, Timer::Backoff, "{status}");
        assert!(wait <= secs(5));
    }
}

/// [HTTP-22] Each of these tries is a whole chain of requests.
#[test]
fn a_redirect_that_is_not_followed_backs_off_from_a_short_interval() {
    let mut scene = Scene::http();
    scene.host(Change::Interval(secs(1)));
    scene.host(Change::PollNow);
    let mut waits = Vec::new();
    for _ in 0..12 {
        scene.status(307, None);
        waits.push(scene.wait_for());
        scene.pass(scene.wait_for());
    }
    assert!(waits[11] >= secs(150), "{waits:?}");
    assert!(scene.sent.len() <= 13, "{waits:?}");
}

#[test]
fn new_headers_end_the_wait_after_401_and_403_only() {
    for (status, tries) in [(401, 1), (403, 1), (404, 0), (500, 0)] {
        let mut scene = Scene::http();
        scene.host(Change::PollNow);
        scene.status(status, None);
        scene.forget();
        scene.host(Change::Headers);
        assert_eq!(scene.sent.len(), tries, "{status}");
    }
}

/// HTTP-11: a token that was renewed while the request with the old one was on its way.
#[test]
fn headers_that_came_during_a_refused_try_are_tried_at_once() {
    for status in [401, 403] {
        let mut scene = Scene::http();
        scene.host(Change::PollNow);
        scene.host(Change::Headers);
        scene.status(status, None);
        assert_eq!(scene.sent.len(), 2, "{status}");
        // but only once
        scene.status(status, None);
        assert_eq!((scene.sent.len(), scene.wait_why()), (2, Timer::NextPoll));
        // and over WebSocket
        let mut scene = Scene::of(Policy::WebSocket);
        scene.input(Input::Start);
        scene.host(Change::Headers);
        scene.status(status, None);
        assert_eq!(scene.connects.len(), 2, "{status}");
        scene.status(status, None);
        assert_eq!(scene.connects.len(), 2, "{status}");
    }
}

/// HTTP-11, HTTP-21.
#[test]
fn the_next_poll_after_a_refusal_follows_the_interval() {
    for status in [401, 404] {
        let mut scene = Scene::http();
        scene.host(Change::PollNow);
        scene.status(status, None);
        assert_eq!(scene.wait_why(), Timer::NextPoll);
        scene.host(Change::Interval(secs(600)));
        assert!(scene.wait_for() >= secs(540), "{:?}", scene.wait);
        scene.host(Change::Interval(secs(2)));
        assert!(scene.wait_for() <= millis(2200), "{:?}", scene.wait);
    }
    // but never a wait that the server asked for
    let (mut scene, asked) = (Scene::http(), Some(secs(100)));
    scene.host(Change::PollNow);
    scene.status(429, asked);
    scene.host(Change::Interval(secs(1)));
    assert!(scene.wait_for() >= secs(100));
}

#[test]
fn after_413_the_parts_are_held_back_and_polls_go_on() {
    let mut scene = Scene::http();
    scene.host(Change::EffectiveConfig(Arc::new(config_map("large"))));
    scene.status(413, None);
    assert!(scene.core.snapshot().held_back.has(Part::EffectiveConfig));
    scene.forget();
    scene.pass_answering(secs(95), &ServerToAgent::default());
    assert_eq!(scene.sent.len(), 3);
    assert!(
        scene
            .sent
            .iter()
            .all(|(_, message)| message.effective_config.is_none())
    );
}

/// LOG-04.
#[test]
fn after_413_the_last_try_has_failed_until_the_next_answer() {
    let mut scene = Scene::http();
    let state = |scene: &Scene| scene.core.snapshot().state;
    assert_eq!(state(&scene), AgentState::Connected);
    scene.host(Change::EffectiveConfig(Arc::new(config_map("large"))));
    assert_eq!(state(&scene), AgentState::Connected);
    scene.status(413, None);
    assert_eq!(state(&scene), AgentState::Waiting);
    scene.pass(scene.wait_for());
    assert_eq!(state(&scene), AgentState::Connecting);
    scene.answer(ServerToAgent::default());
    assert_eq!(state(&scene), AgentState::Connected);
}

/// [PROXY-01]
#[test]
fn a_proxys_413_says_nothing_about_the_message() {
    let mut scene = Scene::http();
    scene.host(Change::EffectiveConfig(Arc::new(config_map("small"))));
    let failure = Failure {
        status: Some(413),
        ..Failure::new(FailKind::Proxy, ReachedServer::No, "413")
    };
    scene.fact(Fact::Over(failure));
    assert!(!scene.core.snapshot().held_back.has(Part::EffectiveConfig));
}

#[test]
fn a_kept_connection_that_died_is_replaced_at_once_and_in_silence_but_only_once() {
    let mut scene = Scene::http();
    scene.host(Change::Description(description("new")));
    let died = || {
        let failure = Failure::new(FailKind::Io, ReachedServer::Maybe, "reset");
        Fact::Over(Failure {
            reused: true,
            ..failure
        })
    };
    scene.fact(died());
    assert_eq!(scene.sent.len(), 2);
    assert_eq!(scene.last().sequence_num, 2);
    assert!(scene.last().agent_description.is_some());
    assert_eq!(scene.connect_failures(), 0);
    scene.fact(died());
    assert_eq!(scene.sent.len(), 2);
    assert_eq!(scene.connect_failures(), 1);
}

#[test]
fn an_old_fact_is_dropped_and_counted() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    let late = scene.id;
    scene.fail(FailKind::Timeout, ReachedServer::Maybe);
    scene.pass(secs(5));
    let message = Fact::Message(offer("h", "late").encode_to_vec().into());
    scene.input(Input::Link {
        id: late,
        fact: message,
    });
    assert!(scene.offers().is_empty());
    assert_eq!(scene.core.snapshot().stale_facts, 1);
}

#[test]
fn an_exchange_that_its_transport_forgets_is_cut() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.pass(secs(65));
    assert_eq!(scene.closes, [None]);
    assert!(scene.wait.is_none(), "its end is awaited: {:?}", scene.wait);
    scene.fail(FailKind::Timeout, ReachedServer::Maybe);
    assert_eq!(scene.connect_failures(), 1);
    scene.pass(secs(5));
    assert_eq!(scene.sent.len(), 2);
}

#[test]
fn after_a_freeze_there_is_one_poll_and_no_failure_told() {
    let mut scene = Scene::http();
    // given a freeze while idle: one poll, and its dead kept connection is replaced
    scene.freeze(secs(7200));
    assert_eq!(scene.sent.len(), 1);
    // given a freeze during an exchange
    scene.freeze(secs(7200));
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    assert_eq!(scene.connect_failures(), 0);
    assert_eq!(scene.sent.len(), 2);
    scene.answer(ServerToAgent::default());
    assert_eq!(scene.sent.len(), 2);
}

/// [HTTP-24] A way that takes messages of up to `limit` bytes: all that an agent sends until
/// nothing is left to send.
fn through(scene: &mut Scene, limit: usize, answer: &ServerToAgent) -> Vec<AgentToServer> {
    let from = scene.sent.len();
    while !scene.is_answered {
        if scene.last().encoded_len() > limit {
            scene.status(413, None);
        } else {
            scene.answer(answer.clone());
        }
        assert!(scene.sent.len() < from + 20, "it does not converge");
    }
    let sent = scene.sent[from - 1..].iter();
    sent.map(|(_, message)| message.clone()).collect()
}

fn with_large_config(size: usize, carry: PersistentState) -> Scene {
    let mut scene = Scene::with(Config::new(Policy::Http), carry);
    scene.host(Change::Capabilities(CAPABILITIES));
    scene.host(Change::Description(description("gateway")));
    scene.host(Change::EffectiveConfig(Arc::new(config_map(
        &"x".repeat(size),
    ))));
    scene
}

/// [HTTP-24]
#[test]
fn one_part_too_large_leaves_the_rest_and_is_tried_alone_once() {
    let mut carry = PersistentState::new(UID);
    let verdict = RemoteConfigStatus::new(b"h", ConfigState::Applied, String::new());
    carry.verdict = Some(verdict.expect("legal"));
    let mut scene = with_large_config(1000, carry);
    scene.input(Input::Start);
    let sent = through(&mut scene, 500, &ServerToAgent::default());
    let has: Vec<_> = sent
        .iter()
        .map(|it| {
            let status = it.remote_config_status.is_some();
            (
                it.agent_description.is_some(),
                it.effective_config.is_some(),
                status,
            )
        })
        .collect();
    let (all, rest, alone) = (
        (true, true, true),
        (true, false, true),
        (false, true, false),
    );
    assert_eq!(has[..3], [all, rest, alone]);
    assert_eq!(scene.warnings(), [WarningKind::RequestTooLarge]);
    let held = |scene: &Scene| scene.core.snapshot().held_back;
    assert_eq!(held(&scene), Parts::of(Part::EffectiveConfig));
    // a server that wants all does not get it
    scene.forget();
    scene.host(Change::PollNow);
    scene.answer(asks_full_state());
    assert!(scene.last().agent_description.is_some() && scene.last().effective_config.is_none());
    through(&mut scene, 500, &ServerToAgent::default());
    assert!(
        scene
            .sent
            .iter()
            .all(|(_, it)| it.effective_config.is_none())
    );
    // nor after a restart with the same value, whatever the host tells first
    let kept = scene.core.carry();
    let mut again = with_large_config(1000, kept.clone());
    again.input(Input::Start);
    through(&mut again, 500, &asks_full_state());
    assert!(
        again
            .sent
            .iter()
            .all(|(_, it)| it.effective_config.is_none())
    );
    assert_eq!(held(&again), Parts::of(Part::EffectiveConfig));
    assert_eq!(again.core.carry().too_large, kept.too_large);
    // but with another one it does
    let mut other = with_large_config(300, kept);
    other.input(Input::Start);
    assert!(other.last().effective_config.is_some());
    // as it does for the host, and when it changes
    scene.host(Change::ReportFullState);
    let sent = through(&mut scene, 500, &ServerToAgent::default());
    assert!(sent.iter().any(|it| it.effective_config.is_some()));
    assert_eq!(held(&scene), Parts::of(Part::EffectiveConfig));
    scene.host(Change::EffectiveConfig(Arc::new(config_map("small"))));
    assert!(scene.last().effective_config.is_some());
    through(&mut scene, 500, &ServerToAgent::default());
    assert!(held(&scene).is_empty());
}

/// [HTTP-24]
#[test]
fn two_parts_that_are_too_large_together_go_one_by_one() {
    let mut scene = with_large_config(300, PersistentState::new(UID));
    scene.host(Change::Description(description(&"x".repeat(300))));
    scene.input(Input::Start);
    through(&mut scene, 500, &ServerToAgent::default());
    assert_eq!(scene.sent.len(), 3);
    assert!(scene.core.snapshot().pending.is_empty());
    assert!(scene.core.snapshot().held_back.is_empty());
    assert_eq!(scene.warnings(), []);
    // and on the next full report they are not together again
    scene.forget();
    scene.host(Change::ReportFullState);
    through(&mut scene, 500, &ServerToAgent::default());
    assert_eq!(scene.sent.len(), 2);
}

/// [HTTP-24]
#[test]
fn a_description_refused_alone_is_told_and_heartbeats_go_on() {
    let mut scene = Scene::of(Policy::Http);
    scene.input(Input::Start);
    through(&mut scene, 40, &ServerToAgent::default());
    assert_eq!(scene.warnings(), [WarningKind::RequestTooLarge]);
    scene.forget();
    scene.pass_answering(secs(95), &asks_full_state());
    assert!(scene.sent.len() >= 3);
    assert!(
        scene
            .sent
            .iter()
            .all(|(_, it)| it.agent_description.is_none())
    );
}

/// [HTTP-24]
#[test]
fn our_own_limit_holds_back_what_can_not_go_and_sends_alone_what_can() {
    for (size, is_held) in [(300, false), (600, true)] {
        let config = Config {
            send_limit: 500,
            ..Config::new(Policy::Http)
        };
        let mut scene = Scene::with(config, PersistentState::new(UID));
        scene.host(Change::Capabilities(CAPABILITIES));
        scene.host(Change::Description(description(&"x".repeat(300))));
        let config = config_map(&"x".repeat(size));
        scene.host(Change::EffectiveConfig(Arc::new(config)));
        scene.input(Input::Start);
        through(&mut scene, 500, &ServerToAgent::default());
        assert_eq!(scene.sent.len(), 2 - usize::from(is_held));
        let held = scene.core.snapshot().held_back;
        assert_eq!(held.has(Part::EffectiveConfig), is_held);
        assert!(scene.core.snapshot().pending.is_empty());
    }
}
