//! People who sign in, as those who administer a tenant or the platform see them.

use super::caller::Caller;
use super::input::{Body, Check, Paging, Query, Scope, check_name};
use super::login::normalised;
use super::revision::Meant;
use super::show::{Linker, List, position, revised, time};
use super::{Error, Random, State};
use crate::auth::key::{LinkKey, RANDOM_BYTES};
use crate::auth::secret::Secrets;
use crate::cluster::Message;
use crate::id::{TenantId, UserId};
use crate::store::{self, Entry, Grant, Link, Outcome, Page, Purpose, Role, Store, User};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Somebody has to find the time to open it.
const LINK_US: i64 = 7 * 24 * 3_600 * 1_000_000;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserView {
    id: UserId,
    login: String,
    name: String,
    /// Those that the one who asks may see.
    roles: Vec<GrantView>,
    /// False: invited, and has not chosen one yet.
    has_password: bool,
    last_login_at: Option<String>,
    created_at: String,
    updated_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
pub(super) struct GrantView {
    /// Null: the platform.
    tenant: Option<TenantId>,
    role: Role,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserCreated {
    #[serde(flatten)]
    user: UserView,
    /// Null: the user has a password already.
    link: Option<LinkView>,
}

/// To be given to the user, who chooses a password there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Link)]
pub(super) struct LinkView {
    /// Good once; shown this once.
    url: Option<String>,
    expires_at: String,
}

fn view(caller: &Caller, user: &User) -> UserView {
    let seen = |grant: &&Grant| caller.tenant.is_none() || grant.tenant == caller.tenant;
    let show = |grant: &Grant| GrantView { tenant: grant.tenant.clone(), role: grant.role };
    UserView {
        id: user.id.clone(),
        login: user.login.clone(),
        name: user.name.clone(),
        roles: user.grants.iter().filter(seen).map(show).collect(),
        has_password: user.password.is_some(),
        last_login_at: user.signed_in_us.map(time),
        created_at: time(user.created_us),
        updated_at: time(user.updated_us),
    }
}

/// Those of a tenant; a platform key that names none sees all.
pub(super) async fn list(
    state: web::Data<State>,
    caller: Caller,
    query: Query<Paging>,
) -> Result<web::Json<List<UserView>>, Error> {
    let page = query.0.page()?;
    let tenant = caller.scope(query.0.tenant())?;
    let rows = state.store.users(tenant.as_ref(), &Page { limit: page.limit + 1, ..page.clone() }).await?;
    let at = |user: &User| position(user.created_us, &user.id);
    Ok(web::Json(List::of(rows, page.limit, at, |user| view(&caller, &user))))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateUser {
    tenant: Option<String>,
    /// Such as an e-mail address; one who is known already gets the role as well.
    login: String,
    name: String,
    role: Role,
}

impl Check for CreateUser {
    fn check(&self) -> Result<(), Error> {
        normalised(&self.login)?;
        check_name("name", &self.name)
    }
}

pub(super) async fn create(
    state: web::Data<State>,
    caller: Caller,
    body: Body<CreateUser>,
) -> Result<HttpResponse, Error> {
    let CreateUser { tenant, login, name, role } = body.0;
    let grant = allowed(&caller, tenant.as_deref(), role)?;
    let login = normalised(&login)?;
    let grow = async || match state.store.user_by_login(&login).await? {
        Some(mut user) => {
            if user.grants.iter().any(|held| held.tenant == grant.tenant) {
                return Err(Error::Conflict("exists", "the user has a role there already".to_owned()));
            }
            // Whoever made it may hold its password or its link, and would have this role with it.
            if caller.role != Role::Platform {
                let detail = "somebody elsewhere has this login; the platform can give them a role here";
                return Err(Error::Conflict("login_taken", detail.to_owned()));
            }
            user.grants.push(grant.clone());
            let entry = told(&caller, &state, &grant, "user.update", &user);
            Ok(state.store.update_user(&user, entry).await?)
        }
        None => {
            let now_us = state.now_us();
            let user = User {
                id: UserId::from_random(state.random()),
                login: login.clone(),
                name: name.clone(),
                password: None,
                grants: vec![grant.clone()],
                revision: 0,
                created_us: now_us,
                updated_us: now_us,
                signed_in_us: None,
            };
            let entry = told(&caller, &state, &grant, "user.create", &user);
            Ok(state.store.create_user(user, entry).await?)
        }
    };
    let user = Meant::Any.apply(grow).await?;
    let link = if user.password.is_none() { Some(new_link(&state, &caller, &user).await?) } else { None };
    Ok(revised(StatusCode::CREATED, user.revision, UserCreated { user: view(&caller, &user), link }))
}

/// Nobody gives a role above their own, nor one of the platform within a tenant.
fn allowed(caller: &Caller, tenant: Option<&str>, role: Role) -> Result<Grant, Error> {
    // Roles are declared from the highest to the lowest.
    if role < caller.role {
        return Err(Error::Forbidden { needed: role });
    }
    match (role, tenant) {
        (Role::Platform, None) => Ok(Grant { tenant: None, role }),
        (Role::Platform, Some(_)) => Err(Error::invalid("tenant", "the platform's users have no tenant", "null")),
        (_, tenant) => Ok(Grant { tenant: Some(caller.tenant(tenant)?), role }),
    }
}

fn told(caller: &Caller, state: &State, grant: &Grant, action: &str, user: &User) -> Entry {
    let mut entry = caller.entry(state, grant.tenant.as_ref(), action, user.id.as_str());
    entry.after = Some(serde_json::json!({ "login": user.login, "role": grant.role }));
    entry
}

async fn new_link(state: &State, caller: &Caller, user: &User) -> Result<LinkView, Error> {
    let entry = caller.entry(state, caller.tenant.as_ref(), "user.link.create", user.id.as_str());
    let (link, key) = link(&state.secrets, state.random, state.now_us(), Purpose::Password, Some(user.id.clone()));
    let expires_at = time(link.expires_us);
    state.store.create_link(link, entry).await?;
    let base = Linker::new(state, &caller.client);
    Ok(LinkView { url: Some(base.sign_in(&key)), expires_at })
}

fn link(secrets: &Secrets, random: Random, now_us: i64, purpose: Purpose, user: Option<UserId>) -> (Link, LinkKey) {
    let mut bytes = [0; RANDOM_BYTES];
    random(&mut bytes);
    let key = LinkKey::from_random(bytes);
    let hash = secrets.hash(key.reveal());
    (Link { hash, purpose, user, created_us: now_us, expires_us: now_us + LINK_US }, key)
}

/// The link that makes the platform's first user, if this call made it: to be shown to the person who starts the node,
/// and never logged.
pub async fn first_link(
    store: &dyn Store,
    secrets: &Secrets,
    random: Random,
    now_us: i64,
) -> store::Result<Option<LinkKey>> {
    let (link, key) = link(secrets, random, now_us, Purpose::FirstUser, None);
    let made = store.create_first_link(link, system(now_us, "first user")).await?;
    Ok(made.then_some(key))
}

/// A link that signs this user in, who is made where there is none.
pub(super) async fn sign_in_link(state: &State, login: &str, name: &str) -> Result<LinkKey, Error> {
    let now_us = state.now_us();
    let user = match state.store.user_by_login(login).await? {
        Some(user) => user,
        None => {
            let user = User {
                id: UserId::from_random(state.random()),
                login: login.to_owned(),
                name: name.to_owned(),
                password: None,
                grants: vec![Grant { tenant: None, role: Role::Platform }],
                revision: 0,
                created_us: now_us,
                updated_us: now_us,
                signed_in_us: None,
            };
            let entry = Entry { action: "user.create".to_owned(), ..system(now_us, user.id.as_str()) };
            state.store.create_user(user, entry).await?
        }
    };
    let (link, key) = link(&state.secrets, state.random, now_us, Purpose::SignIn, Some(user.id.clone()));
    state.store.create_link(link, system(now_us, user.id.as_str())).await?;
    Ok(key)
}

fn system(now_us: i64, target: &str) -> Entry {
    Entry {
        at_us: now_us,
        tenant: None,
        actor: "system".to_owned(),
        address: None,
        action: "user.link.create".to_owned(),
        target: target.to_owned(),
        outcome: Outcome::Done,
        before: None,
        after: None,
    }
}

async fn find(state: &State, caller: &Caller, id: &str) -> Result<User, Error> {
    let id = UserId::parse(id).map_err(|_| Error::NotFound("user"))?;
    let seen = |user: &User| caller.tenant.is_none() || user.grants.iter().any(|grant| grant.tenant == caller.tenant);
    state.store.user(&id).await?.filter(seen).ok_or(Error::NotFound("user"))
}

fn check_other(caller: &Caller, user: &User) -> Result<(), Error> {
    let own = caller.browser.as_ref().is_some_and(|browser| browser.user.id == user.id);
    if own { Err(Error::Conflict("own_role", "nobody changes their own role".to_owned())) } else { Ok(()) }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchUser {
    /// Where the role is; a platform key names it, null is the platform.
    tenant: Option<String>,
    role: Role,
}

impl Check for PatchUser {
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Another role where the user has one.
pub(super) async fn patch(
    state: web::Data<State>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    body: Body<PatchUser>,
) -> Result<HttpResponse, Error> {
    let meant = Meant::of(&request);
    let change = async || {
        let mut user = find(&state, &caller, &id).await?;
        check_other(&caller, &user)?;
        meant.check(user.revision)?;
        let grant = allowed(&caller, body.0.tenant.as_deref(), body.0.role)?;
        let held = user.grants.iter_mut().find(|held| held.tenant == grant.tenant).ok_or(Error::NotFound("role"))?;
        let before = std::mem::replace(&mut held.role, grant.role);
        let mut entry = told(&caller, &state, &grant, "user.update", &user);
        entry.before = Some(serde_json::json!({ "login": user.login, "role": before }));
        Ok(state.store.update_user(&user, entry).await?)
    };
    let user = meant.apply(change).await?;
    state.tell(Message::AccessChanged { actor: user.id.to_string() }).await;
    Ok(revised(StatusCode::OK, user.revision, view(&caller, &user)))
}

/// Takes away the role in the tenant; who has no other is deleted. The platform deletes whom it names.
pub(super) async fn delete(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
    query: Query<Scope>,
) -> Result<HttpResponse, Error> {
    let tenant = caller.scope(query.0.tenant.as_deref())?;
    let change = async || {
        let mut user = find(&state, &caller, &id).await?;
        check_other(&caller, &user)?;
        let mut entry = caller.entry(&state, tenant.as_ref(), "user.delete", user.id.as_str());
        entry.before = Some(serde_json::json!({ "login": user.login }));
        if tenant.is_some() {
            user.grants.retain(|grant| grant.tenant != tenant);
        } else {
            user.grants.clear();
        }
        if user.grants.is_empty() {
            state.store.delete_user(&user.id, entry).await?;
        } else {
            state.store.update_user(&user, entry).await?;
        }
        Ok(user.id)
    };
    let user = Meant::Any.apply(change).await?;
    state.tell(Message::AccessChanged { actor: user.to_string() }).await;
    Ok(HttpResponse::NoContent().finish())
}

/// For one who has lost the password; who has roles elsewhere, too, asks the platform.
pub(super) async fn create_link(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let user = find(&state, &caller, &id).await?;
    let whole = caller.role == Role::Platform || user.grants.iter().all(|grant| grant.tenant == caller.tenant);
    if !whole {
        return Err(Error::Forbidden { needed: Role::Platform });
    }
    let link = Some(new_link(&state, &caller, &user).await?);
    Ok(HttpResponse::Created().json(UserCreated { user: view(&caller, &user), link }))
}
