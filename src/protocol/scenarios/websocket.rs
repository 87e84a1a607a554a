//! The WebSocket policy.
use super::*;

#[test]
fn the_status_report_follows_the_connection_and_is_confirmed_by_pong_and_answer() {
    let mut scene = Scene::of(Policy::WebSocket);
    scene.input(Input::Start);
    assert_eq!((scene.connects.len(), scene.sent.len()), (1, 0));
    scene.fact(Fact::Opened);
    assert!(scene.last().agent_description.is_some());
    assert!(scene.marker.is_some());
    scene.confirm();
    assert!(scene.core.snapshot().pending.is_empty());
    // then a reconnect reports only the head
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    scene.pass(secs(5));
    scene.fact(Fact::Opened);
    assert_eq!(scene.sent.len(), 2);
    assert!(scene.last().agent_description.is_none());
    assert_eq!(scene.last().sequence_num, 1);
}

#[test]
fn an_answer_before_the_pong_confirms_nothing_yet() {
    let mut scene = Scene::websocket();
    scene.host(Change::Description(description("new")));
    scene.fact(Fact::Written);
    let marker = scene.marker.expect("news are marked");
    scene.answer(ServerToAgent::default());
    assert!(scene.core.snapshot().pending.has(Part::Description));
    scene.fact(Fact::Pong { marker });
    assert!(scene.core.snapshot().pending.has(Part::Description));
    scene.answer(ServerToAgent::default());
    assert!(scene.core.snapshot().pending.is_empty());
}

/// [SYNC-02] [LIFE-12]
#[test]
fn who_waits_for_a_confirmation_that_came_too_early_gets_one_more_message() {
    let mut scene = Scene::websocket();
    scene.host(Change::Description(description("new")));
    scene.fact(Fact::Written);
    let marker = scene.marker.expect("news are marked");
    scene.answer(ServerToAgent::default());
    scene.fact(Fact::Pong { marker });
    scene.pass(secs(2));
    assert_eq!(scene.sent.len(), 1, "nobody waits");
    scene.host(Change::Report {
        ticket: 1,
        tries: None,
        force_message: false,
    });
    assert_eq!((scene.sent.len(), scene.marker.is_some()), (2, true));
    assert!(scene.last().agent_description.is_none());
    scene.fact(Fact::Written);
    scene.pass(secs(20));
    assert_eq!(scene.sent.len(), 2, "it is asked for once");
    scene.answer(ServerToAgent::default());
    let outcome = Outcome::Confirmed;
    assert!(
        scene
            .events
            .contains(&Event::SendDone { ticket: 1, outcome })
    );
}

#[test]
fn a_peer_that_answers_no_pings_gets_the_full_state_again() {
    let mut scene = Scene::of(Policy::WebSocket);
    scene.input(Input::Start);
    scene.fact(Fact::Opened);
    scene.fact(Fact::Written);
    scene.answer(ServerToAgent::default());
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    scene.pass(secs(5));
    scene.fact(Fact::Opened);
    assert!(scene.last().agent_description.is_some());
}

#[test]
fn a_marker_that_was_never_sent_proves_nothing() {
    let mut scene = Scene::websocket();
    scene.host(Change::Description(description("new")));
    scene.fact(Fact::Pong { marker: u64::MAX });
    scene.answer(ServerToAgent::default());
    assert!(scene.core.snapshot().pending.has(Part::Description));
}

#[test]
fn news_wait_a_moment_for_the_answer_to_the_last_news_and_a_verdict_does_not() {
    // [SYNC-27]
    let mut scene = Scene::websocket();
    scene.answer(offer("one", "x"));
    scene.host(verdict("one", ConfigState::Applying, ""));
    scene.fact(Fact::Written);
    scene.host(Change::Description(description("two")));
    assert_eq!(scene.sent.len(), 1);
    assert_eq!(scene.wait_why(), Timer::Response);
    assert_eq!(scene.wait_for(), millis(50));
    scene.host(verdict("one", ConfigState::Applied, ""));
    assert_eq!(scene.sent.len(), 2, "and the rest goes along");
    assert!(scene.last().agent_description.is_some());
    scene.fact(Fact::Written);
    scene.host(Change::Description(description("three")));
    scene.pass(millis(50));
    assert_eq!(scene.sent.len(), 3);
}

