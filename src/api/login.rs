//! Signing in and out, and one's own account.

use super::browser::{self, Browser};
use super::caller::{Caller, NOBODY};
use super::input::{Body, Check, check, check_name};
use super::revision::Meant;
use super::{Error, State};
use crate::auth::key::{BrowserKey, LinkKey};
use crate::auth::password;
use crate::cluster::Message;
use crate::id::{TenantId, UserId};
use crate::net::client::Client;
use crate::store::{Entry, Grant, Link, Outcome, Purpose, Role, SignIn, User};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const LOGIN_CHARS_MAX: usize = 200;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Me)]
pub(super) struct MeView {
    /// Null: a key asks, and nobody is signed in.
    user: Option<MeUser>,
    /// What the one who asks may do for `tenant`.
    role: Role,
    /// Null: the platform.
    tenant: Option<TenantId>,
    /// Those that can be asked for with the header `Weir-Tenant`; who administers the platform can name any.
    tenants: Vec<MeTenant>,
    version: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MeUser {
    id: UserId,
    login: String,
    name: String,
    has_password: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MeTenant {
    id: TenantId,
    name: String,
    role: Role,
}

/// With `login` and `password`, or with a `link` and what it asks for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    login: Option<String>,
    password: Option<String>,
    link: Option<String>,
    name: Option<String>,
}

impl Check for Login {
    fn check(&self) -> Result<(), Error> {
        self.name.as_deref().map_or(Ok(()), |name| check_name("name", name))
    }
}

/// What is typed, as it is stored.
pub(super) fn normalised(login: &str) -> Result<String, Error> {
    let login = login.trim().to_lowercase();
    let right = (1..=LOGIN_CHARS_MAX).contains(&login.chars().count())
        && !login.chars().any(|c| c.is_whitespace() || c.is_control());
    check(right, "login", "1 to 200 characters without spaces, such as an e-mail address")?;
    Ok(login)
}

pub(super) async fn login(
    state: web::Data<State>,
    request: HttpRequest,
    body: Body<Login>,
) -> Result<HttpResponse, Error> {
    let client = Client::of(&request, &state.trusted);
    browser::check_not_foreign(&state, &request, &client)?;
    let body = body.0;
    let user = match &body.link {
        Some(link) => redeemed(&state, &client, link, &body).await?,
        None => by_password(&state, &client, &body).await?,
    };
    signed_in(&state, client, user).await
}

async fn by_password(state: &State, client: &Client, body: &Login) -> Result<User, Error> {
    let (Some(login), Some(password)) = (&body.login, &body.password) else {
        let field = if body.login.is_none() { "login" } else { "password" };
        return Err(Error::invalid(field, format!("`{field}` is missing"), "login and password, or a link"));
    };
    let login = normalised(login)?;
    let address = client.address.to_string();
    let tried = state.logins().handle_try(&address, &login, state.clock.monotonic());
    tried.map_err(|wait| Error::TooManyLogins { wait })?;
    let user = state.store.user_by_login(&login).await?;
    let stored = user.as_ref().and_then(|user| user.password.clone());
    let right = verified(state, password.clone(), stored).await?;
    match user {
        Some(user) if right && !user.grants.is_empty() => {
            state.logins().handle_right(&address, &login);
            Ok(user)
        }
        user => {
            refused(state, client, user.as_ref()).await?;
            Err(Error::WrongLogin)
        }
    }
}

async fn refused(state: &State, client: &Client, user: Option<&User>) -> Result<(), Error> {
    // Not what was typed: a password slips into the field of the login.
    let actor = user.map_or(NOBODY, |user| user.id.as_str());
    let mut entry = entry(state, client, actor, user, "user.login");
    entry.outcome = Outcome::Refused;
    Ok(state.store.record(entry).await?)
}

async fn redeemed(state: &State, client: &Client, link: &str, body: &Login) -> Result<User, Error> {
    let address = client.address.to_string();
    let place = format!("link {address}");
    let tried = state.logins().handle_try(&address, &place, state.clock.monotonic());
    tried.map_err(|wait| Error::TooManyLogins { wait })?;
    let key = LinkKey::parse(link).map_err(|_| Error::WrongLogin)?;
    let hash = state.secrets.hash(key.reveal());
    let found = state.store.link(&hash, state.now_us()).await?.ok_or(Error::WrongLogin)?;
    state.logins().handle_right(&address, &place);
    let user = user_of(state, &found, body).await?;
    let action = if found.purpose == Purpose::FirstUser { "user.create" } else { "user.link" };
    let entry = entry(state, client, user.id.as_str(), Some(&user), action);
    let user = state.store.redeem_link(&hash, &user, entry.clone()).await.map_err(|error| match error {
        crate::store::Error::NotFound("link") => Error::WrongLogin,
        other => other.into(),
    })?;
    if found.purpose == Purpose::Password {
        let entry = Entry { action: "user.logout_all".to_owned(), ..entry };
        state.store.delete_sign_ins(&user.id, None, entry).await?;
        state.tell(Message::AccessChanged { actor: user.id.to_string() }).await;
    }
    Ok(user)
}

/// The link's user as it is to be written; an error names what is missing, and leaves the link as it is.
async fn user_of(state: &State, link: &Link, body: &Login) -> Result<User, Error> {
    let known = match &link.user {
        Some(id) => Some(state.store.user(id).await?.ok_or(Error::WrongLogin)?),
        None => None,
    };
    let user = match known {
        Some(user) => user,
        None => {
            let missing = || Error::invalid("login", "the first user is to be made", "login, name and password");
            let login = normalised(body.login.as_deref().ok_or_else(missing)?)?;
            let (name, now_us) = (body.name.clone().unwrap_or_else(|| login.clone()), state.now_us());
            User {
                id: UserId::from_random(state.random()),
                login,
                name,
                password: None,
                grants: vec![Grant { tenant: None, role: Role::Platform }],
                revision: 0,
                created_us: now_us,
                updated_us: now_us,
                signed_in_us: None,
            }
        }
    };
    if link.purpose == Purpose::SignIn {
        return Ok(user);
    }
    let asked = || Error::invalid("password", format!("choose a password for {}", user.login), PASSWORD);
    let chosen = body.password.clone().ok_or_else(asked)?;
    let password = Some(hashed(state, chosen, &user.login).await?);
    Ok(User { password, ..user })
}

const PASSWORD: &str = "10 to 256 characters, other than the login";

async fn verified(state: &State, password: String, stored: Option<String>) -> Result<bool, Error> {
    state.hashing.run(move |hasher| hasher.verify(&password, stored.as_deref())).await
}

async fn hashed(state: &State, chosen: String, login: &str) -> Result<String, Error> {
    check(password::is_acceptable(&chosen, login), "password", PASSWORD)?;
    let salt = state.random();
    state.hashing.run(move |hasher| hasher.hash(&chosen, salt)).await?.ok_or(Error::Internal)
}

async fn signed_in(state: &State, client: Client, user: User) -> Result<HttpResponse, Error> {
    let (key, now_us) = (BrowserKey::from_random(state.random()), state.now_us());
    let hash = state.secrets.hash(key.reveal());
    let new = SignIn {
        hash,
        user: user.id.clone(),
        created_us: now_us,
        used_us: now_us,
        expires_us: browser::expires_us(now_us, now_us),
    };
    let entry = entry(state, &client, user.id.as_str(), Some(&user), "user.login");
    state.store.create_sign_in(new, entry).await?;
    let Some(Grant { tenant, role }) = user.grants.first().cloned() else { return Err(Error::WrongLogin) };
    let browser = Some(std::sync::Arc::new(Browser { user, hash }));
    let caller = Caller { actor: String::new(), role, tenant, client, browser, key: None };
    Ok(HttpResponse::Ok().cookie(browser::cookie(&key)).json(view(state, &caller).await?))
}

fn entry(state: &State, client: &Client, actor: &str, user: Option<&User>, action: &str) -> Entry {
    Entry {
        at_us: state.now_us(),
        tenant: user.and_then(|user| user.grants.first()).and_then(|grant| grant.tenant.clone()),
        actor: actor.to_owned(),
        address: Some(client.address),
        action: action.to_owned(),
        target: actor.to_owned(),
        outcome: Outcome::Done,
        before: None,
        after: None,
    }
}

async fn view(state: &State, caller: &Caller) -> Result<MeView, Error> {
    let user = caller.browser.as_ref().map(|browser| &browser.user);
    let own = [Grant { tenant: caller.tenant.clone(), role: caller.role }];
    let mut tenants = Vec::new();
    for grant in user.map_or(&own[..], |user| &user.grants) {
        let Some(id) = &grant.tenant else { continue };
        let named = state.store.tenant(id).await?;
        tenants.extend(named.map(|tenant| MeTenant { id: tenant.id, name: tenant.name, role: grant.role }));
    }
    let user = user.map(|user| MeUser {
        id: user.id.clone(),
        login: user.login.clone(),
        name: user.name.clone(),
        has_password: user.password.is_some(),
    });
    let (role, tenant) = (caller.role, caller.tenant.clone());
    Ok(MeView { user, role, tenant, tenants, version: env!("CARGO_PKG_VERSION") })
}

pub(super) async fn me(state: web::Data<State>, caller: Caller) -> Result<web::Json<MeView>, Error> {
    Ok(web::Json(view(&state, &caller).await?))
}

fn own(caller: &Caller) -> Result<&Browser, Error> {
    let nobody = || Error::Conflict("not_signed_in", "a key asks, and nobody is signed in".to_owned());
    caller.browser.as_deref().ok_or_else(nobody)
}

/// One's own name, and one's password: the old one must be said, unless none was chosen yet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchMe {
    name: Option<String>,
    password: Option<String>,
    old_password: Option<String>,
}

