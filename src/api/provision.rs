//! What `weir demo` needs: a tenant, two streams, fresh keys, tokens.

use super::streams::new_key;
use super::tenants::new_tenant;
use super::tokens::sign;
use super::users::sign_in_link;
use super::{Error, State};
use crate::auth::key::{LinkKey, StreamKey};
use crate::auth::token::{Claims, Streams};
use crate::id::{PlaybackId, StreamId, TenantId};
use crate::store::{Entry, NewStream, Outcome, Page, Quotas, Settings, Stream, StreamFilter, Tenant};

/// Names that are looked for, so that a second demo finds the first one's.
const NAME: &str = "Demo";
const OWN_NAME: &str = "Yours";
const LOGIN: &str = "demo";
const TOKEN_TTL_S: i64 = 86_400;
const ALL: Page = Page { limit: 200, after: None };

pub struct Demo {
    /// What the built-in clip is published to.
    pub clip: DemoStream,
    /// For the person at the machine.
    pub own: DemoStream,
    /// Signs that person in.
    pub admin: LinkKey,
}

pub struct DemoStream {
    pub playback_id: PlaybackId,
    pub stream_key: StreamKey,
    pub token: String,
}

/// Finds or makes the demo's tenant and streams; the keys are new each time, and those of earlier demos gone.
pub async fn demo(state: &State) -> Result<Demo, Error> {
    let tenant = demo_tenant(state).await?;
    Ok(Demo {
        clip: demo_stream(state, &tenant, NAME).await?,
        own: demo_stream(state, &tenant, OWN_NAME).await?,
        admin: sign_in_link(state, LOGIN, NAME).await?,
    })
}

async fn demo_stream(state: &State, tenant: &Tenant, name: &str) -> Result<DemoStream, Error> {
    let (stream, stream_key) = stream_with_key(state, tenant, name).await?;
    let now_s = state.now_us() / 1_000_000;
    let claims = Claims {
        subject: Some("demo".to_owned()),
        streams: Streams::One(stream.playback_id.to_string()),
        expires_s: now_s + TOKEN_TTL_S,
        not_before_s: None,
        issued_s: Some(now_s),
        id: None,
        ip: None,
        origin: None,
        max_sessions: None,
    };
    let token = sign(&state.store.signing_keys(&tenant.id).await?, &state.secrets, &claims)?;
    let token = token.ok_or(Error::NotFound("signing key"))?;
    Ok(DemoStream { playback_id: stream.playback_id, stream_key, token })
}

async fn demo_tenant(state: &State) -> Result<Tenant, Error> {
    if let Some(tenant) = state.store.tenants(&ALL).await?.into_iter().find(|tenant| tenant.name == NAME) {
        return Ok(tenant);
    }
    let new = new_tenant(state, NAME.to_owned(), Quotas::default());
    let entry = entry(state, Some(&new.id), "tenant.create", new.id.as_str());
    Ok(state.store.create_tenant(new, entry).await?)
}

async fn stream_with_key(state: &State, tenant: &Tenant, name: &str) -> Result<(Stream, StreamKey), Error> {
    let filter =
        StreamFilter { tenant: Some(tenant.id.clone()), name: Some(name.to_owned()), ..StreamFilter::default() };
    let (new, key) = new_key(state);
    if let Some(stream) = state.store.streams(&filter, &ALL).await?.into_iter().find(|stream| stream.name == name) {
        for old in state.store.stream_keys(&stream.id).await? {
            let entry = entry(state, Some(&tenant.id), "stream_key.delete", old.id.as_str());
            state.store.delete_stream_key(&stream.id, &old.id, entry).await?;
        }
        let entry = entry(state, Some(&tenant.id), "stream_key.create", new.id.as_str());
        state.store.create_stream_key(&stream.id, new, entry).await?;
        return Ok((stream, key));
    }
    let new = NewStream {
        id: StreamId::from_random(state.random()),
        tenant: tenant.id.clone(),
        playback_id: PlaybackId::from_random(state.random()),
        name: name.to_owned(),
        settings: Settings::default(),
        created_us: state.now_us(),
        key: new,
    };
    let entry = entry(state, Some(&tenant.id), "stream.create", new.id.as_str());
    Ok((state.store.create_stream(new, entry).await?, key))
}

fn entry(state: &State, tenant: Option<&TenantId>, action: &str, target: &str) -> Entry {
    Entry {
        at_us: state.now_us(),
        tenant: tenant.cloned(),
        actor: "system".to_owned(),
        address: None,
        action: action.to_owned(),
        target: target.to_owned(),
        outcome: Outcome::Done,
        before: None,
        after: None,
    }
}