/// [SYNC-02] [SYNC-27]
#[test]
fn a_peer_that_pongs_and_never_answers_confirms_by_its_silence() {
    let mut scene = Scene::websocket();
    scene.host(Change::Description(description("one")));
    scene.host(Change::Report {
        ticket: 1,
        tries: None,
        force_message: false,
    });
    scene.fact(Fact::Written);
    let marker = scene.marker.expect("news are marked");
    scene.fact(Fact::Pong { marker });
    scene.pass(millis(999));
    assert!(scene.core.snapshot().pending.has(Part::Description));
    assert_eq!(scene.outcomes(), []);
    scene.pass(millis(1));
    assert!(scene.core.snapshot().pending.is_empty());
    assert_eq!(scene.outcomes(), [(1, &Outcome::Confirmed)]);
    // from then on nothing waits
    scene.forget();
    for name in ["two", "three", "four"] {
        scene.host(Change::Description(description(name)));
        scene.fact(Fact::Written);
    }
    assert_eq!(scene.sent.len(), 3);
    // and an idle agent is woken for its heartbeats only
    let marker = scene.marker.expect("news are marked");
    scene.fact(Fact::Pong { marker });
    scene.pass(secs(2));
    assert!(scene.core.snapshot().pending.is_empty());
    assert_eq!(scene.wait_why(), Timer::Heartbeat);
    assert!(scene.wait_for() > secs(20));
}

/// [SYNC-02]
#[test]
fn a_refusal_or_a_close_within_the_second_confirms_nothing() {
    for closes in [false, true] {
        let mut scene = Scene::websocket();
        scene.host(Change::Description(description("one")));
        scene.fact(Fact::Written);
        let marker = scene.marker.expect("news are marked");
        scene.fact(Fact::Pong { marker });
        scene.pass(millis(900));
        if closes {
            scene.fail(FailKind::Io, ReachedServer::Maybe);
        } else {
            scene.answer(error(ServerErrorResponseType::BadRequest, None));
        }
        scene.pass(millis(200));
        let (pending, held_back) = {
            let snapshot = scene.core.snapshot();
            (snapshot.pending, snapshot.held_back)
        };
        assert_eq!(pending.has(Part::Description), closes);
        assert_eq!(held_back.has(Part::Description), !closes);
    }
}

#[test]
fn heartbeats_need_the_capability_and_an_interval() {
    let beats = |scene: &mut Scene| {
        scene.forget();
        for _ in 0..3 {
            scene.pass(secs(34));
            scene.fact(Fact::Written);
        }
        scene.sent.len()
    };
    let mut scene = Scene::websocket();
    assert_eq!(beats(&mut scene), 3);
    scene.host(Change::Interval(Duration::ZERO));
    assert_eq!(beats(&mut scene), 0);
    scene.answer(interval(5, ""));
    scene.pass(secs(6));
    assert_eq!(
        scene.sent.len(),
        1,
        "a server's interval takes effect at once"
    );
    scene.fact(Fact::Written);
    scene.answer(interval(0, "ws://elsewhere"));
    assert_eq!(
        scene.core.snapshot().interval,
        secs(5),
        "0 beside other settings is: as before"
    );
    scene.answer(interval(0, ""));
    assert_eq!(beats(&mut scene), 0);
    scene.host(Change::Interval(secs(30)));
    scene.host(Change::Capabilities(Agent::ReportsStatus as u64));
    scene.confirm();
    assert_eq!(beats(&mut scene), 0);
}

#[test]
fn a_server_that_accepts_and_closes_sees_at_most_12_connections_a_minute() {
    let mut scene = Scene::of(Policy::WebSocket);
    scene.input(Input::Start);
    let start = scene.now;
    let mut seen = 0;
    while scene.now.since(start) < secs(60) {
        if seen < scene.connects.len() {
            seen += 1;
            scene.fact(Fact::Opened);
            scene.confirm();
            scene.fail(FailKind::Io, ReachedServer::Maybe);
        }
        scene.pass(millis(10));
    }
    assert!((5..=12).contains(&seen), "{seen}");
}

