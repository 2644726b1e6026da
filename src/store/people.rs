//! Who signs in to the admin UI: users with a role per tenant, their sign-ins, links that are good once.

use super::{Entry, Page, Result, Role};
use crate::auth::secret::Hash;
use crate::id::{TenantId, UserId};
use async_trait::async_trait;

#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    /// What is typed to sign in, in lower case; no two are alike.
    pub login: String,
    pub name: String,
    /// As a PHC string. None: nobody has chosen one yet.
    pub password: Option<String>,
    /// By tenant, the platform first.
    pub grants: Vec<Grant>,
    pub revision: i64,
    pub created_us: i64,
    pub updated_us: i64,
    pub signed_in_us: Option<i64>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("grants", &self.grants).finish_non_exhaustive()
    }
}

/// What a user may do, and where; `tenant` None: the platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    pub tenant: Option<TenantId>,
    pub role: Role,
}

/// One browser in which a user is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Of what the browser's cookie holds.
    pub hash: Hash,
    pub user: UserId,
    pub created_us: i64,
    pub used_us: i64,
    pub expires_us: i64,
}

/// What a link does, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Makes the platform's first user.
    FirstUser,
    /// Lets a user choose a password.
    Password,
    /// Signs a user in.
    SignIn,
}

impl Purpose {
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstUser => "first_user",
            Self::Password => "password",
            Self::SignIn => "sign_in",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::FirstUser, Self::Password, Self::SignIn].into_iter().find(|purpose| purpose.name() == name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub hash: Hash,
    pub purpose: Purpose,
    /// None: the user whom it makes.
    pub user: Option<UserId>,
    pub created_us: i64,
    pub expires_us: i64,
}

#[async_trait]
pub trait People: Send + Sync {
    async fn create_user(&self, new: User, audit: Entry) -> Result<User>;
    async fn user(&self, id: &UserId) -> Result<Option<User>>;
    async fn user_by_login(&self, login: &str) -> Result<Option<User>>;
    /// Newest first, those with a role in the tenant; None: all.
    async fn users(&self, tenant: Option<&TenantId>, page: &Page) -> Result<Vec<User>>;
    /// Writes name, password and grants if the stored revision is still `user.revision`.
    /// One who gets a role more loses the links made before.
    async fn update_user(&self, user: &User, audit: Entry) -> Result<User>;
    /// With sign-ins and links.
    async fn delete_user(&self, id: &UserId, audit: Entry) -> Result<()>;

    /// Notes at the user when it was; forgets what has expired by then.
    async fn create_sign_in(&self, new: SignIn, audit: Entry) -> Result<()>;
    /// None also where it has expired.
    async fn sign_in(&self, hash: &Hash, now_us: i64) -> Result<Option<(SignIn, User)>>;
    async fn touch_sign_in(&self, hash: &Hash, used_us: i64, expires_us: i64) -> Result<()>;
    async fn delete_sign_in(&self, hash: &Hash, audit: Entry) -> Result<()>;
    /// All of a user's, except for one to keep.
    async fn delete_sign_ins(&self, user: &UserId, keep: Option<&Hash>, audit: Entry) -> Result<()>;

    /// In place of the user's earlier ones.
    async fn create_link(&self, new: Link, audit: Entry) -> Result<()>;
    /// Stores the link if this database has never had a first one; tells whether it did.
    async fn create_first_link(&self, new: Link, audit: Entry) -> Result<bool>;
    /// None also where it has expired.
    async fn link(&self, hash: &Hash, now_us: i64) -> Result<Option<Link>>;
    /// Uses the link up and writes its user, or neither: `NotFound` where somebody was faster. Revision 0: a new user.
    async fn redeem_link(&self, hash: &Hash, user: &User, audit: Entry) -> Result<User>;
}
