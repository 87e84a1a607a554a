//! What a received message does.
use super::*;

#[test]
fn connected_is_told_with_the_first_answer_and_after_a_failure() {
    let mut scene = Scene::of(Policy::Http);
    scene.input(Input::Start);
    assert!(scene.events.is_empty());
    scene.answer(ServerToAgent::default());
    assert_eq!(scene.events, [Event::Connected { after_failures: 0 }]);
    scene.forget();
    scene.pass(secs(33));
    scene.fail(FailKind::Io, ReachedServer::Maybe);
    scene.pass(secs(5));
    scene.forget();
    scene.answer(ServerToAgent::default());
    assert_eq!(scene.events, [Event::Connected { after_failures: 1 }]);
}

#[test]
fn every_answer_is_told_when_the_host_wants_it_so() {
    let config = Config {
        tell_every_answer: true,
        ..Config::new(Policy::Http)
    };
    let mut scene = Scene::with(config, PersistentState::new(UID));
    scene.input(Input::Start);
    scene.answer(ServerToAgent::default());
    scene.pass(secs(33));
    scene.forget();
    scene.answer(ServerToAgent {
        capabilities: 3,
        flags: 1 << 40,
        ..Default::default()
    });
    let [Event::Answered, Event::Message(message)] = &scene.events[..] else {
        panic!("{:?}", scene.events)
    };
    assert_eq!((message.capabilities, message.flags), (3, 1 << 40));
    assert_eq!(message.parts, MessageParts::NONE);
    // Not the one to the goodbye.
    scene.forget();
    scene.input(Input::Stop {
        within: secs(2),
        goodbye: true,
    });
    assert!(scene.last().agent_disconnect.is_some());
    scene.answer(ServerToAgent::default());
    assert_eq!(scene.events, [Event::Stopped]);
}

#[test]
fn a_new_uid_is_used_from_the_next_message_on_which_reports_all() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    let new = |uid: &[u8]| ServerToAgent {
        agent_identification: Some(proto::AgentIdentification {
            new_instance_uid: Bytes::copy_from_slice(uid),
        }),
        ..Default::default()
    };
    scene.answer(new(&OTHER_UID));
    assert_eq!(scene.events, [Event::NewUid(OTHER_UID)]);
    assert_eq!(*scene.core.instance_uid(), OTHER_UID);
    assert_eq!(&scene.last().instance_uid[..], &OTHER_UID[..]);
    assert!(scene.last().agent_description.is_some());
    // the same again, an empty one, one of zeros: nothing new
    scene.forget();
    scene.answer(new(&OTHER_UID));
    for bad in [&[][..], &[0; 16], &[1; 15]] {
        scene.host(Change::PollNow);
        scene.answer(new(bad));
    }
    assert_eq!(scene.warnings(), [WarningKind::BadNewUid; 3]);
    assert_eq!(scene.core.carry().instance_uid, OTHER_UID);
    assert!(
        !scene
            .events
            .iter()
            .any(|event| matches!(event, Event::NewUid(_)))
    );
}

#[test]
fn a_uid_is_requested_until_one_was_assigned() {
    let mut scene = Scene::of(Policy::Http);
    scene.host(Change::RequestInstanceUid);
    scene.input(Input::Start);
    assert_eq!(scene.last().flags, 1);
    scene.answer(ServerToAgent::default());
    scene.host(Change::PollNow);
    assert_eq!(scene.last().flags, 1);
    let identification = proto::AgentIdentification {
        new_instance_uid: OTHER_UID.to_vec().into(),
    };
    scene.answer(ServerToAgent {
        agent_identification: Some(identification),
        ..Default::default()
    });
    assert_eq!(scene.last().flags, 0);
}

#[test]
fn a_message_for_another_agent_is_dropped_and_the_former_uid_still_accepted() {
    let mut scene = Scene::http();
    let named = |uid: Uid, flags| ServerToAgent {
        instance_uid: uid.to_vec().into(),
        flags,
        ..Default::default()
    };
    // given a uid of the host's that replaces ours
    scene.host(Change::InstanceUid(OTHER_UID));
    scene.forget();
    // then an answer to the former one is ours
    scene.answer(named(UID, 0));
    assert_eq!(scene.connect_failures(), 0);
    // but no longer once the server uses the new one
    scene.host(Change::PollNow);
    scene.answer(named(OTHER_UID, 0));
    scene.host(Change::PollNow);
    scene.forget();
    scene.answer(named(UID, full_state()));
    assert_eq!(scene.connect_failures(), 1);
    assert!(scene.sent.is_empty());
}

/// RCV-09: a uid that no message has carried yet is nobody's former one.
#[test]
fn the_former_uid_is_the_one_that_the_server_knows() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.host(Change::InstanceUid([9; 16]));
    scene.host(Change::InstanceUid(OTHER_UID));
    scene.answer(ServerToAgent {
        instance_uid: UID.to_vec().into(),
        ..Default::default()
    });
    assert_eq!(scene.connect_failures(), 0);
}