#[test]
fn a_stable_session_resets_the_backoff() {
    let mut scene = Scene::of(Policy::WebSocket);
    scene.input(Input::Start);
    for _ in 0..6 {
        scene.fail(FailKind::Connect, ReachedServer::No);
        scene.pass(scene.wait_for());
    }
    scene.fact(Fact::Opened);
    scene.confirm();
    scene.pass(secs(29));
    let mut unstable = scene;
    unstable.fail(FailKind::Io, ReachedServer::Maybe);
    assert!(unstable.wait_for() >= secs(16));
    unstable.pass(unstable.wait_for());
    unstable.fact(Fact::Opened);
    unstable.confirm();
    unstable.pass(secs(30));
    unstable.fail(FailKind::Io, ReachedServer::Maybe);
    assert!(unstable.wait_for() <= secs(5));
}

#[test]
fn unavailable_says_goodbye_closes_and_waits() {
    let mut scene = Scene::websocket();
    scene.host(Change::Description(description("new")));
    scene.fact(Fact::Written);
    scene.answer(error(ServerErrorResponseType::Unavailable, Some(secs(50))));
    assert!(scene.last().agent_disconnect.is_some());
    assert!(scene.last().agent_description.is_none());
    scene.fact(Fact::Written);
    assert_eq!(scene.closes, [Some(1000)]);
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    assert_eq!(scene.connect_failures(), 0, "we meant it");
    scene.forget();
    scene.pass(secs(49));
    assert!(scene.connects.is_empty());
    scene.pass(secs(32));
    scene.fact(Fact::Opened);
    assert!(scene.last().agent_description.is_some());
}

/// [LOG-01] [WS-11]
#[test]
fn unavailable_once_more_on_the_way_out_only_lengthens_a_shorter_wait() {
    for (again, at_least) in [
        (Some(secs(50)), secs(0)),
        (None, secs(0)),
        (Some(secs(100)), secs(100)),
    ] {
        let mut scene = Scene::websocket();
        scene.host(Change::Description(description("new")));
        scene.fact(Fact::Written);
        scene.answer(error(ServerErrorResponseType::Unavailable, Some(secs(50))));
        let told = scene.events.iter().find_map(|event| match event {
            Event::ServerError { retry_in, .. } => *retry_in,
            _ => None,
        });
        let told = told.expect("it comes back");
        scene.fact(Fact::Written);
        scene.answer(error(ServerErrorResponseType::Unavailable, again));
        scene.fail(FailKind::Io, ReachedServer::Maybe);
        let wait = scene.wait_for();
        if at_least.is_zero() {
            assert_eq!(wait, told, "{again:?}");
        } else {
            assert!((at_least..=at_least + secs(30)).contains(&wait), "{wait:?}");
        }
    }
}

#[test]
fn stop_says_goodbye_closes_and_waits_for_the_peer_a_bounded_time() {
    let mut scene = Scene::websocket();
    scene.host(Change::Description(description("new")));
    scene.input(Input::Stop {
        within: secs(2),
        goodbye: true,
    });
    assert_eq!(scene.sent.len(), 1, "one frame at a time");
    scene.fact(Fact::Written);
    assert!(scene.last().agent_disconnect.is_some());
    assert_eq!(scene.last().sequence_num, 2);
    scene.fact(Fact::Written);
    assert_eq!(scene.closes, [Some(1000)]);
    scene.pass(secs(1));
    assert_eq!(
        scene.closes,
        [Some(1000), None],
        "the peer's Close is awaited for a second"
    );
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    assert_eq!(scene.events, [Event::Stopped]);
}

/// LIFE-16: WebSocket closes with 1001, behind what was pending.
#[test]
fn detach_closes_with_1001_without_goodbye() {
    let detach = Input::Stop {
        within: secs(2),
        goodbye: false,
    };
    let mut scene = Scene::websocket();
    scene.host(Change::Description(description("new")));
    scene.host(Change::Description(description("newer")));
    scene.input(detach.clone());
    assert_eq!(scene.sent.len(), 1, "one frame at a time");
    scene.fact(Fact::Written);
    assert_eq!(scene.sent.len(), 2);
    assert!(scene.last().agent_description.is_some());
    assert!(scene.closes.is_empty(), "it is not written yet");
    scene.fact(Fact::Written);
    assert_eq!(scene.closes, [Some(1001)]);
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    assert_eq!(scene.events, [Event::Stopped]);
    assert!(
        scene
            .sent
            .iter()
            .all(|(_, it)| it.agent_disconnect.is_none())
    );
    // Nothing is pending.
    let mut scene = Scene::websocket();
    scene.input(detach);
    assert_eq!(scene.closes, [Some(1001)]);
    assert!(scene.sent.is_empty());
    scene.pass(secs(1));
    assert_eq!(scene.closes, [Some(1001), None], "bounded");
}

