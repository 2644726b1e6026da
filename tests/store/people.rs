//! What every store promises of users, sign-ins and links.

use super::{Bench, records};
use weir::id::{TenantId, UserId};
use weir::store::{Conflict, Entry, Error, Grant, Link, Page, Purpose, Role, SignIn, User};

const NOW_US: i64 = records::CREATED_US;
const ALL: Page = Page { limit: 10, after: None };

fn id(n: u8) -> UserId {
    UserId::from_random([n; 16])
}

fn user(n: u8, grants: &[(Option<&TenantId>, Role)]) -> User {
    User {
        id: id(n),
        login: format!("user{n}@example.com"),
        name: format!("User {n} \u{1F3A5}"),
        password: None,
        grants: grants.iter().map(|(tenant, role)| Grant { tenant: tenant.cloned(), role: *role }).collect(),
        revision: 0,
        created_us: NOW_US + i64::from(n),
        updated_us: NOW_US + i64::from(n),
        signed_in_us: None,
    }
}

fn sign_in(n: u32, user: u8) -> SignIn {
    SignIn { hash: records::hash(n), user: id(user), created_us: NOW_US, used_us: NOW_US, expires_us: NOW_US + 100 }
}

fn link(n: u32, user: Option<u8>) -> Link {
    let purpose = if user.is_some() { Purpose::Password } else { Purpose::FirstUser };
    Link { hash: records::hash(n), purpose, user: user.map(id), created_us: NOW_US, expires_us: NOW_US + 100 }
}

fn at(at_us: i64) -> Entry {
    Entry { at_us, ..records::entry() }
}

async fn tenant(bench: &Bench, n: u32) -> TenantId {
    bench.store.create_tenant(records::tenant(n), records::entry()).await.unwrap().id
}

pub(super) async fn users_are_kept_with_a_role_per_tenant(bench: &Bench) {
    let (store, one, other) = (&bench.store, tenant(bench, 1).await, tenant(bench, 2).await);
    let new = user(1, &[(Some(&other), Role::Reader), (Some(&one), Role::Owner), (None, Role::Platform)]);
    let made = store.create_user(new.clone(), records::entry()).await.unwrap();
    let mut expected = User { revision: 1, ..new.clone() };
    expected.grants.sort();
    assert_eq!(made, expected);
    assert_eq!(store.user(&made.id).await.unwrap(), Some(expected.clone()));
    assert_eq!(store.user_by_login(&made.login).await.unwrap(), Some(expected));
    assert_eq!(store.user_by_login("nobody").await.unwrap(), None);

    let again = User { id: id(9), ..new };
    assert_eq!(store.create_user(again, records::entry()).await, Err(Error::Conflict(Conflict::Exists)));
    let lost = user(3, &[(Some(&TenantId::from_random([9; 16])), Role::Owner)]);
    assert_eq!(store.create_user(lost, records::entry()).await, Err(Error::NotFound("tenant")));
    assert_eq!(store.user(&id(3)).await.unwrap(), None);

    store.create_user(user(2, &[(Some(&one), Role::Reader)]), records::entry()).await.unwrap();
    let ids = |users: Vec<User>| users.into_iter().map(|user| user.id).collect::<Vec<_>>();
    assert_eq!(ids(store.users(Some(&one), &ALL).await.unwrap()), [id(2), id(1)]);
    assert_eq!(ids(store.users(Some(&other), &ALL).await.unwrap()), [id(1)]);
    assert_eq!(ids(store.users(None, &Page { limit: 1, after: None }).await.unwrap()), [id(2)]);
}

pub(super) async fn a_changed_user_is_read_as_written_and_a_deleted_tenant_takes_its_roles(bench: &Bench) {
    let (store, one, other) = (&bench.store, tenant(bench, 1).await, tenant(bench, 2).await);
    let made = store.create_user(user(1, &[(Some(&one), Role::Reader)]), records::entry()).await.unwrap();
    let mut changed = User { name: "New".to_owned(), password: Some("$argon2id$..".to_owned()), ..made.clone() };
    changed.grants = vec![Grant { tenant: Some(other.clone()), role: Role::Operator }];
    let written = store.update_user(&changed, at(NOW_US + 50)).await.unwrap();
    assert_eq!(written, User { revision: 2, updated_us: NOW_US + 50, ..changed.clone() });
    assert_eq!(store.user(&made.id).await.unwrap(), Some(written.clone()));
    assert_eq!(store.update_user(&changed, at(NOW_US + 60)).await, Err(Error::Conflict(Conflict::Stale)));
    let nobody = User { id: id(9), ..changed };
    assert_eq!(store.update_user(&nobody, at(NOW_US)).await, Err(Error::NotFound("user")));

    store.delete_tenant(&other, records::entry()).await.unwrap();
    assert_eq!(store.user(&made.id).await.unwrap().unwrap().grants, []);
    store.delete_user(&made.id, records::entry()).await.unwrap();
    assert_eq!(store.delete_user(&made.id, records::entry()).await, Err(Error::NotFound("user")));
}

