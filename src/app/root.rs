//! The root secret, and whether it is the one of the database.

use crate::auth::secret::Secrets;
use crate::config::Config;
use crate::store::{Material, Page, Store};

/// Tenants whose signing keys are tried in a database that keeps no check yet.
const TENANTS_MAX: u32 = 20;

/// What is derived from the root secret. A database's first start makes the secret where none is said, and keeps a check
/// of it; a start with another one is refused, since it could read none of the keys.
pub async fn secrets(config: &Config, store: &dyn Store, random: [u8; 32]) -> anyhow::Result<Secrets> {
    let known = config.known_root_secret()?.map(|root| Secrets::derive(root.reveal())).transpose()?;
    let kept = store.root_check().await?;
    let is_refused = match (&kept, &known) {
        (Some(kept), Some(known)) => known.check() != *kept,
        (Some(_), None) => true,
        (None, known) => is_another_s(store, known.as_ref()).await?,
    };
    if is_refused {
        return Err(config.refused_secret().into());
    }
    let secrets = Secrets::derive(config.root_secret(random)?.reveal())?;
    // Of nodes that start together one is first.
    if store.keep_root_check(&secrets.check()).await? != secrets.check() {
        return Err(config.refused_secret().into());
    }
    Ok(secrets)
}

/// Goes on with the configured root secret, whatever the database's was.
pub async fn accept(config: &Config, store: &dyn Store, random: [u8; 32]) -> anyhow::Result<()> {
    let secrets = Secrets::derive(config.root_secret(random)?.reveal())?;
    store.forget_root_check().await?;
    store.keep_root_check(&secrets.check()).await?;
    Ok(())
}

/// Of a database of a release that kept no check: whether there are secrets that this one does not open.
async fn is_another_s(store: &dyn Store, known: Option<&Secrets>) -> anyhow::Result<bool> {
    let mut are_some = false;
    for tenant in store.tenants(&Page { limit: TENANTS_MAX, after: None }).await? {
        for key in store.signing_keys(&tenant.id).await? {
            let Material::Sealed(sealed) = &key.material else { continue };
            if known.is_some_and(|known| known.open(sealed, key.id.as_str()).is_ok()) {
                return Ok(false);
            }
            are_some = true;
        }
    }
    Ok(are_some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::token::Algorithm;
    use crate::clock::Manual;
    use crate::config;
    use crate::id::{KeyId, TenantId};
    use crate::store::{Entry, Memory, NewSigningKey, NewTenant, Outcome, Quotas};
    use std::path::Path;
    use std::sync::Arc;

    const ONE: &str = "a root secret that is long enough: one";
    const TWO: &str = "a root secret that is long enough: two";

    fn store() -> Memory {
        Memory::new(Arc::new(Manual::at(0)))
    }

    fn config(folder: &Path, secret: &str) -> Config {
        let folder = folder.display().to_string();
        let variables = [("WEIR_DATA_DIR", folder.as_str()), ("WEIR_SECRET", secret)];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Config::parse(&toml::Table::new(), variables.into_iter(), &[], "host").unwrap()
    }

    async fn refusal(config: &Config, store: &dyn Store) -> config::Error {
        let error = secrets(config, store, [9; 32]).await.unwrap_err();
        error.downcast().expect("a fault of the configuration, with its exit code")
    }

    /// As a release before the check left it.
    async fn with_a_tenant(store: &Memory, root: &str) {
        let (tenant, id) = (TenantId::from_random([1; 16]), KeyId::from_random([2; 16]));
        let sealed = Secrets::derive(root).unwrap().seal(b"signing", id.as_str(), [3; 24]);
        let signing_key = NewSigningKey {
            id,
            tenant: tenant.clone(),
            kid: "kid".to_owned(),
            algorithm: Algorithm::Hs256,
            material: Material::Sealed(sealed),
            created_us: 0,
        };
        let quotas = Quotas::default();
        let new = NewTenant { id: tenant, name: "t".to_owned(), quotas, created_us: 0, signing_key };
        let entry = Entry {
            at_us: 0,
            tenant: None,
            actor: "test".to_owned(),
            address: None,
            action: "tenant.create".to_owned(),
            target: String::new(),
            outcome: Outcome::Done,
            before: None,
            after: None,
        };
        store.create_tenant(new, entry).await.unwrap();
    }

    #[tokio::test]
    async fn a_database_keeps_to_the_secret_of_its_first_start() {
        let (folder, store) = (tempfile::tempdir().unwrap(), store());
        let path = folder.path().join("secret");
        secrets(&config(folder.path(), ONE), &store, [9; 32]).await.unwrap();
        secrets(&config(folder.path(), ONE), &store, [9; 32]).await.unwrap();
        let said = refusal(&config(folder.path(), TWO), &store).await.to_string();
        assert!(said.starts_with("`secret` (WEIR_SECRET) is not the root secret"), "{said}");
        assert!(said.contains(&format!("restore {}", path.display())), "{said}");
        std::fs::write(&path, TWO).unwrap();
        let said = refusal(&config(folder.path(), ""), &store).await.to_string();
        assert!(said.starts_with(&format!("the content of {} is not", path.display())), "{said}");
        std::fs::write(&path, ONE).unwrap();
        secrets(&config(folder.path(), ""), &store, [9; 32]).await.unwrap();
    }

    #[tokio::test]
    async fn no_secret_is_made_for_a_database_that_had_one() {
        let (folder, store) = (tempfile::tempdir().unwrap(), store());
        secrets(&config(folder.path(), ONE), &store, [9; 32]).await.unwrap();
        let missing = config::Error::NoSecret(folder.path().join("secret"));
        assert_eq!(refusal(&config(folder.path(), ""), &store).await, missing);
        assert!(!folder.path().join("secret").exists());
    }

    #[tokio::test]
    async fn an_older_database_takes_the_first_secret_that_opens_what_it_holds() {
        let (folder, store) = (tempfile::tempdir().unwrap(), store());
        with_a_tenant(&store, ONE).await;
        let missing = config::Error::NoSecret(folder.path().join("secret"));
        assert_eq!(refusal(&config(folder.path(), ""), &store).await, missing);
        let other = refusal(&config(folder.path(), TWO), &store).await;
        assert!(matches!(other, config::Error::OtherSecret { .. }), "{other}");
        assert_eq!(store.root_check().await.unwrap(), None);
        let one = secrets(&config(folder.path(), ONE), &store, [9; 32]).await.unwrap();
        assert_eq!(store.root_check().await.unwrap(), Some(one.check()));
    }

    #[tokio::test]
    async fn another_secret_is_taken_where_the_operator_says_so() {
        let (folder, store) = (tempfile::tempdir().unwrap(), store());
        with_a_tenant(&store, ONE).await;
        secrets(&config(folder.path(), ONE), &store, [9; 32]).await.unwrap();
        accept(&config(folder.path(), TWO), &store, [9; 32]).await.unwrap();
        secrets(&config(folder.path(), TWO), &store, [9; 32]).await.unwrap();
        refusal(&config(folder.path(), ONE), &store).await;
        accept(&config(folder.path(), ""), &store, [9; 32]).await.unwrap();
        secrets(&config(folder.path(), ""), &store, [9; 32]).await.unwrap();
    }
}
