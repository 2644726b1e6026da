//! Keys that sign viewers' tokens: brought, fetched, removed.

use crate::support::{DEADLINE, Encoder, Seen, Served, Stream, Viewer, Weir};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Ed25519 keys of the tests: PKCS 8, and `x` of the JWK.
const ONE: (&str, &str) = (
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIKGkHpbyBZpmrnvN41VMt4TEjEvoe9rsh7Ca0SYwx56S\n-----END PRIVATE KEY-----\n",
    "aBBScvWjpMoaQZT7M9ZUmOrdpAFN14ih0tg7leWy2d0",
);
const TWO: (&str, &str) = (
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIDs+OUmlAupylNKecLiveKH5G+LM6OvJFtn3v8LZSPfQ\n-----END PRIVATE KEY-----\n",
    "HawK9bR2q7CUoXlbupci7JGPdz2dKewKsJ4OLo4POlQ",
);

fn jwks(keys: &[(&str, (&str, &str))]) -> String {
    let jwk = |(kid, (_, x)): &(&str, (&str, &str))| json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x});
    json!({ "keys": keys.iter().map(jwk).collect::<Vec<_>>() }).to_string()
}

fn token(kid: &str, (pem, _): (&str, &str), stream: &Stream) -> String {
    let exp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 600;
    let claims = json!({ "sub": kid, "aud": "weir:play", "stream": stream.playback_id, "exp": exp });
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_pem(pem.as_bytes()).unwrap()).unwrap()
}

async fn connect(weir: &Weir, stream: &Stream, token: &str) -> Result<Viewer, u16> {
    let bearer = format!("Bearer {token}");
    let connected = Viewer::try_connect(weir, stream, "weir.v1", &[("authorization", &bearer)]).await;
    connected.map_err(|refused| refused.status().as_u16())
}