#[test]
fn stop_while_connecting_is_immediate() {
    let mut scene = Scene::of(Policy::WebSocket);
    scene.input(Input::Start);
    scene.input(Input::Stop {
        within: secs(2),
        goodbye: true,
    });
    assert_eq!(scene.closes, [None]);
    scene.fail(FailKind::Connect, ReachedServer::No);
    assert_eq!(scene.events, [Event::Stopped]);
    assert!(scene.sent.is_empty());
}

#[test]
fn a_reconnect_by_the_host_is_a_goodbye_and_a_new_connection() {
    let mut scene = Scene::websocket();
    scene.host(Change::Reconnect);
    assert!(scene.last().agent_disconnect.is_some());
    scene.fact(Fact::Written);
    assert_eq!(scene.closes, [Some(1000)]);
    assert!(scene.connects.is_empty(), "never two connections");
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    assert_eq!((scene.connects.len(), scene.connect_failures()), (1, 0));
}

#[test]
fn a_refused_upgrade_waits_as_http_does() {
    for (status, least) in [
        (401, secs(30)),
        (404, secs(30)),
        (503, secs(30)),
        (413, secs(30)),
    ] {
        let mut scene = Scene::of(Policy::WebSocket);
        scene.input(Input::Start);
        scene.status(status, None);
        assert!(scene.wait_for() >= least, "{status}");
        scene.forget();
        scene.host(Change::Headers);
        assert_eq!(scene.connects.len(), usize::from(status == 401), "{status}");
    }
}

#[test]
fn a_bad_message_is_reported_and_skipped() {
    let mut scene = Scene::websocket();
    scene.fact(Fact::Message(Bytes::from_static(b"<html>")));
    scene.answer(ServerToAgent {
        instance_uid: vec![9; 16].into(),
        ..offer("x", "foreign")
    });
    assert_eq!(
        scene.warnings(),
        [WarningKind::BadMessage, WarningKind::ForeignUid]
    );
    scene.answer(offer("h", "good"));
    assert_eq!(scene.offers().len(), 1);
}

#[test]
fn a_frame_of_which_no_byte_left_uses_no_number_up() {
    let mut scene = Scene::websocket();
    scene.host(Change::Description(description("new")));
    assert_eq!(scene.last().sequence_num, 1);
    scene.fail(FailKind::Io, ReachedServer::No);
    scene.pass(secs(5));
    scene.fact(Fact::Opened);
    assert_eq!(scene.last().sequence_num, 1);
}

#[test]
fn after_a_freeze_a_dead_connection_is_replaced_in_silence() {
    let mut scene = Scene::websocket();
    scene.freeze(secs(7200));
    scene.forget();
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    assert_eq!((scene.connects.len(), scene.connect_failures()), (1, 0));
}

/// [WS-15]: also a close for the peer's fault begins with a goodbye, and carries the fault's code.
#[test]
fn a_peer_that_breaks_the_protocol_gets_a_goodbye_and_the_code_of_its_fault() {
    for (code, kind) in [(1002, FailKind::Protocol), (1009, FailKind::Size)] {
        let mut scene = Scene::websocket();
        let failure = Failure::new(kind, ReachedServer::Maybe, "its fault");
        scene.fact(Fact::Broken {
            code,
            failure: failure.clone(),
        });
        assert!(scene.last().agent_disconnect.is_some());
        assert!(scene.closes.is_empty(), "the goodbye is not written yet");
        scene.fact(Fact::Written);
        assert_eq!(scene.closes, [Some(code)]);
        assert_eq!(scene.connect_failures(), 0, "it has not ended yet");
        scene.fail(FailKind::Io, ReachedServer::Maybe);
        let Some(Event::ConnectFailed {
            failure: told,
            retry_in,
        }) = scene.events.last()
        else {
            panic!("a failure, not {:?}", scene.events);
        };
        assert_eq!(*told, failure);
        assert!(retry_in.expect("it comes back") <= secs(5));
        assert_eq!((scene.connect_failures(), scene.connects.len()), (1, 0));
    }
}