impl Check for PatchMe {
    fn check(&self) -> Result<(), Error> {
        self.name.as_deref().map_or(Ok(()), |name| check_name("name", name))
    }
}

pub(super) async fn patch_me(
    state: web::Data<State>,
    caller: Caller,
    body: Body<PatchMe>,
) -> Result<web::Json<MeView>, Error> {
    let Browser { user, hash } = own(&caller)?;
    let PatchMe { name, password, old_password } = body.0;
    let has_new_password = password.is_some();
    let change = async || {
        let mut user = state.store.user(&user.id).await?.ok_or(Error::Unauthorized)?;
        if let Some(password) = &password {
            if user.password.is_some() {
                check_old(&state, &caller, &user, old_password.clone().unwrap_or_default()).await?;
            }
            user.password = Some(hashed(&state, password.clone(), &user.login).await?);
        }
        user.name = name.clone().unwrap_or(user.name);
        let mut entry = caller.entry(&state, caller.tenant.as_ref(), "user.update", user.id.as_str());
        entry.after = Some(serde_json::json!({ "name": user.name, "new_password": has_new_password }));
        Ok(state.store.update_user(&user, entry).await?)
    };
    let user = Meant::Any.apply(change).await?;
    if has_new_password {
        let entry = caller.entry(&state, caller.tenant.as_ref(), "user.logout_all", user.id.as_str());
        state.store.delete_sign_ins(&user.id, Some(hash), entry).await?;
        state.tell(Message::AccessChanged { actor: user.id.to_string() }).await;
    }
    let browser = Some(std::sync::Arc::new(Browser { user, hash: *hash }));
    Ok(web::Json(view(&state, &Caller { browser, ..caller }).await?))
}

