//! Looks at a namespace beneath the adapter, as an administrator would.

use conformance_tests::{Endpoint, Result, Space};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, RawDocumentBuf, doc};
use mongodb::{Client, Collection};
use session_core::SessionId;

pub(crate) struct Raw(Collection<RawDocumentBuf>);

impl Raw {
    pub(crate) async fn open(endpoint: &Endpoint, space: &Space) -> Result<Self> {
        let client = Client::with_uri_str(space.route_url(endpoint).await?).await?;
        let database = client.default_database().ok_or("the URL names no database")?;
        Ok(Self(database.collection(space.name())))
    }

    /// How many documents there are, those that are over included.
    pub(crate) async fn documents(&self) -> Result<u64> {
        Ok(self.0.count_documents(doc! {}).await?)
    }

    /// Writes rubbish over a record. Whose it is stays known.
    pub(crate) async fn spoil(&self, id: &SessionId) -> Result<()> {
        let bytes = id.as_bytes().to_vec();
        let filter = doc! { "_id": Binary { subtype: BinarySubtype::Generic, bytes } };
        self.0.update_one(filter, doc! { "$set": { "h": "rubbish" } }).await?;
        Ok(())
    }

    /// Every document, and every entry of the indexes, which is a part of one.
    pub(crate) async fn everything(&self) -> Result<Vec<Vec<u8>>> {
        let mut blobs = Vec::new();
        let mut cursor = self.0.find(Document::new()).await?;
        while cursor.advance().await? {
            blobs.push(cursor.current().as_bytes().to_vec());
        }
        Ok(blobs)
    }
}