#[test]
fn a_fault_while_a_frame_is_stuck_is_cut_after_a_bounded_wait() {
    let mut scene = Scene::websocket();
    scene.host(Change::Description(description("new")));
    let failure = Failure::new(FailKind::Protocol, ReachedServer::Maybe, "a masked frame");
    scene.fact(Fact::Broken {
        code: 1002,
        failure,
    });
    assert_eq!(scene.sent.len(), 1, "one frame at a time");
    scene.pass(secs(1));
    assert_eq!(scene.closes, [None]);
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    assert_eq!(scene.connect_failures(), 1);
    scene.pass(secs(5));
    scene.fact(Fact::Opened);
    assert!(scene.last().agent_description.is_some());
}

#[test]
fn a_fault_on_the_way_out_changes_the_code_and_is_no_failure() {
    let mut scene = Scene::websocket();
    scene.input(Input::Stop {
        within: secs(2),
        goodbye: true,
    });
    let failure = Failure::new(FailKind::Protocol, ReachedServer::Maybe, "a masked frame");
    scene.fact(Fact::Broken {
        code: 1002,
        failure,
    });
    scene.fact(Fact::Written);
    assert_eq!(scene.closes, [Some(1002)]);
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    assert_eq!(scene.events, [Event::Stopped]);
    assert_eq!(scene.sent.len(), 1, "one goodbye");
}

/// [WS-01] [WS-06] [WS-18]
#[test]
fn a_message_that_can_hold_none_is_reported_and_the_next_one_counts() {
    let mut scene = Scene::websocket();
    scene.fact(Fact::Skipped("a text frame".into()));
    assert_eq!(scene.warnings(), [WarningKind::BadMessage]);
    scene.answer(offer("h", "good"));
    assert_eq!(scene.offers().len(), 1);
    assert_eq!(scene.core.snapshot().messages_received, 3);
}

/// [WS-10]: whatever the code of the server's Close, the first reconnect comes within 5 s.
#[test]
fn a_close_by_the_server_brings_a_reconnect_within_five_seconds() {
    let mut scene = Scene::websocket();
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    assert_eq!(scene.connect_failures(), 1);
    assert!(scene.wait_for() <= secs(5));
    assert!(scene.closes.is_empty() && scene.sent.is_empty());
    scene.pass(secs(5));
    assert_eq!(scene.connects.len(), 1);
}

/// [HTTP-09] over WebSocket: 1009 says what 413 says.
#[test]
fn what_was_too_large_for_the_server_is_held_back_until_it_changes() {
    let mut scene = Scene::websocket();
    scene.host(Change::EffectiveConfig(Arc::new(config_map("large"))));
    scene.fact(Fact::Written);
    scene.fail(FailKind::Size, ReachedServer::Maybe);
    assert!(scene.core.snapshot().held_back.has(Part::EffectiveConfig));
    for _ in 0..2 {
        scene.pass(secs(5));
        scene.fact(Fact::Opened);
        assert!(scene.last().effective_config.is_none());
        scene.fail(FailKind::Io, ReachedServer::Maybe);
    }
    scene.host(Change::EffectiveConfig(Arc::new(config_map("small"))));
    scene.pass(secs(5));
    scene.fact(Fact::Opened);
    assert!(scene.last().effective_config.is_some());
}

/// [WS-05]
#[test]
fn a_message_over_our_own_limit_is_not_sent_and_heartbeats_go_on() {
    let config = Config {
        send_limit: 300,
        ..Config::new(Policy::WebSocket)
    };
    let mut scene = Scene::with(config, PersistentState::new(UID));
    scene.host(Change::Capabilities(CAPABILITIES));
    scene.input(Input::Start);
    scene.fact(Fact::Opened);
    scene.confirm();
    scene.forget();
    let large = Arc::new(config_map(&"x".repeat(1000)));
    scene.host(Change::EffectiveConfig(large));
    assert_eq!(scene.warnings(), [WarningKind::RequestTooLarge]);
    assert!(
        scene
            .sent
            .iter()
            .all(|(_, message)| message.effective_config.is_none())
    );
    scene.forget();
    scene.pass(secs(34));
    assert!((1..=2).contains(&scene.sent.len()), "{}", scene.sent.len());
}