async fn check_old(state: &State, caller: &Caller, user: &User, password: String) -> Result<(), Error> {
    let address = caller.address().to_string();
    let tried = state.logins().handle_try(&address, &user.login, state.clock.monotonic());
    tried.map_err(|wait| Error::TooManyLogins { wait })?;
    let right = verified(state, password, user.password.clone()).await?;
    check(right, "old_password", "the password that is valid now")?;
    state.logins().handle_right(&address, &user.login);
    Ok(())
}

pub(super) async fn logout(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Error> {
    let Browser { user, hash } = own(&caller)?;
    let entry = caller.entry(&state, caller.tenant.as_ref(), "user.logout", user.id.as_str());
    state.store.delete_sign_in(hash, entry).await?;
    state.tell(Message::AccessChanged { actor: user.id.to_string() }).await;
    Ok(HttpResponse::NoContent().cookie(browser::no_cookie()).finish())
}

/// In every browser, this one too.
pub(super) async fn logout_all(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Error> {
    let Browser { user, .. } = own(&caller)?;
    let entry = caller.entry(&state, caller.tenant.as_ref(), "user.logout_all", user.id.as_str());
    state.store.delete_sign_ins(&user.id, None, entry).await?;
    state.tell(Message::AccessChanged { actor: user.id.to_string() }).await;
    Ok(HttpResponse::NoContent().cookie(browser::no_cookie()).finish())
}
