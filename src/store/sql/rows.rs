//! Rows read column by column, in the order in which a statement names them.

use super::super::{Columns as _, Row};
use super::{Error, Hash, Tried};
use crate::auth::secret::Sealed;
use crate::id::Malformed;
use crate::store::{Page, Quotas, Settings, Stream, Tenant};
use serde::de::DeserializeOwned;

/// Of `tenants AS t`, as `Reader::tenant` takes them.
macro_rules! tenant_columns {
    () => {
        "t.id, t.name, t.quota_streams, t.quota_viewers, t.quota_ingest_bps, t.quota_egress_bps, t.disabled_us, \
         t.revision, t.created_us, t.updated_us"
    };
}

/// Of `streams AS s`, as `Reader::stream` takes them.
macro_rules! stream_columns {
    () => {
        "s.id, s.tenant_id, s.playback_id, s.name, s.policy, s.second_publisher, s.reconnect_window_s, \
         s.latency_target_ms, s.allowed_origins, s.labels, s.revision, s.created_us, s.updated_us"
    };
}

pub(super) use {stream_columns, tenant_columns};

pub(super) struct Reader<'a> {
    row: &'a Row,
    next: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(row: &'a Row) -> Self {
        Self { row, next: 0 }
    }

    fn at(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    pub(super) fn number(&mut self) -> Tried<i64> {
        let at = self.at();
        Ok(self.row.try_get(at)?)
    }

    pub(super) fn maybe_number(&mut self) -> Tried<Option<i64>> {
        let at = self.at();
        Ok(self.row.try_get(at)?)
    }

    pub(super) fn text(&mut self) -> Tried<String> {
        let at = self.at();
        Ok(self.row.try_get(at)?)
    }

    pub(super) fn maybe_text(&mut self) -> Tried<Option<String>> {
        let at = self.at();
        Ok(self.row.try_get(at)?)
    }

    pub(super) fn maybe_sealed(&mut self) -> Tried<Option<Sealed>> {
        let at = self.at();
        let bytes: Option<Vec<u8>> = self.row.try_get(at)?;
        Ok(bytes.map(Sealed::from_bytes))
    }

    pub(super) fn hash(&mut self) -> Tried<Hash> {
        let at = self.at();
        let bytes: Vec<u8> = self.row.try_get(at)?;
        let bytes = bytes.try_into().map_err(|_| broken("a hash is not 32 bytes long"))?;
        Ok(Hash::from_bytes(bytes))
    }

    pub(super) fn id<T>(&mut self, parse: fn(&str) -> Result<T, Malformed>) -> Tried<T> {
        Ok(parse(&self.text()?).map_err(|error| broken(&error.to_string()))?)
    }

    pub(super) fn maybe_id<T>(&mut self, parse: fn(&str) -> Result<T, Malformed>) -> Tried<Option<T>> {
        let parsed = self.maybe_text()?.map(|text| parse(&text)).transpose();
        Ok(parsed.map_err(|error| broken(&error.to_string()))?)
    }

    pub(super) fn named<T>(&mut self, parse: fn(&str) -> Option<T>) -> Tried<T> {
        let text = self.text()?;
        Ok(parse(&text).ok_or_else(|| broken(&format!("`{text}` is not a known name")))?)
    }

    pub(super) fn small(&mut self) -> Tried<u32> {
        Ok(small(self.number()?)?)
    }

    pub(super) fn maybe_small(&mut self) -> Tried<Option<u32>> {
        Ok(self.maybe_number()?.map(small).transpose()?)
    }

    fn maybe_big(&mut self) -> Tried<Option<u64>> {
        Ok(self.maybe_number()?.map(big).transpose()?)
    }

    pub(super) fn tenant(&mut self) -> Tried<Tenant> {
        Ok(Tenant {
            id: self.id(crate::id::TenantId::parse)?,
            name: self.text()?,
            quotas: Quotas {
                streams: self.maybe_small()?,
                viewers: self.maybe_small()?,
                ingest_bps: self.maybe_big()?,
                egress_bps: self.maybe_big()?,
            },
            disabled_us: self.maybe_number()?,
            revision: self.number()?,
            created_us: self.number()?,
            updated_us: self.number()?,
        })
    }

    pub(super) fn stream(&mut self) -> Tried<Stream> {
        Ok(Stream {
            id: self.id(crate::id::StreamId::parse)?,
            tenant: self.id(crate::id::TenantId::parse)?,
            playback_id: self.id(crate::id::PlaybackId::parse)?,
            name: self.text()?,
            settings: Settings {
                policy: self.named(crate::store::Policy::parse)?,
                second_publisher: self.named(crate::store::SecondPublisher::parse)?,
                reconnect_window_s: self.small()?,
                latency_target_ms: self.maybe_small()?,
                allowed_origins: json(&self.text()?)?,
                labels: json(&self.text()?)?,
            },
            revision: self.number()?,
            created_us: self.number()?,
            updated_us: self.number()?,
        })
    }
}

/// Where a page starts: just before this pair.
pub(super) fn before(page: &Page) -> (i64, &str) {
    page.after.as_ref().map_or((i64::MAX, ""), |after| (after.created_us, &after.id))
}

pub(super) fn json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| broken("a column holds no JSON of its kind"))
}

pub(super) fn big(number: i64) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| broken("a number is negative"))
}

fn small(number: i64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| broken("a number is out of range"))
}

fn broken(what: &str) -> Error {
    Error::Broken(what.to_owned())
}