#[test]
fn bad_request_and_unknown_hold_back_what_the_message_carried() {
    for kind in [
        ServerErrorResponseType::BadRequest,
        ServerErrorResponseType::Unknown,
    ] {
        let mut scene = Scene::http();
        scene.host(Change::Description(description("bad")));
        scene.host(Change::EffectiveConfig(Arc::new(config_map("a: 1"))));
        scene.answer(error(kind, None));
        let held = Parts::of(Part::Description);
        assert!(scene.events.iter().any(
            |event| matches!(event, Event::ServerError { held_back, .. } if *held_back == held)
        ));
        // what was not in it goes on, what was in it does not, polls go on
        assert!(scene.last().effective_config.is_some());
        assert!(scene.last().agent_description.is_none());
        scene.answer(ServerToAgent::default());
        scene.forget();
        scene.pass_answering(secs(95), &ServerToAgent::default());
        assert_eq!(scene.sent.len(), 3);
        assert!(
            scene
                .sent
                .iter()
                .all(|(_, message)| message.agent_description.is_none())
        );
        // until it changes
        scene.host(Change::Description(description("good")));
        assert!(scene.last().agent_description.is_some());
    }
}

#[test]
fn held_back_parts_are_sent_again_with_a_full_report() {
    let mut scene = Scene::http();
    scene.host(Change::Description(description("bad")));
    scene.answer(error(ServerErrorResponseType::BadRequest, None));
    scene.host(Change::PollNow);
    scene.answer(asks_full_state());
    assert!(scene.last().agent_description.is_some());
}

#[test]
fn unavailable_puts_off_everything_for_the_time_it_says() {
    let mut scene = Scene::http();
    scene.host(Change::Description(description("new")));
    scene.answer(error(ServerErrorResponseType::Unavailable, Some(secs(100))));
    scene.forget();
    assert_eq!(scene.wait_why(), Timer::RetryAfter);
    scene.host(Change::PollNow);
    scene.host(Change::Headers);
    scene.host(verdict("h", ConfigState::Applied, ""));
    scene.pass(millis(99_999));
    assert!(scene.sent.is_empty());
    scene.pass(secs(31));
    assert!(
        scene.last().agent_description.is_some(),
        "what was not confirmed is reported"
    );
}

#[test]
fn unavailable_without_a_time_waits_30_s_at_least() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.answer(error(ServerErrorResponseType::Unavailable, None));
    assert!(scene.wait_for() >= secs(30) && scene.wait_for() <= secs(60));
}

#[test]
fn the_servers_interval_is_taken_at_once_and_clamped() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    scene.answer(interval(5, ""));
    scene.forget();
    scene.pass(millis(5_500));
    assert_eq!(scene.sent.len(), 1);
    scene.answer(interval(u64::MAX, ""));
    assert_eq!(scene.core.snapshot().interval, secs(24 * 3600));
    // 0 leaves HTTP polling as it is, and a new one of the host wins
    scene.host(Change::PollNow);
    scene.answer(interval(0, ""));
    assert_eq!(scene.core.snapshot().interval, secs(24 * 3600));
    scene.host(Change::Interval(secs(2)));
    assert_eq!(scene.core.snapshot().interval, secs(2));
    // and nothing is taken without ReportsHeartbeat
    scene.host(Change::Capabilities(Agent::ReportsStatus as u64));
    scene.answer(interval(7, ""));
    assert_eq!(scene.core.snapshot().interval, secs(2));
}

#[test]
fn an_answer_that_is_no_message_confirms_nothing_and_backs_off() {
    let bodies: [&[u8]; 4] = [
        b"<html>",
        &[0x0A, 0x20, 1],
        &[0xFF; 30],
        &[0x1A, 3, 0x0A, 9, 9],
    ];
    for body in bodies {
        let mut scene = Scene::http();
        scene.host(Change::Description(description("new")));
        scene.fact(Fact::Message(Bytes::copy_from_slice(body)));
        assert_eq!(scene.connect_failures(), 1, "{body:?}");
        assert_eq!(scene.wait_why(), Timer::Backoff);
        scene.pass(secs(5));
        assert!(scene.last().agent_description.is_some());
    }
}

#[test]
fn a_message_of_too_many_fields_is_refused_as_size() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    let capabilities = vec![String::new(); 200_001];
    scene.answer(ServerToAgent {
        custom_capabilities: Some(proto::CustomCapabilities { capabilities }),
        ..Default::default()
    });
    let [Event::ConnectFailed { failure, .. }] = &scene.events[..] else {
        panic!("{:?}", scene.events)
    };
    assert_eq!(failure.kind, FailKind::Size);
}

#[test]
fn what_is_unknown_does_no_harm() {
    let mut scene = Scene::http();
    scene.host(Change::PollNow);
    let mut bytes = ServerToAgent {
        flags: 1 << 30,
        ..offer("h", "a")
    }
    .encode_to_vec();
    // field 99 with a string, and a restart command of an unknown type
    bytes.extend([0x9A, 0x06, 2, 1, 2, 0x4A, 2, 0x08, 77]);
    scene.fact(Fact::Message(bytes.into()));
    assert_eq!(scene.offers().len(), 1);
}