/// [LIFE-12]: without heartbeats no deadline of the core's tells that time stood still; the
/// transport does.
#[test]
fn after_a_freeze_without_heartbeats_the_transport_tells_and_the_loss_is_silent() {
    let mut scene = Scene::websocket();
    scene.host(Change::Interval(Duration::ZERO));
    assert_eq!(scene.wait, None);
    scene.now = scene.now + secs(7200);
    scene.fact(Fact::Thawed);
    assert!(scene.sent.is_empty(), "no burst");
    scene.fail(FailKind::Timeout, ReachedServer::Maybe);
    assert_eq!((scene.connects.len(), scene.connect_failures()), (1, 0));
    // but the next loss is one
    scene.fact(Fact::Opened);
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    assert_eq!(scene.connect_failures(), 1);
}

#[test]
fn a_connection_that_outlives_a_freeze_is_as_before() {
    let mut scene = Scene::websocket();
    scene.fact(Fact::Thawed);
    scene.answer(ServerToAgent::default());
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    assert_eq!(scene.connect_failures(), 1);
}

#[test]
fn a_reconnect_asked_for_before_the_connection_was_lost_is_done_with_it() {
    let mut scene = Scene::websocket();
    scene.host(Change::Description(description("new")));
    scene.host(Change::Reconnect);
    assert_eq!(scene.sent.len(), 1, "the last frame is not written yet");
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    scene.pass(secs(5));
    scene.fact(Fact::Opened);
    scene.confirm();
    scene.pass(secs(5));
    assert_eq!(scene.connects.len(), 1);
    assert!(
        scene
            .sent
            .iter()
            .all(|(_, message)| message.agent_disconnect.is_none())
    );
}

/// The answer to the first message was garbage, the text frame belongs to nothing: the error is
/// about the second message.
#[test]
fn a_skipped_message_does_not_lead_an_error_to_an_older_message() {
    let mut scene = Scene::websocket();
    scene.host(Change::Description(description("new")));
    scene.fact(Fact::Written);
    scene.fact(Fact::Pong {
        marker: scene.marker.unwrap(),
    });
    scene.fact(Fact::Message(Bytes::from_static(b"<html>")));
    scene.pass(secs(1));
    scene.host(Change::EffectiveConfig(Arc::new(config_map("bad"))));
    scene.fact(Fact::Written);
    scene.fact(Fact::Skipped("a text frame".into()));
    scene.fact(Fact::Pong {
        marker: scene.marker.unwrap(),
    });
    scene.answer(error(ServerErrorResponseType::BadRequest, None));
    let held_back = scene.core.snapshot().held_back;
    assert_eq!(held_back, Parts::of(Part::EffectiveConfig));
}

#[test]
fn a_close_for_its_size_blames_no_message_when_two_have_no_answer() {
    let mut scene = Scene::websocket();
    scene.host(Change::EffectiveConfig(Arc::new(config_map("large"))));
    scene.fact(Fact::Written);
    scene.pass(secs(1));
    scene.host(Change::Description(description("small")));
    scene.fail(FailKind::Size, ReachedServer::Maybe);
    assert!(scene.core.snapshot().held_back.is_empty());
}

#[test]
fn a_host_that_waits_for_no_close_still_says_goodbye_and_closes() {
    let config = Config {
        close_wait: Duration::ZERO,
        ..Config::new(Policy::WebSocket)
    };
    for change in [Some(Change::Reconnect), None] {
        let mut scene = Scene::with(config.clone(), PersistentState::new(UID));
        scene.input(Input::Start);
        scene.fact(Fact::Opened);
        scene.confirm();
        match change {
            Some(change) => scene.host(change),
            None => scene.answer(error(ServerErrorResponseType::Unavailable, None)),
        }
        assert!(scene.last().agent_disconnect.is_some());
        scene.fact(Fact::Written);
        scene.pass(millis(1));
        assert_eq!(scene.closes, [Some(1000), None]);
    }
}