pub(super) async fn a_sign_in_lasts_until_it_expires_or_is_ended(bench: &Bench) {
    let store = &bench.store;
    for n in 1..=2 {
        store.create_user(user(n, &[(None, Role::Platform)]), records::entry()).await.unwrap();
    }
    assert_eq!(store.create_sign_in(sign_in(9, 9), records::entry()).await, Err(Error::NotFound("user")));
    for n in 1..=3 {
        store.create_sign_in(sign_in(n, 1), records::entry()).await.unwrap();
    }
    store.create_sign_in(sign_in(4, 2), records::entry()).await.unwrap();
    let (found, owner) = store.sign_in(&records::hash(1), NOW_US + 99).await.unwrap().unwrap();
    assert_eq!((found, owner.signed_in_us), (sign_in(1, 1), Some(NOW_US)));
    assert_eq!(store.sign_in(&records::hash(1), NOW_US + 100).await.unwrap(), None);
    store.touch_sign_in(&records::hash(1), NOW_US + 90, NOW_US + 500).await.unwrap();
    let (found, _) = store.sign_in(&records::hash(1), NOW_US + 400).await.unwrap().unwrap();
    assert_eq!((found.used_us, found.expires_us), (NOW_US + 90, NOW_US + 500));

    let there = async |n| store.sign_in(&records::hash(n), NOW_US).await.unwrap().is_some();
    store.delete_sign_in(&records::hash(2), records::entry()).await.unwrap();
    assert!(!there(2).await && there(3).await);
    store.delete_sign_ins(&id(1), Some(&records::hash(1)), records::entry()).await.unwrap();
    assert!(there(1).await && !there(3).await && there(4).await);
    store.delete_sign_ins(&id(1), None, records::entry()).await.unwrap();
    assert!(!there(1).await && there(4).await);
    store.delete_user(&id(2), records::entry()).await.unwrap();
    assert!(!there(4).await);
}

pub(super) async fn a_link_is_good_once_however_many_ask_at_once(bench: &Bench) {
    let store = &bench.store;
    let first = (1..=4).map(|n| store.create_first_link(link(n, None), records::entry()));
    let made = futures_util::future::join_all(first).await;
    assert_eq!(made.iter().filter(|made| **made == Ok(true)).count(), 1, "{made:?}");
    let won = (1..=4).zip(&made).find(|(_, made)| **made == Ok(true)).unwrap().0;
    let hash = records::hash(won);
    assert_eq!(store.link(&hash, NOW_US).await.unwrap(), Some(link(won, None)));
    assert_eq!(store.link(&hash, NOW_US + 100).await.unwrap(), None);

    let late = store.redeem_link(&hash, &user(1, &[]), at(NOW_US + 100)).await;
    assert_eq!(late, Err(Error::NotFound("link")));
    let asked: Vec<_> = (1..=4).map(|n| user(n, &[(None, Role::Platform)])).collect();
    let asked = asked.iter().map(|user| store.redeem_link(&hash, user, at(NOW_US + 1)));
    let redeemed = futures_util::future::join_all(asked).await;
    assert_eq!(redeemed.iter().filter(|redeemed| redeemed.is_ok()).count(), 1, "{redeemed:?}");
    let users = store.users(None, &ALL).await.unwrap();
    assert_eq!((users.len(), users[0].revision), (1, 1));
}

pub(super) async fn a_users_newer_link_takes_the_place_of_the_older(bench: &Bench) {
    let store = &bench.store;
    let made = store.create_user(user(1, &[(None, Role::Platform)]), records::entry()).await.unwrap();
    assert_eq!(store.create_link(link(9, Some(9)), records::entry()).await, Err(Error::NotFound("user")));
    store.create_link(link(1, Some(1)), records::entry()).await.unwrap();
    store.create_link(link(2, Some(1)), records::entry()).await.unwrap();
    assert_eq!(store.link(&records::hash(1), NOW_US).await.unwrap(), None);
    let chosen = User { password: Some("$argon2id$..".to_owned()), ..made.clone() };
    let written = store.redeem_link(&records::hash(2), &chosen, at(NOW_US + 5)).await.unwrap();
    assert_eq!(written, User { revision: 2, updated_us: NOW_US + 5, ..chosen });
    store.create_link(link(3, Some(1)), records::entry()).await.unwrap();
    let stale = store.redeem_link(&records::hash(3), &made, at(NOW_US + 6)).await;
    assert_eq!(stale, Err(Error::Conflict(Conflict::Stale)));
    assert!(store.link(&records::hash(3), NOW_US).await.unwrap().is_some(), "it was not used up");

    let mut more = store.user(&id(1)).await.unwrap().unwrap();
    more.name = "Another name".to_owned();
    let mut more = store.update_user(&more, records::entry()).await.unwrap();
    assert!(store.link(&records::hash(3), NOW_US).await.unwrap().is_some(), "it opens no more than before");
    more.grants.push(Grant { tenant: Some(tenant(bench, 1).await), role: Role::Owner });
    store.update_user(&more, records::entry()).await.unwrap();
    assert_eq!(store.link(&records::hash(3), NOW_US).await.unwrap(), None, "who made it could give less");
}