async fn listed(weir: &Weir, tenant: &str, id: &str) -> Value {
    let keys = weir.get(&format!("/signing-keys?tenant={tenant}")).await;
    keys["data"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap().clone()
}

/// Waits until the key set is shown as `wanted` says.
async fn until_listed(weir: &Weir, tenant: &str, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let key = listed(weir, tenant, id).await;
        if wanted(&key) {
            return key;
        }
        assert!(start.elapsed() < DEADLINE, "{key}; {}", weir.tail());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn signed_stream(weir: &Weir) -> (String, Stream) {
    let tenant = weir.tenant().await;
    let stream = weir.stream_of(&tenant, json!({ "policy": "signed" })).await;
    (tenant, stream)
}

const CLOSED_4401: fn(&Seen) -> bool = |seen| matches!(seen, Seen::Close(4401));

#[actix_rt::test]
async fn a_key_set_is_fetched_on_a_timer_and_its_last_good_keys_hold() {
    let settings = [("WEIR_WEBHOOKS_ALLOWED_NETWORKS", "127.0.0.1"), ("WEIR_WEBHOOKS_KEYS_EVERY", "1s")];
    let weir = Weir::start_with(&settings).await;
    let (tenant, stream) = signed_stream(&weir).await;
    let served = Served::start(&jwks(&[("one", ONE)])).await;
    let (status, made) = weir.post("/signing-keys", json!({ "tenant": tenant, "jwks_url": served.url })).await;
    assert_eq!((status, &made["keys"], &made["secret"]), (201, &json!([]), &Value::Null), "{made}");
    let id = made["id"].as_str().unwrap();
    let key = until_listed(&weir, &tenant, id, |key| key["fetched_at"].is_string()).await;
    assert_eq!(key["keys"], json!([{ "kid": "one", "algorithm": "EdDSA" }]));
    assert_eq!((&key["error"], key["jwks_url"].as_str()), (&Value::Null, Some(&*served.url)));

    let mut one = connect(&weir, &stream, &token("one", ONE, &stream)).await.unwrap();
    assert_eq!(connect(&weir, &stream, &token("one", TWO, &stream)).await.err(), Some(401), "signed by another");
    assert_eq!(connect(&weir, &stream, &token("two", TWO, &stream)).await.err(), Some(401));

    for (status, body, said) in
        [(503, "", "503"), (302, "", "302"), (200, "<html>", "not a JSON document"), (200, "{\"keys\":[]}", "no key")]
    {
        served.answer(status, body);
        let key = until_listed(&weir, &tenant, id, |key| key["error"].as_str().is_some_and(|e| e.contains(said))).await;
        assert_eq!(key["keys"][0]["kid"], "one", "the last good keys stay");
        assert!(connect(&weir, &stream, &token("one", ONE, &stream)).await.is_ok());
    }
    served.answer(200, &" ".repeat(70_000));
    until_listed(&weir, &tenant, id, |key| key["error"].as_str().is_some_and(|e| e.contains("64 KiB"))).await;

    served.answer(200, &jwks(&[("one", ONE), ("two", TWO)]));
    until_listed(&weir, &tenant, id, |key| key["keys"].as_array().unwrap().len() == 2).await;
    let start = Instant::now();
    let mut two = loop {
        match connect(&weir, &stream, &token("two", TWO, &stream)).await {
            Ok(viewer) => break viewer,
            Err(status) => assert!(start.elapsed() < DEADLINE, "{status}"),
        }
    };

    // A key that its owner takes away takes its viewers along, and nobody else's.
    served.answer(200, &jwks(&[("two", TWO)]));
    one.until(CLOSED_4401).await;
    assert_eq!(connect(&weir, &stream, &token("one", ONE, &stream)).await.err(), Some(401));
    let _encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    two.video(30).await;
}

#[actix_rt::test]
async fn a_token_never_makes_a_call() {
    let settings = [("WEIR_WEBHOOKS_ALLOWED_NETWORKS", "127.0.0.1"), ("WEIR_WEBHOOKS_KEYS_EVERY", "1h")];
    let weir = Weir::start_with(&settings).await;
    let (tenant, stream) = signed_stream(&weir).await;
    let served = Served::start(&jwks(&[("one", ONE)])).await;
    let (_, made) = weir.post("/signing-keys", json!({ "tenant": tenant, "jwks_url": served.url })).await;
    until_listed(&weir, &tenant, made["id"].as_str().unwrap(), |key| key["fetched_at"].is_string()).await;
    for kid in ["two", "three"] {
        assert_eq!(connect(&weir, &stream, &token(kid, TWO, &stream)).await.err(), Some(401));
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(served.asked(), 1);
}

#[actix_rt::test]
async fn a_key_set_at_a_private_address_is_never_fetched() {
    let weir = Weir::start().await;
    let (tenant, _) = signed_stream(&weir).await;
    let served = Served::start(&jwks(&[("one", ONE)])).await;
    for (url, said) in [
        (served.url.clone(), "no public address"),
        (served.url.replace("http://", "https://"), "no public address"),
        (served.url.replace("127.0.0.1", "localhost"), "no public address"),
    ] {
        let (status, made) = weir.post("/signing-keys", json!({ "tenant": tenant, "jwks_url": url })).await;
        assert_eq!(status, 201, "{made}");
        let id = made["id"].as_str().unwrap();
        let key = until_listed(&weir, &tenant, id, |key| key["error"].is_string()).await;
        assert!(key["error"].as_str().unwrap().contains(said), "{key}");
        assert_eq!((&key["keys"], &key["fetched_at"]), (&json!([]), &Value::Null));
    }
    assert_eq!(served.asked(), 0);
}

#[actix_rt::test]
async fn removing_a_key_cuts_those_whom_it_let_in_within_two_seconds_and_nobody_else() {
    let weir = Weir::start().await;
    let (tenant, stream) = signed_stream(&weir).await;
    let public = weir.stream_of(&tenant, json!({ "policy": "public" })).await;
    let _encoders =
        [Encoder::start(&weir.rtmp_url(&stream.key)).await, Encoder::start(&weir.rtmp_url(&public.key)).await];
    let brought = async |kid: &str, key: (&str, &str)| {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": kid, "x": key.1}).to_string();
        let body = json!({ "tenant": tenant, "algorithm": "EdDSA", "public_key": jwk });
        let (status, made) = weir.post("/signing-keys", body).await;
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    };
    let (one, _two) = (brought("one", ONE).await, brought("two", TWO).await);
    let mut gone = connect(&weir, &stream, &token("one", ONE, &stream)).await.unwrap();
    let mut renewed = connect(&weir, &stream, &token("one", ONE, &stream)).await.unwrap();
    let mut others = connect(&weir, &stream, &token("two", TWO, &stream)).await.unwrap();
    let mut of_public = connect(&weir, &public, &token("one", ONE, &public)).await.unwrap();
    renewed.video(3).await;
    // By the same subject, with the other key.
    let subject = json!({ "sub": "one", "aud": "weir:play", "stream": stream.playback_id, "exp": 4_000_000_000_u64 });
    let header = Header { kid: Some("two".to_owned()), ..Header::new(Algorithm::EdDSA) };
    let signed = jsonwebtoken::encode(&header, &subject, &EncodingKey::from_ed_pem(TWO.0.as_bytes()).unwrap()).unwrap();
    renewed.say(json!({ "type": "token", "token": signed })).await;
    renewed.video(10).await;
    gone.video(3).await;

    let start = Instant::now();
    weir.delete(&format!("/signing-keys/{one}?tenant={tenant}")).await;
    gone.until(CLOSED_4401).await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    for viewer in [&mut renewed, &mut others, &mut of_public] {
        viewer.video(60).await;
    }
    assert_eq!(connect(&weir, &stream, &token("one", ONE, &stream)).await.err(), Some(401));
}