/// [LOG-11]
#[test]
fn a_peer_that_floods_is_heard_ever_more_rarely_and_its_newest_word_last() {
    let mut scene = Scene::websocket();
    let begin = scene.now;
    for tick in 0..20_000_u32 {
        let mut new_uid = ServerToAgent::default();
        let identification = new_uid.agent_identification.get_or_insert_default();
        identification.new_instance_uid = [&[9; 12][..], &tick.to_be_bytes()].concat().into();
        scene.fact(Fact::Skipped("a text frame".into()));
        scene.fact(Fact::Message(Bytes::from_static(b"<html>")));
        let foreign = ServerToAgent {
            instance_uid: vec![0xEE; 16].into(),
            ..Default::default()
        };
        scene.answer(foreign);
        scene.answer(error(ServerErrorResponseType::BadRequest, None));
        scene.answer(new_uid.clone());
        scene.fact(Fact::Written);
        assert_eq!(scene.core.instance_uid()[12..], tick.to_be_bytes());
        scene.pass(millis(1));
    }
    assert!(scene.now.since(begin) >= secs(20));
    let bad = scene.warnings();
    let count = |kind| bad.iter().filter(|it| **it == kind).count();
    // Both kinds of messages that are none share a budget.
    assert_eq!(count(WarningKind::BadMessage), 7);
    assert_eq!(count(WarningKind::ForeignUid), 7);
    let errors = scene.events.iter();
    let errors = errors.filter(|event| matches!(event, Event::ServerError { .. }));
    assert_eq!(errors.count(), 7);
    let last = *scene.core.instance_uid();
    scene.pass(secs(60));
    let uids = scene.events.iter().filter_map(|event| match event {
        Event::NewUid(uid) => Some(*uid),
        _ => None,
    });
    let uids: Vec<_> = uids.collect();
    assert_eq!((uids.len(), uids.last()), (8, Some(&last)));
}

/// [LOG-11] Also a host that wants to hear of every answer: of those that it has not asked for.
#[test]
fn every_answer_is_told_but_no_flood_of_unasked_ones() {
    let config = Config {
        tell_every_answer: true,
        ..Config::new(Policy::WebSocket)
    };
    let mut scene = Scene::with(config, PersistentState::new(UID));
    scene.host(Change::Capabilities(CAPABILITIES));
    scene.input(Input::Start);
    scene.fact(Fact::Opened);
    scene.confirm();
    scene.forget();
    for _ in 0..10 {
        scene.host(Change::PollNow);
        scene.confirm();
        scene.pass(secs(1));
    }
    let count = |scene: &Scene, is_meant: fn(&Event) -> bool| {
        scene.events.iter().filter(|event| is_meant(event)).count()
    };
    let is_answer = |event: &Event| *event == Event::Answered;
    assert_eq!(count(&scene, is_answer), 10);
    scene.forget();
    for tick in 0..20_000_u32 {
        scene.answer(if tick % 2 == 0 {
            ServerToAgent::default()
        } else {
            error(ServerErrorResponseType::BadRequest, None)
        });
        scene.pass(millis(1));
    }
    // At 0, 0, 0, 1, 3, 7 and 15 s; one is of a heartbeat's answer.
    let heard = count(&scene, is_answer);
    assert!((7..=8).contains(&heard), "{heard}");
    let heard = count(&scene, |event| matches!(event, Event::Message(_)));
    assert!((7..=8).contains(&heard), "{heard}");
}

/// [LOG-11]
#[test]
fn known_offers_in_turn_are_delivered_ever_more_rarely_and_the_last_one_counts() {
    let mut scene = Scene::websocket();
    for _ in 0..1000 {
        for hash in ["one", "two"] {
            scene.answer(offer(hash, hash));
            scene.pass(millis(1));
        }
    }
    // Two new ones, three and then one after 1 s; nothing new came in between.
    let heard: Vec<_> = scene.offers().iter().map(|it| it.hash.clone()).collect();
    assert_eq!(heard, ["one", "two", "one", "two", "one", "two"]);
    scene.answer(offer("one", "one"));
    assert_eq!(scene.offers().len(), 6);
    scene.pass(secs(4));
    assert_eq!(scene.offers().last().expect("one").hash, "one");
    // and what is new is not kept waiting by that
    scene.answer(offer("three", "three"));
    assert_eq!(scene.offers().last().expect("one").hash, "three");
}

/// [LOG-11]
#[test]
fn new_offers_come_as_fast_as_they_are_applied_and_else_one_a_second() {
    for is_applied in [true, false] {
        let mut scene = Scene::websocket();
        for number in 0..100_u8 {
            let mut new = offer("", "x");
            let hash = &mut new.remote_config.as_mut().expect("an offer").config_hash;
            *hash = vec![number + 1].into();
            scene.answer(new);
            if is_applied {
                let status =
                    RemoteConfigStatus::new(&[number + 1], ConfigState::Applied, "".into());
                scene.host(Change::RemoteConfigStatus(status.expect("legal")));
            }
            scene.pass(millis(1));
        }
        let heard = if is_applied { 100 } else { 32 };
        assert_eq!(scene.offers().len(), heard, "{is_applied}");
    }
}

#[test]
fn a_hash_of_more_than_a_kilobyte_is_no_hash() {
    let mut long = offer("one", "x");
    let hash = &mut long.remote_config.as_mut().expect("an offer").config_hash;
    *hash = vec![1; 1025].into();
    let mut settings = interval(7, "");
    settings
        .connection_settings
        .as_mut()
        .expect("settings")
        .hash = vec![1; 1025].into();
    let mut scene = Scene::websocket();
    scene.answer(long.clone());
    scene.answer(settings.clone());
    assert_eq!(scene.warnings(), [WarningKind::BadMessage; 2]);
    assert!(scene.offers().is_empty());
    assert_ne!(scene.core.snapshot().interval, secs(7));
    // 1 KiB is taken
    for hash in [
        &mut long.remote_config.as_mut().expect("an offer").config_hash,
        &mut settings
            .connection_settings
            .as_mut()
            .expect("settings")
            .hash,
    ] {
        hash.truncate(1024);
    }
    scene.answer(long);
    scene.answer(settings);
    assert_eq!(scene.offers().len(), 1);
    assert_eq!(scene.core.snapshot().interval, secs(7));
}

/// [HTTP-24] over WebSocket: a close with 1009 says what 413 says.
#[test]
fn a_report_too_large_for_the_peer_converges() {
    let mut scene = Scene::of(Policy::WebSocket);
    let config = config_map(&"x".repeat(1000));
    scene.host(Change::EffectiveConfig(Arc::new(config)));
    scene.input(Input::Start);
    for _ in 0..6 {
        scene.fact(Fact::Opened);
        while !scene.is_answered && scene.last().encoded_len() < 500 {
            scene.confirm();
        }
        if scene.is_answered {
            break;
        }
        scene.fact(Fact::Written);
        scene.fail(FailKind::Size, ReachedServer::Maybe);
        scene.pass(secs(10));
    }
    let configs = scene.sent.iter();
    let configs = configs.filter(|(_, it)| it.effective_config.is_some());
    assert_eq!(configs.count(), 2, "with all, and alone");
    assert!(scene.sent[1].1.agent_description.is_some());
    assert_eq!(scene.warnings(), [WarningKind::RequestTooLarge]);
    let snapshot = scene.core.snapshot();
    assert_eq!(snapshot.held_back, Parts::of(Part::EffectiveConfig));
    assert!(snapshot.pending.is_empty());
}

/// [SYNC-27] What a 1009 may have meant goes alone, behind the rest; a newer verdict does not.
#[test]
fn a_verdict_newer_than_a_close_for_its_size_is_in_the_next_message() {
    let mut scene = Scene::websocket();
    scene.answer(offer("one", "x"));
    scene.host(Change::Description(description("a")));
    scene.fact(Fact::Written);
    scene.host(verdict("one", ConfigState::Applying, ""));
    let failed = verdict("one", ConfigState::Failed, &"no such file ".repeat(20));
    scene.host(failed);
    scene.fail(FailKind::Size, ReachedServer::Maybe);
    scene.pass(secs(5));
    scene.fact(Fact::Opened);
    let status = scene
        .last()
        .remote_config_status
        .as_ref()
        .expect("a status");
    assert_eq!(status.status(), proto::RemoteConfigStatuses::Failed);
}
